import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import { entryText } from '../../src/output/destination-text.ts';
import { withRoute } from '../../src/routing/address-order.ts';
import {
  type DestinationRules,
  destinationRules,
  NO_RULES,
  withRules,
} from '../../src/routing/destination-rules.ts';
import type { Host } from '../../src/routing/hosts.ts';
import { destinationOf, type RoutingRules } from '../../src/routing/route.ts';
import { fileSource, readSettings, readSources } from '../../src/settings/read.ts';

function rules(given: object): DestinationRules {
  const read = readSettings({ ...given });
  assert.ok(read.ok, JSON.stringify(read));
  const made = destinationRules(read.settings);
  assert.ok(typeof made !== 'string', String(made));
  return made;
}

function routing(destinations: DestinationRules): RoutingRules {
  return { relays: [], destinations, ownNames: [], mxPort: 25, loops: null };
}

const HOST: Host = {
  ...{ name: 'mx.a.example', literal: null, port: 25, origin: 'mx', preference: 1 },
  ...{ credentials: null, implicitTls: false },
};

describe('patterns', () => {
  const matches: readonly (readonly ['to' | 'from' | 'host', string, string, boolean])[] = [
    ['to', 'a.example', 'A.example', true],
    ['to', 'a.example', 'b.a.example', false],
    ['to', '*.a.example', 'b.a.example', true],
    ['to', '*.a.example', 'c.b.a.example', true],
    ['to', '*.a.example', 'a.example', false],
    ['to', '*.a.example', 'nota.example', false],
    ['to', '*', 'anything', true],
    ['to', '[192.0.2.1]', '[192.0.2.1]', true],
    ['from', 'u@a.example', 'U@A.example', true],
    ['from', 'u@a.example', 'v@a.example', false],
    ['from', 'a.example', 'v@a.example', true],
    ['from', '*.a.example', 'v@b.a.example', true],
    ['from', '<>', '', true],
    ['from', '<>', 'v@a.example', false],
    ['from', '*', '', true],
    ['host', '*.google.com', 'aspmx.l.Google.com.', true],
    ['host', '192.0.2.1', '192.0.2.1', true],
  ];
  for (const [name, pattern, given, expected] of matches)
    it(`${name} ${pattern}: ${given}`, () => {
      const made = rules({ destinations: [{ [name]: pattern, tls: 'require' }] });
      const entries = made.ofMail(
        name === 'to' ? given : 'x.example',
        name === 'from' ? given : 'x@x.example',
      );
      const host = name === 'host' ? given : 'mx.example';
      assert.equal(made.forHost({ name: host, entries }).tls === 'require', expected);
    });
});

test('without entries nothing is looked up, and nothing changes', () => {
  const none = rules({});
  assert.equal(none.forHost(HOST), NO_RULES);
  assert.equal(withRules(HOST, none.ofMail('a.example', ''), none), HOST);
  assert.deepEqual(destinationOf('a.example', '', routing(none)), {
    ...{ key: 'mx:a.example', name: 'a.example', kind: 'mx', domain: 'a.example' },
  });
});

test('what holds for a host is found once', () => {
  const made = rules({ destinations: [{ host: '*', family: 'ipv4' }] });
  assert.equal(made.forHost(HOST), made.forHost({ ...HOST }));
});

test('several entries: the strictest TLS, every limit, all that is off, and else the first word', () => {
  const made = rules({
    destinations: [
      {
        to: 'a.example',
        tls: 'require',
        'extension-off': 'CHUNKING',
        'local-address': '192.0.2.7',
        sessions: 2,
      },
      { host: '*.a.example', tls: 'opportunistic', 'extension-off': 'DSN', 'messages-per-session': 10 },
      {
        host: '*',
        'local-address': '192.0.2.8',
        'messages-per-session': 20,
        'messages-per-minute': 60,
        family: 'ipv6-first',
      },
    ],
    'extension-off': ['mx.a.example=SIZE'],
  });
  const { groups, tls, extensionsOff, localAddresses, family, messages, key } = made.forHost({
    ...HOST,
    entries: made.ofMail('a.example', 'u@b.example'),
  });
  assert.deepEqual(
    { tls, extensionsOff, localAddresses, family, messages, key },
    {
      ...{ tls: 'require', extensionsOff: ['CHUNKING', 'DSN', 'SIZE'], localAddresses: ['192.0.2.7'] },
      ...{ family: 'ipv6-first', messages: 10, key: '0+1+2+3' },
    },
  );
  assert.deepEqual(
    groups.map(({ name, sessions, betweenMessages }) => [name, sessions, betweenMessages]),
    [
      ['{"to":["a.example"]}', 2, 0],
      ['{"host":["*"]}', Number.POSITIVE_INFINITY, 1000],
    ],
  );
});

test('a password may go in clear only where no entry forbids it', () => {
  const made = rules({
    destinations: [
      { to: 'a.example', 'auth-in-clear': false },
      { host: 'r.example', 'auth-in-clear': true },
    ],
  });
  assert.equal(made.forHost({ name: 'r.example' }).authInClear, true);
  assert.equal(made.forHost({ name: 'r.example', entries: made.ofMail('a.example', '') }).authInClear, false);
});

