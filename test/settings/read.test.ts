/** Every kind of value, every source, and what is said about a value that makes no sense. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SettingsRead, Source } from '../../src/settings/read.ts';
import {
  commandLineSource,
  environmentName,
  environmentSource,
  fileSource,
  readSettings,
  readSources,
  SETTING_NAMES,
} from '../../src/settings/read.ts';
import type { SettingName } from '../../src/settings/table.ts';
import { SETTINGS } from '../../src/settings/table.ts';

function value(name: SettingName, given: unknown): unknown {
  const read = readSettings({ [name]: given });
  return read.ok ? read.settings[name] : read.problems.map(({ text }) => text).join(' ');
}

function problems(read: SettingsRead): readonly string[] {
  return read.ok ? [] : read.problems.map(({ text }) => text);
}

test('every default is a value of its kind', () => {
  const read = readSettings({});
  assert.ok(read.ok);
  assert.deepEqual(Object.keys(read.settings), SETTING_NAMES);
  assert.ok(Object.isFrozen(read.settings));
});

const SPAN = 'is not a duration like 30s, 5m, 12h or 5d.';
const VALUES: readonly (readonly [SettingName, unknown, unknown])[] = [
  ['poll', '30s', 30_000],
  ['poll', '5m', 300_000],
  ['poll', '12h', 43_200_000],
  ['poll', '5d', 432_000_000],
  ['poll', '250ms', 250],
  ['poll', '0.5s', 500],
  ['poll', 30, 30_000],
  ['poll', ' 30s ', 30_000],
  ['poll', '30 s', `--poll: "30 s" ${SPAN}`],
  ['poll', '-5s', `--poll: "-5s" ${SPAN}`],
  ['poll', '', `--poll: "" ${SPAN}`],
  ['poll', '1e3s', `--poll: "1e3s" ${SPAN}`],
  ['poll', '99999999d', '--poll: "99999999d" is longer than 10000 days.'],
  ['poll', '99ms', '--poll: "99ms" is shorter than 100ms.'],
  ['poll', true, '--poll: true is not a single value.'],
  ['poll', ['1s', '2s'], '--poll: ["1s","2s"] is given more than once.'],
  ['mx-port', '2525', 2525],
  ['mx-port', '0', '--mx-port: "0" is not a whole number from 1 to 65535.'],
  ['mx-port', '25.5', '--mx-port: "25.5" is not a whole number from 1 to 65535.'],
  ['dialect', '2017', '2017'],
  ['dialect', 2017, '2017'],
  ['dialect', '2016', '--dialect: "2016" is not one of 2012, 2017.'],
  ['json', true, true],
  ['json', 'false', false],
  ['json', 'yes', '--json: "yes" is neither true nor false.'],
  ['spool', '', '--spool: "" is empty.'],
  ['now', '1342224000', { at: 1_342_224_000 }],
  ['now', '+3h', { shift: 10_800_000 }],
  ['now', '-10m', { shift: -600_000 }],
  ['now', 'noon', '--now: "noon" is neither Unix seconds nor a duration like +3h.'],
  ['smarthost', 'mail.example.org:587', ['mail.example.org:587']],
  ['smarthost', ['a', 'b'], ['a', 'b']],
  ['smarthost', [{}], '--smarthost: [{}] is not a single value.'],
  ['hostname', 'mail.example.org', 'mail.example.org'],
  ['hostname', 'a\r\nRCPT TO:<x@y>', '--hostname: its value is not a host name.'],
  ['postmaster', 'postmaster@example.org', 'postmaster@example.org'],
  ['postmaster', 'nobody', '--postmaster: "nobody" is not an address like postmaster@example.org.'],
  ['local-address', ['192.0.2.1', '2001:db8::1'], ['192.0.2.1', '2001:db8::1']],
  ['local-address', 'localhost', '--local-address: "localhost" is not an IP address.'],
  ['dns', ['127.0.0.1:5353', '[::1]:53', '::1'], ['127.0.0.1:5353', '[::1]:53', '::1']],
  [
    'dns',
    'ns.example.org',
    '--dns: "ns.example.org" is not ADDRESS or ADDRESS:PORT ([ADDRESS]:PORT for IPv6).',
  ],
  ['tls-pin', `mail.example.org=${'ab:'.repeat(31)}ab`, [`mail.example.org=${'ab:'.repeat(31)}ab`]],
  [
    'tls-pin',
    'mail.example.org=abcd',
    '--tls-pin: "mail.example.org=abcd" is not HOST=FINGERPRINT with the 64 hexadecimal digits of SHA-256.',
  ],
];

for (const [name, given, expected] of VALUES) {
  test(`${name} ${JSON.stringify(given)}`, () => assert.deepEqual(value(name, given), expected));
}

test('the command line is asked first, then the environment, then the file', () => {
  const words = commandLineSource({ poll: '1s', tls: undefined });
  const environment = environmentSource({
    SPOOLROOM_POLL: '2s',
    SPOOLROOM_TLS: 'none',
    SPOOLROOM_DIALECT: '',
  });
  const file = fileSource('f.json', { poll: '3s', tls: 'require', dialect: 2017 });
  const read = readSources([words, environment, file]);
  assert.ok(read.ok);
  const { poll, tls, dialect, charset } = read.settings;
  assert.deepEqual([poll, tls, dialect, charset], [1000, 'none', '2017', 'windows-1252']);
});

test('every setting can be said in the environment, lists with commas', () => {
  assert.equal(new Set(SETTING_NAMES.map(environmentName)).size, SETTING_NAMES.length);
  const read = readSources([
    environmentSource({
      SPOOLROOM_TIMEOUT__GREETING: '30s',
      SPOOLROOM_INTERNET_CONFIG: '/etc/citadel.conf',
      SPOOLROOM_SMARTHOST: 'a.example user, b.example',
      OTHER: 'x',
    }),
  ]);
  assert.ok(read.ok);
  assert.equal(read.settings['timeout.greeting'], 30_000);
  assert.equal(read.settings['internet-config'], '/etc/citadel.conf');
  assert.deepEqual(read.settings.smarthost, ['a.example user', 'b.example']);
});

test('a file may nest what has dots', () => {
  const read = readSources([
    fileSource('f.json', { timeout: { mail: '1m' }, 'timeout.rcpt': 90, json: true }),
  ]);
  assert.ok(read.ok);
  const { settings } = read;
  assert.deepEqual(
    [settings['timeout.mail'], settings['timeout.rcpt'], settings.json],
    [60_000, 90_000, true],
  );
});

const WRONG: readonly (readonly [string, Source, string])[] = [
  [
    'command line',
    commandLineSource({ tls: 'maybe' }),
    '--tls: "maybe" is not one of none, opportunistic, require.',
  ],
  ['environment', environmentSource({ SPOOLROOM_POLL: 'x' }), `SPOOLROOM_POLL: "x" ${SPAN}`],
  [
    'environment, unknown',
    environmentSource({ SPOOLROOM_POL: '5s' }),
    'SPOOLROOM_POL: unknown setting (did you mean SPOOLROOM_POLL?).',
  ],
  ['file', fileSource('/etc/s.json', { retry: { first: 'x' } }), `/etc/s.json: retry.first: "x" ${SPAN}`],
  [
    'file, unknown',
    fileSource('/etc/s.json', { retry: { frist: '5m' } }),
    '/etc/s.json: retry.frist: unknown setting (did you mean retry.first?).',
  ],
  [
    'file, not inherited',
    fileSource('/etc/s.json', { toString: 'x' }),
    '/etc/s.json: toString: unknown setting.',
  ],
];

for (const [where, source, sentence] of WRONG) {
  test(`what is wrong names where it stands: ${where}`, () => {
    assert.deepEqual(problems(readSources([commandLineSource({}), source])), [sentence]);
  });
}

test('a value with a password in it is never shown', () => {
  const read = readSources([fileSource('f', { 'mx-port': 'user:secret@example.org' })]);
  assert.deepEqual(problems(read), ['f: mx-port: its value is not a whole number from 1 to 65535.']);
});

test('each setting says what it is for', () => {
  for (const name of SETTING_NAMES) assert.match(SETTINGS[name].about, /\w{2}/, name);
});

const PIN = 'ab'.repeat(32);

for (const [what, given, says] of [
  [
    'a pin beside a looser policy',
    { 'tls-pin': [`MX.example.=${PIN}`], 'tls-host': ['mx.example=opportunistic'] },
    /^--tls-host has mx\.example=opportunistic, but \/etc\/a\.json: tls-pin has a fingerprint for mx\.example, which demands TLS\./,
  ],
  [
    'two policies for one host',
    { 'tls-host': ['mx.example=require', 'MX.example=none'] },
    /^--tls-host has mx\.example=require, but --tls-host has mx\.example=none\./,
  ],
  [
    'a password in clear beside TLS that is demanded',
    { 'auth-in-clear': ['mx.example'], 'tls-host': ['mx.example=require'] },
    /^--auth-in-clear names mx\.example, but --tls-host demands TLS with mx\.example\./,
  ],
  [
    'a pin for a host with which STARTTLS is not used',
    { 'extension-off': ['*=STARTTLS'], 'tls-pin': [`mx.example=${PIN}`] },
    /^--extension-off has \*=STARTTLS, but \/etc\/a\.json: tls-pin has a fingerprint for mx\.example/,
  ],
  [
    'TLS that is demanded of a host with which STARTTLS is not used',
    { 'extension-off': ['MX.example=STARTTLS'], 'tls-host': ['mx.example.=require'] },
    /^--extension-off has mx\.example=STARTTLS, but --tls-host demands TLS with mx\.example\./,
  ],
  [
    'TLS that is demanded of all hosts',
    { 'extension-off': ['*=STARTTLS'], 'relay-tls': 'require' },
    /^--extension-off has \*=STARTTLS, but --relay-tls demands TLS\./,
  ],
  [
    'a mechanism for a host with which AUTH is not used',
    { 'extension-off': ['r.example=AUTH'], 'auth-mechanism': ['r.example=PLAIN'] },
    /^--extension-off has r\.example=AUTH, but --auth-mechanism names PLAIN for r\.example\./,
  ],
  [
    'two mechanisms for one host',
    { 'auth-mechanism': ['r.example=PLAIN', 'R.example=LOGIN'] },
    /^--auth-mechanism has r\.example=PLAIN, but --auth-mechanism has r\.example=LOGIN\./,
  ],
  [
    'a first wait beyond the longest one',
    { 'retry.first': '2h', 'retry.ceiling': '1h' },
    /^--retry\.first is 2h, but --retry\.ceiling is 1h\. Change one of them\.$/,
  ],
  [
    'a first wait beyond the longest one, which has its default',
    { 'retry.first': '1d' },
    /^--retry\.first is 1d, but retry\.ceiling is 12h by default\./,
  ],
  [
    'a notice after the end',
    { 'retry.notice': '6d', 'retry.giveup': '5d' },
    /^--retry\.notice is 6d, but --retry\.giveup is 5d\./,
  ],
  [
    'more sessions with a host than in all',
    { 'limit.host': 11, 'limit.sessions': '10' },
    /^--limit\.host is 11, but --limit\.sessions is 10\./,
  ],
  [
    'more sessions with a destination than in all, which has its default',
    { 'limit.destination': '51' },
    /^--limit\.destination is 51, but limit\.sessions is 50 by default\./,
  ],
  [
    'more time for a reply than for all',
    { 'timeout.dot': '10m', 'timeout.delivery': '5m' },
    /^--timeout\.dot is 10m, but --timeout\.delivery is 5m\./,
  ],
  [
    'a password in clear beside a pin',
    { 'auth-in-clear': ['mx.example'], 'tls-pin': [`mx.example=${PIN}`] },
    /^--auth-in-clear names mx\.example, but \/etc\/a\.json: tls-pin has a fingerprint/,
  ],
] as const) {
  test(`settings that contradict each other are an error that names both places: ${what}`, () => {
    const { 'tls-pin': pins, ...words } = given as { readonly [name: string]: unknown };
    const file = pins === undefined ? {} : { 'tls-pin': pins };
    const read = readSources([commandLineSource(words), fileSource('/etc/a.json', file)]);
    assert.ok(!read.ok);
    assert.equal(read.problems.length, 1);
    assert.match(read.problems[0]?.text ?? '', says);
  });
}

test('a word about one host may be stricter than another, and an exception to a general setting', () => {
  for (const given of [
    { 'tls-pin': [`mx.example=${PIN}`], 'tls-host': ['mx.example=require'] },
    { tls: 'require', 'tls-host': ['mx.example=none', 'mx.example=none'] },
    { 'tls-pin': [`mx.example=${PIN}`], 'tls-host': ['other.example=none'], tls: 'none' },
    { 'extension-off': ['*=STARTTLS', 'r.example=AUTH'], 'auth-mechanism': ['other.example=PLAIN'] },
    { 'retry.ceiling': '1m', 'limit.sessions': '5', 'timeout.delivery': '1m' },
    { 'retry.notice': '5d', 'retry.giveup': '5d', 'limit.host': '5', 'limit.sessions': '5' },
    { 'retry.notice': '10d' },
  ])
    assert.ok(readSettings(given).ok, JSON.stringify(given));
});

test('a time in which nothing can be done is an error (R223)', () => {
  const rows = {
    'timeout.connect': '0',
    'timeout.delivery': '0ms',
    'retry.first': '999ms',
    'retry.early': '0',
    poll: '99ms',
  };
  for (const [name, value] of Object.entries(rows))
    assert.match(
      problems(readSettings({ [name]: value })).join(),
      /^--[a-z.]+: "[^"]+" is shorter than (?:1ms|1s|100ms)\.$/,
    );
  for (const name of ['timeout.idle', 'timeout.quit', 'timeout.stop'])
    assert.ok(readSettings({ [name]: '0' }).ok, name);
});
