/** No message shows what may be a password, whatever mistake is in the entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseInternetConfig, parseRelayEntry } from '../../src/routing/relays.ts';
import { readSettings } from '../../src/settings/read.ts';
import { redactEntry, redactReturn, redactWords } from '../../src/settings/redact.ts';
import { GIVEN, SETTINGS, type Setting, type SettingName } from '../../src/settings/table.ts';

for (const [entry, shown] of [
  ['smtp://user:secret@relay.example:587', 'smtp://***@relay.example:587'],
  ['user:se@cret@relay.example', '***@relay.example'],
  ['user:secret relay.example.org', 'user:***'],
  ['user@relay.example:secret', '***@relay.example:***'],
  ['relay.example:25 alice@example.org', '***@example.org'],
  ['relay.example:25', 'relay.example:25'],
  ['[2001:db8::1]:25', '[2001:db8::1]:25'],
  ['2001:db8::1', '2001:db8::1'],
  ['relay.example alice', 'relay.example alice'],
  ['user secret relay.example', 'user ***'],
  ['relay.example user secret', 'relay.example ***'],
] as const)
  test(`${entry} is shown as ${shown}`, () => assert.equal(redactEntry(entry), shown));

const SECRET = 'S3cr3t';

test('whatever is wrong with an entry, its middle part is not shown', () => {
  const noise = fc.constantFrom('', ' ', '/', '%', '%zz', '[', ']', ':', '\t', 'x', '99999', '#', '?');
  const scheme = fc.constantFrom('', 'smtp://', 'smtps://', 'http://', 'smtp:/', '://');
  const host = fc.constantFrom(
    'relay.example',
    '',
    '[::1]',
    'bad host',
    '-',
    'relay.example:0',
    '192.0.2.1:25',
  );
  const glue = fc.constantFrom('@', ' ', '', ':');
  const entry = fc
    .tuple(scheme, noise, noise, noise, glue, host, noise)
    .map(([a, b, c, d, e, f, g]) => `${a}user${b}:${c}${SECRET}${d}${e}${f}${g}`);
  fc.assert(
    fc.property(entry, (text) => {
      const parsed = parseRelayEntry(text, 'smarthost');
      const shown = parsed.kind === 'relay' ? parsed.relay.shown : `${parsed.shown} ${parsed.reason}`;
      assert.ok(!shown.includes(SECRET), `${text} is shown as ${shown}`);
      const { problems } = parseInternetConfig(`${text}|smarthost \n`);
      assert.ok(!JSON.stringify(problems).includes(SECRET), text);
    }),
    { numRuns: 5000 },
  );
});

test('a + in credentials is a +', () => {
  const parsed = parseRelayEntry('smtp://a+b:c+d%20e@relay.example', 'smarthost');
  assert.ok(parsed.kind === 'relay');
  assert.deepEqual(parsed.relay.credentials, { user: 'a+b', password: 'c+d e' });
});

for (const [given, shown] of [
  ['room', 'room'],
  ['lmtp:/run/citadel/lmtp.socket', 'lmtp:/run/citadel/lmtp.socket'],
  ['smtp://mail.example:25', 'smtp://mail.example:25'],
  ['smtp://user:secret@mail.example', 'smtp://***@mail.example'],
  ['user:secret@mail.example', '***'],
  ['lmtp:user:secret@mail.example', '***'],
  ['secret', '***'],
] as const)
  test(`where reports go: ${given} is shown as ${shown} (R253)`, () =>
    assert.equal(redactReturn(given), shown));

test('a relay entry in the place of another word is shown without its middle (R253)', () => {
  assert.equal(redactWords('smarthost:user:secret@relay.example'), '***@relay.example');
  assert.equal(redactWords('now'), 'now');
});

/** Where passwords belong, or where somebody who looks for that place tries them. */
const PLACES: readonly SettingName[] = [
  ...([
    'smarthost',
    'fallbackhost',
    'destinations',
    'return',
    'intake.users',
    'citadel-login',
    'tls',
  ] as const),
  ...(['tls-host', 'tls-pin', 'auth-in-clear', 'auth-mechanism', 'hostname', 'postmaster', 'dns'] as const),
];

test('no error and no list of settings shows a password, in whatever setting and form it is written (R253)', () => {
  const form = fc.constantFrom(
    ...([
      'user:% relay.example',
      'user % relay.example',
      'relay.example user %',
      'user:%@relay.example',
    ] as const),
    ...(['smtp//user:%@relay.example:x', 'credentials=user:%', 'host=x credentials=user:%'] as const),
    ...(['host=x credentials=user %', 'host=x credentials=user: %', 'to=x relays=user % x'] as const),
    ...(['to=x relays=user:%@x:y', 'host=x %=credentials', 'smtp://user%3A%%40relay.example'] as const),
    ...(['host=user:%@x tls=none', 'to=user:%@x tls=none', 'host=x tls=user:%@x'] as const),
  );
  fc.assert(
    fc.property(fc.constantFrom(...PLACES), form, fc.boolean(), (name, written, isList) => {
      const text = written.replace(/%(?!3A|40)/, SECRET);
      const read = readSettings({ [name]: isList ? [text] : text });
      const { kind }: Setting<unknown> = SETTINGS[name];
      const shown = read.ok
        ? JSON.stringify(kind.redact?.(read.settings[GIVEN].get(name)?.raw) ?? null)
        : read.problems.map(({ text }) => text).join();
      assert.ok(!shown.includes(SECRET), `${name}: ${text} is shown as ${shown}`);
    }),
    { numRuns: 2000 },
  );
});

test('nor does an object of destinations with whatever name for what is in it (R253)', () => {
  const key = fc.constantFrom('credentials', 'credential', 'relays', 'pass', `user:${SECRET}`, `${SECRET}@x`);
  const value = fc.constantFrom<unknown>(
    SECRET,
    [SECRET],
    { u: SECRET },
    `u:${SECRET}`,
    [`u ${SECRET} x`],
    5,
  );
  fc.assert(
    fc.property(key, value, (name, given) => {
      const read = readSettings({ destinations: [{ host: 'x.example', [name]: given }] });
      if (!read.ok)
        assert.ok(
          read.problems.every(({ text }) => !text.includes(SECRET)),
          read.problems[0]?.text,
        );
    }),
  );
});
