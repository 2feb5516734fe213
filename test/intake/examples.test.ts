/** The files an administrator copies: each is read by what will read it, where that is present. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { rejectedEvent } from '../../src/output/log/log-events.ts';
import { loginFailedEvent, loginsFailedEvent } from '../../src/output/log/process-events.ts';
import { readSettings } from '../../src/settings/read.ts';
import { temporaryDirectory } from '../support/spool.ts';

const EXAMPLES = new URL('../../techdoc/examples/', import.meta.url);

function example(name: string): string {
  return fs.readFileSync(new URL(name, EXAMPLES), 'utf8');
}

/** Lines that say something. */
function linesOf(name: string): string[] {
  return example(name)
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));
}

function isPresent(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

const CONFIGURATIONS = ['spoolroom.json', 'spoolroom-live.json', 'spoolroom-shared.json'];
const UNITS = [
  'spoolroom.service',
  'spoolroom-run.service',
  'spoolroom-run.timer',
  'spoolroom-intake.service',
  'spoolroom-web.service',
  'spoolroom-shared.service',
];

test('every example is tested here', () => {
  const tested = [
    ...UNITS,
    'compose.yml',
    'crontab',
    'fail2ban-filter.conf',
    // By test/metrics/examples.test.ts.
    'grafana-dashboard.json',
    'prometheus-rules.yml',
    'logrotate',
    'sysusers.conf',
    'tmpfiles.conf',
    ...CONFIGURATIONS,
  ];
  assert.deepEqual(fs.readdirSync(EXAMPLES).sort(), tested.sort());
});

const verifyUnits = (t: TestContext): void => {
  const directory = temporaryDirectory(t);
  for (const name of UNITS) {
    // The program need not be installed where the tests run.
    fs.writeFileSync(`${directory}/${name}`, example(name).replaceAll('/usr/bin/spoolroom', '/bin/true'));
  }
  const checked = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', ...UNITS.map((name) => `${directory}/${name}`)],
    {
      encoding: 'utf8',
    },
  );
  const about = checked.stderr.split('\n').filter((line) => line.includes('spoolroom'));
  assert.deepEqual([checked.status, about], [0, []]);
};
if (isPresent('systemd-analyze')) test('units are accepted by systemd', verifyUnits);

test('units run one command each, as a user without rights', () => {
  for (const name of UNITS.filter((unit) => unit.endsWith('.service'))) {
    const unit = linesOf(name);
    const [command] = unit.filter((line) => line.startsWith('ExecStart='));
    assert.match(
      command ?? '',
      /^ExecStart=\/usr\/bin\/spoolroom (?:run|watch|intake|web|watch --intake) --config \/etc\/spoolroom\/spoolroom\.json$/,
    );
    for (const line of [
      'User=spoolroom',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
      'CapabilityBoundingSet=',
    ])
      assert.ok(unit.includes(line), `${name}: ${line}`);
  }
});

test('the containers of several machines run known commands with known settings', (t) => {
  // Python has a reader of YAML where ansible or the like is; Node has none.
  const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))';
  const read = spawnSync('python3', ['-c', script], { input: example('compose.yml'), encoding: 'utf8' });
  if (read.status !== 0) return t.skip('python3-yaml is not installed');
  const { services, volumes } = JSON.parse(read.stdout) as {
    readonly services: {
      readonly [name: string]: {
        readonly command?: readonly string[];
        readonly environment?: { readonly [name: string]: string };
        readonly volumes?: readonly string[];
        readonly depends_on?: object;
        readonly network_mode?: string;
      };
    };
    readonly volumes: object;
  };
  const ours = Object.entries(services).filter(([, { command }]) => command?.[0] === 'spoolroom');
  assert.deepEqual(
    ours.map(([name]) => name),
    ['migrate', 'spoolroom1', 'spoolroom2'],
  );
  for (const [name, { command = [], environment = {}, ...service }] of ours) {
    const [, word = '', ...words] = command;
    const entry = COMMANDS.find(({ usage }) => usage.split(' ', 1)[0] === word);
    for (const option of words.filter((each) => each.startsWith('--')).map((each) => each.slice(2)))
      assert.ok(entry?.options?.[option] ?? entry?.settings.some((setting) => setting === option), option);
    const settings = Object.entries(environment).filter(([key]) => key.startsWith('SPOOLROOM_'));
    const given = settings.map(([key, value]) => [key.slice(10).toLowerCase(), value]);
    const checked = readSettings(Object.fromEntries(given));
    assert.ok(checked.ok, JSON.stringify(checked));
    const others = [...Object.keys(service.depends_on ?? {}), service.network_mode?.replace('service:', '')];
    for (const other of others)
      assert.ok(other === undefined || services[other] !== undefined, `${name}: ${other}`);
  }
  const used = Object.values(services).flatMap((service) => service.volumes ?? []);
  assert.deepEqual(
    used.map((volume) => volume.split(':', 1)[0]),
    Object.keys(volumes),
  );
});

