import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import {
  commandLineSource,
  environmentSource,
  fileSource,
  readSettings,
  readSources,
} from '../../src/settings/read.ts';

const PIN = 'ab'.repeat(32);

function read(destinations: unknown) {
  return readSettings({ destinations });
}

/** What is wrong; '' when nothing is. */
function problem(given: object): string {
  const result = readSources([commandLineSource({}), fileSource('f.json', given)]);
  return result.ok ? '' : result.problems.map(({ text }) => text).join('\n');
}

test('an entry is an object of a file, or words', () => {
  const expected = {
    to: ['example.com', '*.example.com'],
    host: ['mx.example.com'],
    tls: 'require',
    sessions: 2,
    'extension-off': ['CHUNKING'],
  };
  const asFile = read([
    {
      to: ['Example.com.', '*.example.com'],
      host: 'MX.example.com',
      tls: 'require',
      sessions: 2,
      'extension-off': 'CHUNKING',
    },
  ]);
  const asWords = read(
    'to=example.com to=*.example.com host=mx.example.com tls=require sessions=2 extension-off=CHUNKING',
  );
  assert.ok(asFile.ok && asWords.ok);
  assert.deepEqual(asFile.settings.destinations, [expected]);
  assert.deepEqual(asWords.settings.destinations, [expected]);
  const alone = readSources([fileSource('f.json', { destinations: expected })]);
  assert.ok(alone.ok);
  assert.deepEqual(alone.settings.destinations, [expected]);
});

test('entries come from the environment, separated by commas', () => {
  const result = readSources([
    environmentSource({
      SPOOLROOM_DESTINATIONS: 'to=a.example relays=, from=<> relays=smtp://u:a=b@r.example:2525',
    }),
  ]);
  assert.ok(result.ok);
  assert.deepEqual(result.settings.destinations, [
    { to: ['a.example'], relays: [] },
    { from: ['<>'], relays: ['smtp://u:a=b@r.example:2525'] },
  ]);
});

const WRONG: readonly (readonly [unknown, RegExp])[] = [
  ['', /entry 1: there is no \./],
  [[7], /entry 1: it is neither an object nor a text/],
  [[{ to: 'a.example' }], /entry 1: it says nothing/],
  [[{ tls: 'none' }], /entry 1: it does not say for what it holds/],
  [[{ to: [], tls: 'none' }], /entry 1: to is empty/],
  [[{ to: 'u@a.example', tls: 'none' }], /entry 1: to "u@a.example" is not a domain/],
  [[{ from: 'u@*.a.example', tls: 'none' }], /entry 1: from "u@\*\.a\.example" is not an address, a domain/],
  [[{ host: 'a*.example', tls: 'none' }], /entry 1: host "a\*\.example" is not a host name/],
  [['to=a.example tls=none', 'to=b.example tsl=none'], /entry 2: there is no tsl \(did you mean "?tls"?\?\)/],
  [
    'to=a.example relays=joe:pa ss@relay.example',
    /entry 1: it has a word that is no field; a blank in a user/,
  ],
  ['to=a.example toString=x', /entry 1: there is no toString\./],
  ['to=a.example tls=none __proto__=x', /entry 1: there is no __proto__\./],
  [[{ to: 'a.example', tls: 'maybe' }], /entry 1: tls "maybe" is not one of none, opportunistic, require/],
  [[{ to: 'a.example', sessions: 0 }], /entry 1: sessions 0 is not a whole number from 1/],
  ['to=a.example tls=none tls=require', /entry 1: tls \["none","require"\] is given more than once/],
  [[{ host: 'a.example', relays: ['r.example'] }], /entry 1: it has host and relays/],
  [[{ to: 'a.example', credentials: 'u:p' }], /entry 1: its credentials would be sent to any host/],
  [[{ host: ['r.example', '*'], credentials: 'u:p' }], /entry 1: its credentials would be sent to any host/],
  [
    [{ host: 'a.example', 'local-address': ['192.0.2.1', '192.0.2.2'] }],
    /two local-address of the same family/,
  ],
];

for (const [given, says] of WRONG)
  test(`a wrong entry is told, with its position: ${JSON.stringify(given)}`, () => {
    const result = read(given);
    assert.ok(!result.ok);
    assert.match(result.problems[0]?.text ?? '', says);
  });

