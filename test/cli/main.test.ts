/** The command line: which command is called with which settings, what is printed, the exit code. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { readCommandLine } from '../../src/cli/shell/command-line.ts';
import { wrapText } from '../../src/cli/shell/help-text.ts';
import { main } from '../../src/cli/shell/main.ts';
import { settingsFor } from '../../src/cli/shell/settings.ts';
import type { Settings } from '../../src/settings/table.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { MAIL, messagesIn, spoolOf, temporaryDirectory } from '../support/spool.ts';

interface Said {
  readonly exit: number;
  readonly printed: string;
  readonly errors: string;
}

async function spoolroom(
  words: string,
  environment: NodeJS.ProcessEnv = {},
  input: readonly string[] = [],
): Promise<Said> {
  const caught = caughtTerminal(input);
  const exit = await main(
    words.split(' ').filter((word) => word !== ''),
    environment,
    caught.terminal,
  );
  return { exit, printed: caught.printed.join('\n'), errors: caught.errors.join('\n') };
}

async function settingsOf(words: string, environment: NodeJS.ProcessEnv = {}): Promise<Settings> {
  const line = readCommandLine(words.split(' '), COMMANDS);
  assert.equal(line.kind, 'call');
  const settings = settingsFor(line.entry, line.parsed, environment);
  assert.ok(!('kind' in settings), JSON.stringify(settings));
  return settings;
}

function configFile(t: TestContext, content: string): string {
  const file = path.join(temporaryDirectory(t), 'spoolroom.json');
  fs.writeFileSync(file, content);
  return file;
}

test('a command gets the settings that were typed', async () => {
  const settings = await settingsOf(
    'run --spool 007 --smarthost a.example --smarthost=b.example:26 --timeout.greeting 30s --dialect 2017 --json --mx-port 2525',
  );
  assert.equal(settings.spool, '007');
  assert.deepEqual(settings.smarthost, ['a.example', 'b.example:26']);
  assert.equal(settings['timeout.greeting'], 30_000);
  assert.deepEqual([settings.dialect, settings.json, settings['mx-port']], ['2017', true, 2525]);
});

test('a list does not take the argument after it', async (t) => {
  const spool = spoolOf(t, {});
  const done = await spoolroom(
    `enqueue --spool ${spool} -f a@example.org -oi -i bob@example.com eve@example.com`,
    {},
    [MAIL],
  );
  assert.deepEqual([done.exit, done.errors], [0, '']);
  assert.match(messagesIn(spool)['2'] ?? '', /envelope_from\|a@example\.org\nremote\|bob@.*\nremote\|eve@/);
});

test('enqueue takes what programs give to sendmail', async (t) => {
  for (const words of [
    '-fa@example.org -oem -odb -i -t',
    '-FCronDaemon -B8BITMIME -f a@example.org -ti',
    '-F Me -fa@example.org -t --',
    '-F Me -oi -bm -G -U -m -v -n -e m -em -N failure,delay -r a@example.org -t',
    '-h 5 -h17 -t -f a@example.org',
    '--now -6d -t -f a@example.org',
    '-d0.1 -p SMTP:h -D log -Mmacro -Q why -f a@example.org -t',
    '-O DeliveryMode=b -Am -Cconfig -L tag -X file -fb@example.org -f a@example.org -tiv',
  ]) {
    const spool = spoolOf(t, {});
    const done = await spoolroom(`enqueue --spool ${spool} ${words}`, {}, [MAIL]);
    assert.deepEqual([done.exit, done.errors], [0, ''], words);
    assert.match(messagesIn(spool)['2'] ?? '', /envelope_from\|a@example\.org\nremote\|b@example\.com/);
  }
  const spool = spoolOf(t, {});
  const done = await spoolroom(
    `enqueue --spool ${spool} -fa@b.example -- --file=/etc/passwd@example.com`,
    {},
    [MAIL],
  );
  assert.deepEqual([done.exit, done.errors], [0, ''], 'no recipient is an option');
  assert.match(messagesIn(spool)['2'] ?? '', /remote\|--file=\/etc\/passwd@example\.com/);
});

test('an empty value of an option of sendmail is that value', async (t) => {
  const spool = spoolOf(t, {});
  const caught = caughtTerminal([MAIL]);
  const words = ['enqueue', '--spool', spool, '-F', '', '-f', '', 'b@example.com'];
  assert.deepEqual([await main(words, {}, caught.terminal), caught.errors], [0, []]);
  assert.match(messagesIn(spool)['2'] ?? '', /envelope_from\|<>\nremote\|b@example\.com/);
});

test('enqueue ignores an option of sendmail that it does not know, with a warning', async (t) => {
  const spool = spoolOf(t, {});
  const done = await spoolroom(`enqueue --spool ${spool} -ZitJ -f a@example.org`, {}, [MAIL]);
  assert.equal(done.exit, 0);
  assert.equal(done.errors, 'spoolroom: enqueue ignores unknown options: -Z, -J.');
  assert.match(messagesIn(spool)['2'] ?? '', /envelope_from\|a@example\.org\nremote\|b@example\.com/);
  const mistyped = await spoolroom(`enqueue --spool ${spool} --bounctoo a@example.org b@example.com`);
  assert.equal(mistyped.exit, 64);
});

test('help is wrapped between words, within its column', () => {
  const text = '  --one    a word and many more words that go on  [string]\n  --other  short';
  assert.equal(
    wrapText(text, 30),
    '  --one    a word and many\n           more words that go\n           on [string]\n  --other  short',
  );
  assert.ok(wrapText(text, 12).split('\n').length > 4);
});

test('the environment may hold a setting of another command', async (t) => {
  const done = await spoolroom(`queue --spool ${spoolOf(t, {})}`, { SPOOLROOM_SMARTHOST: 'a.example' });
  assert.deepEqual(done, { exit: 0, printed: 'The spool is empty.', errors: '' });
});

test('a configuration file, named in the environment', async (t) => {
  const config = configFile(t, '{"spool": "/a", "timeout": {"mail": "1m"}}');
  const settings = await settingsOf('run --spool /b', { SPOOLROOM_CONFIG: config });
  assert.deepEqual([settings.spool, settings['timeout.mail']], ['/b', 60_000]);
});

test('the usual configuration file holds where none is named and it exists', async (t) => {
  const usual = configFile(t, '{"spool": "/usual"}');
  const other = configFile(t, '{"spool": "/other"}');
  const line = readCommandLine(['run'], COMMANDS);
  assert.equal(line.kind, 'call');
  const spoolWith = (environment: NodeJS.ProcessEnv, file: string | null): unknown => {
    const settings = settingsFor(line.entry, line.parsed, environment, file);
    return 'kind' in settings ? settings.text : settings.spool;
  };
  assert.equal(spoolWith({}, usual), '/usual');
  assert.equal(spoolWith({ SPOOLROOM_CONFIG: other }, usual), '/other');
  assert.equal(spoolWith({ SPOOLROOM_CONFIG: '' }, usual), null);
  assert.equal(spoolWith({}, '/nowhere/spoolroom.json'), null);
});

test('help and version go to standard output', async () => {
  const asked = ['--help', '-h', 'help', 'help help', 'run --help', 'run -h', 'help run'];
  for (const words of [...asked, '--version', '-V', 'run --version', 'run -V']) {
    const done = await spoolroom(words);
    assert.deepEqual([done.exit, done.errors], [0, ''], words);
    assert.notEqual(done.printed, '');
  }
  const help = await spoolroom('--help');
  for (const { usage } of COMMANDS) assert.ok(help.printed.includes(`spoolroom ${usage}`), usage);
});

test('what a file says twice, or not in UTF-8, is an error, and no setting is lost', async (t) => {
  const config = async (content: string | Buffer) => {
    const file = path.join(temporaryDirectory(t), 'spoolroom.json');
    fs.writeFileSync(file, content);
    return (await spoolroom(`settings --given --config ${file}`)).errors.replace(file, 'FILE');
  };
  for (const [name, json] of [
    ['smarthost', '{"smarthost": ["a.example"], "smarthost": ["b.example"]}'],
    ['timeout', '{"timeout": {"mail": "1m"}, "timeout": {"dot": "1m"}}'],
    ['timeout.mail', '{"timeout": {"mail": "1m"}, "timeout.mail": "2m"}'],
    ['destinations.to', '{"destinations": [{"to": "a.example", "tls": "none", "to": "b.example"}]}'],
  ] as const)
    assert.match(
      await config(json),
      new RegExp(`^spoolroom: The configuration file FILE has ${name} twice`),
      json,
    );
  const alike =
    '{"destinations": [{"to": "a\\"{:", "tls": "none"}, {"to": "b", "tls": "none"}], "tls": "none"}';
  assert.equal(await config(alike), '');
  assert.equal(await config('\ufeff{"tls": "none"}'), '', 'a byte order mark');
  assert.match(
    await config(Buffer.from('{"smarthost": ["joe:k\xe4se@a.example"]}', 'latin1')),
    /FILE cannot be used: it is not text in UTF-8 \(EILSEQ\)\.$/,
  );
  const inEnvironment = await spoolroom('settings', { SPOOLROOM_SMARTHOST: 'joe:k\ufffdse@a.example' });
  assert.match(inEnvironment.errors, /^spoolroom: SPOOLROOM_SMARTHOST: its value is not text in UTF-8\.$/);
});

test('names of files and settings in errors cannot steer a terminal', async () => {
  for (const words of [
    'run --spool /no\x1b[2J\u202e',
    'run --spool . --config /no\x1b[2J\u202e',
    'run --spool . --tls-ca /no\x1b[2J\u202e',
    'replay /no\x1b[2J\u202e',
  ]) {
    const { exit, errors } = await spoolroom(words);
    assert.notEqual(exit, 0);
    assert.match(errors, /no\\x1b\[2J\\u\{202e\}/);
    assert.doesNotMatch(errors, /[\x1b\u202e]/);
  }
});

test('a comma in a password in the environment makes two entries, and the error says so', async () => {
  const done = await spoolroom('run --spool .', { SPOOLROOM_SMARTHOST: 'joe:SEC,RET@a.example' });
  assert.equal(done.exit, 78);
  assert.match(done.errors, /commas separate entries: write %2C/);
  assert.doesNotMatch(done.errors, /SEC|RET/);
});

test('an option may come before the command, and a value may begin with a dash', async (t) => {
  const spool = spoolOf(t, {});
  assert.equal((await spoolroom(`--spool ${spool} queue`)).printed, 'The spool is empty.');
  const done = await spoolroom(`enqueue --spool ${spool} -f-a@example.org b@example.com`, {}, [MAIL]);
  assert.deepEqual([done.exit, done.errors], [0, '']);
  assert.match(messagesIn(spool)['2'] ?? '', /envelope_from\|-a@example\.org/);
});

test('help lists the settings a command takes, and no others', async () => {
  const run = await spoolroom('run --help');
  assert.match(run.printed, /--timeout\.greeting +until the greeting is complete \[default 5m\]/);
  const queue = await spoolroom('queue --help');
  assert.ok(queue.printed.includes('--spool') && !queue.printed.includes('--smarthost'));
  assert.match(queue.printed, /--dialect .*\n? *.*\[2012\|2017; default 2012\]/);
  assert.ok(!run.printed.includes('--intake.'), 'a run takes no mail in');
});

const WRONG: readonly (readonly [words: string, exit: number, errors: RegExp])[] = [
  ['', 64, /^spoolroom: No command given\.\nTry: spoolroom --help$/],
  ['frobnicate', 64, /^spoolroom: Unknown command "frobnicate"\.\nTry: spoolroom --help$/],
  ['qeue', 64, /^spoolroom: Unknown command "qeue" \(did you mean queue\?\)\.\n/],
  ['help rnu', 64, /^spoolroom: Unknown command "rnu" \(did you mean run\?\)\.\n/],
  ['--spool /x', 64, /^spoolroom: No command given, only --spool\.\n/],
  [
    'run --spol /x',
    64,
    /^spoolroom: run has no option --spol \(did you mean --spool\?\)\.\nTry: spoolroom run --help$/,
  ],
  ['run now', 64, /^spoolroom: Unexpected argument "now"\.\n/],
  ['version', 64, /^spoolroom: Unknown command "version" \(did you mean --version\?\)\.\n/],
  ['--halp', 64, /^spoolroom: No command given, only --halp \(did you mean --help\?\)\.\n/],
  ['-v', 64, /^spoolroom: No command given, only -v \(did you mean --version\?\)\.\n/],
  ['run -spool /x', 64, /^spoolroom: run has no option -spool \(did you mean --spool\?\)\.\n/],
  ['run --no-spool', 64, /^spoolroom: run has no option --no-spool/],
  [
    'intake --listen x',
    64,
    /^spoolroom: intake has no option --listen \(did you mean --intake\.listen\?\)\.\n/,
  ],
  ['run --tls REQUIRE', 64, /is not one of none, opportunistic, require \(did you mean require\?\)\.$/],
  ['remove --all --dry-run=yes --yes', 64, /^spoolroom: --dry-run takes no value but true and false\.\n/],
  ['queue --help=x', 64, /^spoolroom: --help takes no value but true and false\.\n/],
  ['queue -x', 64, /^spoolroom: queue has no option -x\.\n/],
  ['run --spool', 64, /^spoolroom: --spool needs a value\.\n/],
  ['explain', 64, /^spoolroom: Missing job number: spoolroom explain <job>\n/],
  ['explain -', 64, /^spoolroom: No spool given/],
  ['explain --spool . -- -5', 64, /^spoolroom: -5 is not a job number/],
  ['run --spool /a --spool /b', 64, /^spoolroom: --spool: \["\/a","\/b"\] is given more than once\.$/],
  ['run --poll soon', 64, /^spoolroom: --poll: "soon" is not a duration/],
  ['run', 64, /^spoolroom: No spool given\. Name it with --spool DIR/],
  ['run --spool /nowhere/at/all', 66, /^spoolroom: The spool directory \/nowhere\/at\/all does not exist/],
  [
    'run --spool . --smarthost user@host',
    64,
    /^spoolroom: setting smarthost: \*\*\*@host: .*without a password/,
  ],
  ['run --spool . --return foo:bar', 64, /^spoolroom: setting return: \*\*\* is not lmtp:/],
  ['run --spool . --charset klingon', 64, /^spoolroom: .*unknown charset "klingon"/],
  [
    'run --spool . --config /nowhere',
    78,
    /^spoolroom: The configuration file \/nowhere cannot be used: it does not exist \(ENOENT\)\.$/,
  ],
  ['run --spool . --tls-ca /nowhere', 78, /^spoolroom: .*tls-ca.*\/nowhere/],
];

for (const [words, exit, errors] of WRONG) {
  test(`refused: spoolroom ${words}`, async () => {
    const done = await spoolroom(words);
    assert.equal(done.exit, exit);
    assert.match(done.errors, errors);
    assert.equal(done.printed, '');
  });
}

test('a command for spools names the command that shows the queue inside a server', async () => {
  const done = await spoolroom('queue', { SPOOLROOM_STATE: '/var/lib/spoolroom' });
  assert.equal(done.exit, 64);
  assert.match(done.errors, /queue inside a Citadel server \(state .*own tools show/);
});

test('a bad value in the environment or in a file is a configuration error that names its place', async (t) => {
  const variable = await spoolroom('queue --spool /x', { SPOOLROOM_POLL: 'soon' });
  assert.deepEqual(
    [variable.exit, /^spoolroom: SPOOLROOM_POLL: "soon" is not/.test(variable.errors)],
    [78, true],
  );
  const relay = await spoolroom('run --spool /x', { SPOOLROOM_SMARTHOST: ':3001' });
  assert.deepEqual(
    [relay.exit, relay.errors.startsWith('spoolroom: setting smarthost: :3001: ')],
    [78, true],
  );
  const config = configFile(t, '{"pol": "5s"}');
  const file = await spoolroom(`queue --spool /x --config ${config}`);
  assert.deepEqual(
    [file.exit, file.errors],
    [78, `spoolroom: ${config}: pol: unknown setting (did you mean poll?).`],
  );
  for (const [text, line] of [
    ['{"poll": "5s",\n "smarthost": "user:geheim@a.example\n}', 'line 2'],
    ['{\n"smarthost": geheim\n}', 'line 2'],
    ['{\n\n"poll": "5s"\n', 'line 3'],
    ['{"poll": "5s",\n}', 'line 2 (trailing comma?)'],
    ['', 'line 1'],
  ] as const) {
    const broken = configFile(t, text);
    const { exit, errors } = await spoolroom(`queue --spool /x --config ${broken}`);
    assert.equal(exit, 78);
    assert.equal(
      errors,
      `spoolroom: The configuration file ${broken} cannot be used: invalid JSON at ${line}.`,
    );
  }
  const ca = configFile(t, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const pem = await spoolroom(`run --spool /x --tls-ca ${ca}`);
  assert.deepEqual(
    [pem.exit, /it does not hold complete certificates in PEM form\.$/.test(pem.errors)],
    [78, true],
  );
  const list = configFile(t, '[]');
  const array = await spoolroom(`queue --spool /x --config ${list}`);
  assert.deepEqual([array.exit, array.errors.endsWith('must hold one JSON object of settings.')], [78, true]);
});