describe('destinations', () => {
  const made = rules({
    destinations: [
      { to: 'direct.example', relays: [] },
      { to: 'a.example', relays: ['r1.example', 'smtps://r2.example'] },
      { from: 'shop@me.example', relays: ['smtp://u:p@shop.example'] },
      { to: 'strict.example', tls: 'require' },
    ],
  });
  const smart = {
    ...routing(made),
    relays: rules({ destinations: [{ to: 'x', relays: ['smart.example'] }] }).relays,
  };
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['direct.example', 'u@me.example', 'mx:direct.example #0', 'mx'],
    ['a.example', 'u@me.example', 'relays #1', 'r1.example, r2.example'],
    ['a.example', 'shop@me.example', 'relays #1+2', 'r1.example, r2.example'],
    ['b.example', 'Shop@me.example', 'relays #2', 'shop.example'],
    ['strict.example', 'u@me.example', 'relays #3', 'smart.example'],
    ['b.example', 'u@me.example', 'relays', 'smart.example'],
  ];
  for (const [domain, sender, key, relays] of cases)
    it(`${domain} from ${sender}`, () => {
      const found = destinationOf(domain, sender, smart);
      assert.equal(found.key, key);
      assert.equal(found.kind === 'mx' ? 'mx' : found.name, relays);
    });
});

test('credentials are for the host that an entry names, unless its relay entry has its own', () => {
  const made = rules({ destinations: [{ host: 'r.example', credentials: 'user:pass%20word' }] });
  const own = { user: 'own', password: 'own' };
  assert.deepEqual(withRules({ ...HOST, name: 'R.example' }, undefined, made).credentials, {
    user: 'user',
    password: 'pass word',
  });
  assert.equal(withRules({ ...HOST, name: 'r.example', credentials: own }, undefined, made).credentials, own);
  assert.equal(withRules(HOST, undefined, made).credentials, null);
});

test('a relay or credentials that cannot be read are told without a password', () => {
  for (const [entry, says] of [
    [{ to: 'a.example', relays: ['http://u:secret@r.example'] }, /^entry 1: http:\/\/\*\*\*@r\.example: /],
    [
      { to: 'a.example', relays: ['r.example shop'] },
      /^entry 1: r\.example shop: the sender belongs into from$/,
    ],
    [{ host: 'r.example', credentials: 'u:secret%zz' }, /^entry 1: a % in its user or password/],
  ] as const) {
    const read = readSettings({ destinations: [entry] });
    assert.ok(read.ok);
    const made = destinationRules(read.settings);
    assert.ok(typeof made === 'string');
    assert.match(made, says);
    assert.doesNotMatch(made, /secret/);
  }
});

describe('an address family without a route', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[], readonly string[]])[] = [
    [
      'IPv4 only',
      ['127.0.0.1', '::1', '198.51.100.7', 'fe80::1'],
      ['192.0.2.1', '2001:db8::1'],
      ['192.0.2.1'],
    ],
    ['IPv6 only', ['127.0.0.1', '::1', '2001:db8::7'], ['192.0.2.1', '2001:db8::1'], ['2001:db8::1']],
    ['both', ['198.51.100.7', '2001:db8::7'], ['192.0.2.1', '2001:db8::1'], ['192.0.2.1', '2001:db8::1']],
    ['unknown', [], ['192.0.2.1', '2001:db8::1'], ['192.0.2.1', '2001:db8::1']],
    [
      'loopback only: the system says what is missing',
      ['127.0.0.1', '::1'],
      ['192.0.2.1', '2001:db8::1'],
      ['192.0.2.1', '2001:db8::1'],
    ],
    [
      'the host has no other address',
      ['198.51.100.7'],
      ['2001:db8::1', '2001:db8::2'],
      ['2001:db8::1', '2001:db8::2'],
    ],
    ['this machine itself', ['127.0.0.1', '::1', '198.51.100.7'], ['192.0.2.1', '::1'], ['192.0.2.1', '::1']],
  ];
  for (const [what, interfaces, addresses, expected] of cases)
    it(`is not tried: ${what} (R233)`, () => assert.deepEqual(withRoute(addresses, interfaces), expected));
});

describe('the setups of techdoc/destinations.md', () => {
  const page = readFileSync(new URL('../../techdoc/destinations.md', import.meta.url), 'utf8');
  const setups = [...page.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text = '']) => text);
  it('are several', () => assert.ok(setups.length >= 6));
  for (const [index, setup] of setups.entries())
    it(`number ${index + 1} is valid`, () => {
      const read = readSources([fileSource('page', JSON.parse(setup))]);
      assert.ok(read.ok, JSON.stringify(read));
      assert.ok(typeof destinationRules(read.settings) !== 'string');
      assert.ok(
        read.settings.destinations.every(
          (entry) => entryText({ entry, setting: 'destinations', number: 1 }).length > 20,
        ),
      );
    });
});

test('an entry is explained in a sentence without its password', () => {
  const entry = {
    ...{
      to: ['a.example', '*.b.example'],
      from: ['<>'],
      relays: ['smtp://u:secret@r.example'],
      tls: 'require' as const,
    },
    ...{ sessions: 1, 'messages-per-minute': 60, 'auth-in-clear': false },
  };
  assert.equal(
    entryText({ entry, setting: 'destinations', number: 1 }),
    'mail to a.example or any below b.example from the null sender: relays smtp://***@r.example; the password may not be sent ' +
      'without TLS; TLS is demanded; at most 1 session at once; at most 60 messages a minute',
  );
});
