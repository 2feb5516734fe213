import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInternetConfig, parseRelayEntry, relaysFor, relaysInOrder } from '../../src/routing/relays.ts';

/** host, port, literal, user, password, sender, scheme */
type Expected = readonly [
  string,
  number,
  4 | 6 | null,
  string | null,
  string | null,
  string | null,
  string | null,
];

const ENTRIES: Readonly<Record<string, Expected>> = {
  'relay.example.com': ['relay.example.com', 25, null, null, null, null, null],
  '  relay.example.com:587  ': ['relay.example.com', 587, null, null, null, null, null],
  '192.0.2.1:26': ['192.0.2.1', 26, 4, null, null, null, null],
  '[192.0.2.1]': ['192.0.2.1', 25, 4, null, null, null, null],
  '[2001:db8::5]:2525': ['2001:db8::5', 2525, 6, null, null, null, null],
  '[IPv6:::1]': ['::1', 25, 6, null, null, null, null],
  '2001:db8::5': ['2001:db8::5', 25, 6, null, null, null, null],
  'joe:secret@relay:587': ['relay', 587, null, 'joe', 'secret', null, null],
  'joe@example.com:se:c@ret@relay': ['relay', 25, null, 'joe@example.com', 'se:c@ret', null, null],
  'joe%40example.com:a%2Fb+c%C3%A9@relay': ['relay', 25, null, 'joe@example.com', 'a/b+cé', null, null],
  'joe:caf%E9@relay': ['relay', 25, null, 'joe', 'café', null, null],
  'joe:@relay': ['relay', 25, null, 'joe', '', null, null],
  'smtp://relay/': ['relay', 25, null, null, null, null, 'smtp'],
  'SMTPS://joe:x@relay': ['relay', 465, null, 'joe', 'x', null, 'smtps'],
  'smtps://[::1]:2465/': ['::1', 2465, 6, null, null, null, 'smtps'],
  'relay joe@example.com': ['relay', 25, null, null, null, 'joe@example.com', null],
  'u:p@relay:587 Joe Sixpack': ['relay', 587, null, 'u', 'p', 'Joe Sixpack', null],
  'user : pass @host': ['host', 25, null, 'user', ' pass', null, null],
};

for (const [entry, [host, port, literal, user, password, sender, scheme]] of Object.entries(ENTRIES)) {
  test(`relay entry ${entry}`, () => {
    const parsed = parseRelayEntry(entry, 'smarthost');
    assert.ok(parsed.kind === 'relay', JSON.stringify(parsed));
    const { relay } = parsed;
    assert.deepEqual(
      [relay.host, relay.port, relay.literal, relay.sender, relay.scheme],
      [host, port, literal, sender, scheme],
    );
    assert.deepEqual(relay.credentials, user === null ? null : { user, password });
  });
}

const BAD: Readonly<Record<string, RegExp>> = {
  '': /names no host/,
  'joe@relay:587': /user without a password/,
  '@relay': /user without a password/,
  'relay@': /user without a password/,
  'joe:pass@': /names no host/,
  'joe:p%zz@relay': /hexadecimal/,
  'joe:p%00@relay': /NUL/,
  'relay:0': /port is not a number/,
  'relay:65536': /port is not a number/,
  'relay:': /port is not a number/,
  'relay:25:26': /port is not a number/,
  '[::1': /not a host name|port is not a number/,
  '[::1]25': /not a host name|port is not a number/,
  '[relay]': /not an IP address/,
  '[]': /not an IP address/,
  'http://relay': /neither smtp/,
  're lay:x': /./,
  'relay\n:25\r\nQUIT': /not a/,
};

for (const [entry, reason] of Object.entries(BAD)) {
  test(`bad relay entry ${JSON.stringify(entry)}`, () => {
    const parsed = parseRelayEntry(entry, 'fallbackhost');
    assert.ok(parsed.kind === 'bad');
    assert.match(parsed.reason, reason);
  });
}

test('no password is shown, in good entries or bad ones (R017)', () => {
  for (const entry of [
    'joe:secret@relay',
    'smtp://joe:secret@relay:0',
    'joe:se@cret secret@',
    'joe:secret\r@relay',
  ]) {
    const parsed = parseRelayEntry(entry, 'smarthost');
    const shown = parsed.kind === 'relay' ? parsed.relay.shown : `${parsed.shown} ${parsed.reason}`;
    assert.equal(shown.includes('secret'), false, shown);
  }
});

const CONFIG = 'f1|fallbackhost\nr1|SmartHost\nexample.org|localhost\nr2 joe@x|smarthost\nf2|fallbackhost\n';

test('relays in order: smart hosts as configured, then fallback hosts as configured (R076)', () => {
  const { relays, problems } = parseInternetConfig(CONFIG);
  assert.deepEqual(
    relaysInOrder(relays).map(({ host }) => host),
    ['r1', 'r2', 'f1', 'f2'],
  );
  assert.deepEqual(problems, []);
});

test("a relay with a sender is for that sender's mail alone (R078); no author is no crash (C17)", () => {
  const { relays } = parseInternetConfig(CONFIG);
  const hosts = (author: readonly string[]) =>
    relaysFor(relaysInOrder(relays), author).map(({ host }) => host);
  assert.deepEqual(hosts(['Joe', 'JOE@x']), ['r1', 'r2', 'f1', 'f2']);
  assert.deepEqual(hosts(['ann@x']), ['r1', 'f1', 'f2']);
  assert.deepEqual(hosts([]), ['r1', 'f1', 'f2']);
});

test('lines that have no effect are problems with their line', () => {
  const { relays, problems } = parseInternetConfig(
    'r1|smarthost\r\njoe@r2|smarthost\nr3|smarthost \nr4|smarthost\njoe:p|q@r5|SmartHost\n',
  );
  assert.deepEqual(
    relays.map(({ host }) => host),
    ['r4'],
  );
  assert.deepEqual(
    problems.map(({ line }) => line),
    [1, 2, 3, 5],
  );
});