test('the table of cron has five times, a user and a command', () => {
  const jobs = linesOf('crontab').filter((line) => !/^[A-Z]+=/.test(line));
  assert.equal(jobs.length, 1);
  assert.match(jobs[0] ?? '', /^(?:[\d*/,-]+ ){5}spoolroom \/usr\/bin\/spoolroom run --config \S+$/);
});

test('log rotation names known directives and closes its block', () => {
  const known =
    /^\t(?:weekly|rotate \d+|compress|delaycompress|missingok|notifempty|copytruncate|su \w+ \w+)$/;
  const [opening, ...rest] = linesOf('logrotate');
  assert.equal(opening, '/var/log/spoolroom/*.log {');
  assert.equal(rest.pop(), '}');
  for (const line of rest) assert.match(line, known);
});

const applyFiles = (t: TestContext): void => {
  const root = temporaryDirectory(t);
  for (const [program, name] of [
    ['systemd-sysusers', 'sysusers.conf'],
    ['systemd-tmpfiles', 'tmpfiles.conf'],
  ] as const) {
    const file = `${root}/${name}`;
    fs.writeFileSync(file, example(name));
    fs.mkdirSync(`${root}/etc`, { recursive: true });
    fs.writeFileSync(`${root}/etc/group`, '');
    const options = program === 'systemd-tmpfiles' ? ['--create', '--prefix=/nowhere'] : ['--dry-run'];
    const checked = spawnSync(program, [`--root=${root}`, ...options, file], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr);
  }
};
if (isPresent('systemd-sysusers')) test('user and directories are accepted by systemd', applyFiles);

test('directories belong to the user, and only into that of compiled code can others look', () => {
  for (const line of linesOf('tmpfiles.conf')) {
    if (line === 'd /var/cache/spoolroom 0755 spoolroom spoolroom 60d') continue;
    assert.match(line, /^[dz] \/(?:var|etc)\/\S+ [02][67][0457]0 (?:spoolroom|root) (?:spoolroom|adm) -$/);
  }
});

const GUESSING = ['192.0.2.7', '2001:db8::7', '203.0.113.9', '203.0.113.10', '2001:db8::8'];

/** The lines that the intake logs, as they lie in a file. */
function failedLogins(): readonly string[] {
  const failure = { user: 'citadel', failures: 3, heard: true };
  // A stranger may call himself a line that bans somebody else.
  const hostile = 'x\n2026-01-02T03:04:05.678Z warn login failed from 198.51.100.1: ha';
  return [
    loginFailedEvent({ ...failure, address: '192.0.2.7' }),
    loginFailedEvent({ ...failure, address: '2001:db8::7', heard: false }),
    loginFailedEvent({ ...failure, address: '203.0.113.9', user: hostile }),
    loginsFailedEvent('203.0.113.10', 1),
    loginsFailedEvent('2001:db8::8', 4711),
    loginsFailedEvent(null, 200),
  ].map(({ level, message }) => `2026-01-02T03:04:05.678Z ${level} ${message}`);
}

test('the filter for fail2ban finds the address of each failed login, and no other', () => {
  const [failregex = ''] = /(?<=^failregex = ).*$/m.exec(example('fail2ban-filter.conf')) ?? [];
  // fail2ban takes the time away first and puts an address where <HOST> stands.
  const filter = new RegExp(failregex.replace('<HOST>', '(?<host>[\\da-fA-F.:]+)'));
  const hosts = failedLogins().map((line) => filter.exec(line.replace(/^\S+/, ''))?.groups?.host);
  assert.deepEqual(hosts, [...GUESSING, undefined]);
  const { message } = rejectedEvent(
    {
      ...{ code: 452, text: 'full', client: 'warn login failed from 198.51.100.1: ha (192.0.2.7)' },
      ...{ sender: '', messageId: null, size: null, recipients: [] },
    },
    (text) => text,
  );
  assert.equal(filter.exec(` warn ${message}`), null);
});

const runFail2ban = (t: TestContext): void => {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(
    `${directory}/log`,
    failedLogins()
      .map((line) => `${line}\n`)
      .join(''),
  );
  const filter = new URL('fail2ban-filter.conf', EXAMPLES).pathname;
  const { stdout, stderr } = spawnSync('fail2ban-regex', ['--out', 'ip', `${directory}/log`, filter], {
    encoding: 'utf8',
  });
  assert.deepEqual(
    stdout.split('\n').filter((line) => line !== ''),
    GUESSING,
    stderr,
  );
};
if (isPresent('fail2ban-regex')) test('the filter is understood by fail2ban', runFail2ban);

test('the configuration files hold known settings only', () => {
  for (const name of CONFIGURATIONS) {
    assert.equal(readSettings(JSON.parse(example(name))).ok, true, name);
  }
});