test('no password of an entry is shown', () => {
  for (const destinations of [
    [{ to: 'a.example', relays: ['smtps://user:secret@r.example'], tls: 'wrong' }],
    [{ host: 'r.example', credentials: 'user:secret word' }],
    [{ host: 'r.example', credentials: ['user:secret'] }],
    ['host=r.example credentials=user:secret nonsense'],
    [{ to: 'a.example', relays: [{ password: 'secret' }] }],
    [
      { host: 'r.example', credentials: 'user:secret' },
      { host: 'r.example', credentials: 'user:secret2' },
    ],
  ])
    assert.doesNotMatch(problem({ destinations }) || 'secret: no problem', /secret/);
});

const CONTRADICTIONS: readonly (readonly [string, object, RegExp | ''])[] = [
  [
    'two TLS levels for the same mail',
    {
      destinations: [
        { to: 'a.example', tls: 'require' },
        { to: 'a.example', tls: 'none' },
      ],
    },
    /^f\.json: destinations has tls require in entry 1, but f\.json: destinations has tls none in entry 2\. Change one of them\.$/,
  ],
  [
    'a looser word within what a stricter one covers',
    {
      destinations: [
        { host: '*.a.example', tls: 'require' },
        { host: 'old.a.example', tls: 'none' },
      ],
    },
    /^f\.json: destinations has tls none in entry 2, but f\.json: destinations demands TLS in entry 1\./,
  ],
  [
    'a looser short form within what a stricter entry covers',
    { destinations: [{ host: '*', tls: 'require' }], 'tls-host': ['old.example=none'] },
    /^f\.json: tls-host has old\.example=none, but f\.json: destinations demands TLS in entry 1\./,
  ],
  [
    'a stricter word within a looser one',
    {
      destinations: [
        { host: '*.a.example', tls: 'none' },
        { host: 'x.a.example', tls: 'require' },
      ],
    },
    '',
  ],
  [
    'a pin and no TLS in one entry',
    { destinations: [{ host: 'x.example', tls: 'none', 'tls-pin': PIN }] },
    /has tls none in entry 1, but f\.json: destinations has a fingerprint in entry 1, which demands TLS\./,
  ],
  [
    'a password in clear where TLS is demanded',
    { destinations: [{ host: 'x.example', tls: 'require' }], 'auth-in-clear': ['x.example'] },
    /^f\.json: auth-in-clear names x\.example, but f\.json: destinations demands TLS in entry 1\./,
  ],
  [
    'STARTTLS that is off where a domain demands TLS',
    { destinations: [{ to: 'bank.example', tls: 'require' }], 'extension-off': ['*=STARTTLS'] },
    /^f\.json: extension-off has \*=STARTTLS, but f\.json: destinations demands TLS in entry 1\./,
  ],
  [
    'STARTTLS that is off for all, beside a setting that demands it',
    { destinations: [{ host: '*', 'extension-off': 'STARTTLS' }], tls: 'require' },
    /^f\.json: destinations has extension-off STARTTLS in entry 1, but f\.json: tls demands TLS\./,
  ],
  [
    'AUTH that is off for a host with credentials',
    { destinations: [{ host: 'r.example', credentials: 'u:p' }], 'extension-off': ['r.example=AUTH'] },
    /^f\.json: extension-off has r\.example=AUTH, but f\.json: destinations has credentials in entry 1\./,
  ],
  [
    'relays behind others that always come first',
    {
      destinations: [
        { to: '*.a.example', relays: ['r.example'] },
        { to: 'x.a.example', relays: [] },
      ],
    },
    /^f\.json: destinations has relays in entry 1, but f\.json: destinations has relays in entry 2\./,
  ],
  [
    'relays before others that are more general',
    {
      destinations: [
        { to: 'x.a.example', relays: [] },
        { to: '*.a.example', relays: ['r.example'] },
      ],
    },
    '',
  ],
  [
    'two limits for the same hosts',
    {
      destinations: [
        { host: 'x.example', sessions: 2 },
        { host: 'x.example', sessions: 3 },
      ],
    },
    /has sessions 2 in entry 1, but f\.json: destinations has sessions 3 in entry 2\./,
  ],
  [
    'two limits for hosts and for some of them',
    {
      destinations: [
        { host: '*.x.example', sessions: 5 },
        { host: 'a.x.example', sessions: 3 },
      ],
    },
    '',
  ],
  [
    'the same said twice',
    { destinations: [{ host: 'x.example', tls: 'require' }], 'tls-host': ['x.example=require'] },
    '',
  ],
  [
    'words about different mail',
    {
      destinations: [
        { to: 'a.example', tls: 'require' },
        { from: 'a.example', tls: 'none' },
      ],
    },
    '',
  ],
];

describe('entries that cannot hold together', () => {
  for (const [what, given, says] of CONTRADICTIONS)
    it(what, () => {
      if (says === '') assert.equal(problem(given), '');
      else assert.match(problem(given), says);
    });
});
