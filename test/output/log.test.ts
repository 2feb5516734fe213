/** Log lines on their way to each target, and what happens when a target does not take them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { LogOptions } from '../../src/output/log/log.ts';
import { openLog, withoutRepeats } from '../../src/output/log/log.ts';
import type { LogEvent } from '../../src/output/log/log-events.ts';
import { temporaryDirectory } from '../support/spool.ts';

const DELIVERED: LogEvent = {
  level: 'info',
  event: 'delivered',
  message: 'delivered: job 2',
  fields: { job: 2, tls: null },
};
const WARNING: LogEvent = { level: 'warn', event: 'warning', message: 'careful', fields: {} };
const HOSTILE: LogEvent = {
  level: 'info',
  event: 'delivered',
  message: 'said \x1b[2J\nspoofed line\u202e',
  fields: { text: '\x1b[2J\r\n' },
};

/** Write lines, close, and give what came out at standard error. */
async function log(
  options: Partial<Omit<LogOptions, 'stderr'>>,
  ...lines: readonly LogEvent[]
): Promise<string> {
  const written: string[] = [];
  const stderr = new Writable({
    decodeStrings: false,
    write: (text, _, done) => {
      written.push(String(text));
      done();
    },
  });
  const open = openLog({
    level: 'info',
    format: 'pretty',
    target: 'stderr',
    colour: false,
    stderr: () => stderr,
    ...options,
  });
  for (const line of lines) open.write(line);
  await open.close();
  return written.join('');
}

const TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';

test('a warning that was told already is a line of less weight (R222)', () => {
  const lines: LogEvent[] = [];
  const written = async (): Promise<void> => {};
  const quiet = withoutRepeats(
    { write: (line) => lines.push(line), reopen: written, close: written },
    (recurring) => recurring === 'new',
  );
  quiet.write({ ...WARNING, recurs: 'new' });
  quiet.write({ ...WARNING, recurs: 'old' });
  quiet.write({ ...WARNING, level: 'error', recurs: 'old' });
  quiet.write(WARNING);
  quiet.write({ ...DELIVERED, recurs: 'old' });
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['warn', 'info', 'info', 'warn', 'info'],
  );
});

test('in the journal: the level as it reads it, no time, and no line of its own making', async () => {
  assert.equal(
    await log(
      { journal: true },
      DELIVERED,
      { ...WARNING, message: 'a\n<0>b' },
      { ...WARNING, level: 'error' },
    ),
    '<6>delivered: job 2\n<4>a\\n<0>b\n<3>careful\n',
  );
});

test('on standard error: time, level, sentence, in order', async () => {
  const text = await log({}, DELIVERED, WARNING);
  assert.match(text, new RegExp(`^${TIME} info delivered: job 2\n${TIME} warn careful\n$`));
});

test('lines above the level are dropped', async () => {
  assert.match(await log({ level: 'warn' }, DELIVERED, WARNING), new RegExp(`^${TIME} warn careful\n$`));
  assert.equal(await log({ level: 'error' }, DELIVERED, WARNING), '');
});

test('in colour only the level is coloured', async () => {
  assert.match(
    await log({ colour: true }, WARNING),
    new RegExp(`^${TIME} \x1b\\[33mwarn\x1b\\[39m careful\n$`),
  );
});

test('as JSON every line is one object with all fields', async () => {
  const text = await log({ format: 'json' }, DELIVERED);
  const { timestamp, ...rest } = JSON.parse(text);
  assert.match(text, /^\{"event":"delivered","job":2,"level":.*,"message":.*,"timestamp":.*,"tls":null\}\n$/);
  assert.match(timestamp, new RegExp(`^${TIME}$`));
  assert.deepEqual(rest, {
    level: 'info',
    event: 'delivered',
    message: 'delivered: job 2',
    job: 2,
    tls: null,
  });
});

test('what a server said can neither steer a terminal nor make a line', async () => {
  const text = await log({}, HOSTILE);
  assert.match(text, new RegExp(`^${TIME} info said \\\\x1b\\[2J\\\\nspoofed line\\\\u\\{202e\\}\n$`));
  assert.equal(JSON.parse(await log({ format: 'json' }, HOSTILE)).text, '\\x1b[2J\\r\\n');
});

test('a file is added to, a thousand lines all arrive, and others cannot read it', async (t) => {
  const target = path.join(temporaryDirectory(t), 'log');
  await log({ target }, DELIVERED);
  assert.equal(await log({ target }, ...Array.from({ length: 1000 }, () => WARNING)), '');
  const lines = fs.readFileSync(target, 'utf8').split('\n');
  assert.deepEqual([lines.length, lines.at(-1)], [1002, '']);
  assert.match(lines[0] ?? '', /delivered: job 2$/);
  assert.equal(fs.statSync(target).mode & 0o007, 0);
});

test('a pipe that nobody reads yet keeps nothing waiting but its lines', async (t) => {
  const target = path.join(temporaryDirectory(t), 'pipe');
  execFileSync('mkfifo', [target]);
  const written = log({ target }, DELIVERED);
  await new Promise(setImmediate);
  const reader = fs.createReadStream(target, 'utf8');
  const [lines] = await once(reader, 'data');
  assert.match(lines, /delivered: job 2\n$/);
  assert.equal(await written, '');
});

test('a file that cannot be written is reported once, and its lines go to standard error', async (t) => {
  const target = path.join(temporaryDirectory(t), 'missing', 'log');
  const text = await log({ target }, DELIVERED, WARNING);
  const [sentence, first, second, ...rest] = text.split('\n');
  assert.match(
    sentence ?? '',
    /^spoolroom: the log \S+\/missing\/log cannot be written: it does not exist \(ENOENT\); its/,
  );
  assert.match(first ?? '', /info delivered: job 2$/);
  assert.match(second ?? '', /warn careful$/);
  assert.deepEqual(rest, ['']);
});

/** A syslog server that takes so many datagrams. */
async function syslogServer(t: TestContext, count: number) {
  const server = createSocket('udp4');
  t.after(() => server.close());
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const arrived: string[] = [];
  const all = new Promise<readonly string[]>((resolve) => {
    server.on('message', (bytes) => {
      if (arrived.push(bytes.toString()) === count) resolve(arrived);
    });
  });
  return { target: `syslog:127.0.0.1:${server.address().port}`, all };
}

test('datagrams to a syslog server: RFC 5424, facility mail, severity by level', async (t) => {
  const { target, all } = await syslogServer(t, 2);
  assert.equal(await log({ target }, DELIVERED, WARNING), '');
  const [first = '', second = ''] = await all;
  const head = (priority: number) => `^<${priority}>1 ${TIME} \\S+ spoolroom ${process.pid} - - `;
  assert.match(first, new RegExp(`${head(22)}delivered: job 2$`));
  assert.match(second, new RegExp(`${head(20)}careful$`));
});

test('of many lines at once, each is a datagram of its own (R312)', async (t) => {
  const { target, all } = await syslogServer(t, 20);
  const lines = Array.from({ length: 20 }, (_, n) => ({ ...DELIVERED, message: `line ${n}` }));
  assert.equal(await log({ target }, ...lines), '');
  assert.deepEqual(
    (await all).map((text) => text.replace(/^.* - - /s, '')),
    lines.map(({ message }) => message),
  );
});

/** A `logger` that writes down how it was called and what it got. */
function loggerProgram(t: TestContext, script: string): string {
  const folder = temporaryDirectory(t);
  fs.writeFileSync(path.join(folder, 'logger'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const before = process.env.PATH;
  process.env.PATH = `${folder}:${before}`;
  t.after(() => {
    process.env.PATH = before;
  });
  return folder;
}

test('the local syslog is reached through logger', async (t) => {
  const folder = loggerProgram(
    t,
    'cd "$(dirname "$0")"; echo "$@" > call; cat > part; if [ -s part ]; then mv part lines; fi',
  );
  const arrived = new Promise<void>((resolve) => {
    const watcher = fs.watch(folder, (_, name) => {
      if (name !== 'lines') return;
      watcher.close();
      resolve();
    });
  });
  assert.equal(await log({ target: 'syslog' }, DELIVERED, WARNING), '');
  await arrived;
  assert.equal(
    fs.readFileSync(path.join(folder, 'call'), 'utf8'),
    '--tag spoolroom --prio-prefix --socket-errors=on\n',
  );
  assert.equal(fs.readFileSync(path.join(folder, 'lines'), 'utf8'), '<22>delivered: job 2\n<20>careful\n');
});

test('without logger the lines go to standard error', async (t) => {
  const before = process.env.PATH;
  process.env.PATH = temporaryDirectory(t);
  t.after(() => {
    process.env.PATH = before;
  });
  const text = await log({ target: 'syslog' }, WARNING);
  assert.match(
    text,
    /^spoolroom: the log syslog cannot be written: the program logger cannot be started: it does not exist \(ENOENT\); its lines follow here\.\n/,
  );
});

test('without a syslog the lines go to standard error, the first one included', async (t) => {
  loggerProgram(t, 'case "$*" in *--socket-errors=on*) exit 1;; esac; cat > /dev/null');
  const text = await log({ target: 'syslog' }, WARNING);
  assert.match(text, /cannot be written: the program logger finds no syslog; its lines .*\n.*careful\n/);
});

test('a file that was renamed keeps its lines, and the next ones go to a new file', async (t) => {
  const target = path.join(temporaryDirectory(t), 'log');
  const open = openLog({
    ...{ level: 'info', format: 'pretty', target, colour: false },
    stderr: () => process.stderr,
  });
  open.write(DELIVERED);
  await open.reopen();
  fs.renameSync(target, `${target}.1`);
  open.write(DELIVERED);
  await open.reopen();
  open.write(WARNING);
  await open.close();
  assert.match(fs.readFileSync(`${target}.1`, 'utf8'), new RegExp(`^${TIME} info delivered: job 2\n$`));
  assert.match(
    fs.readFileSync(target, 'utf8'),
    new RegExp(`^${TIME} info delivered: job 2\n${TIME} warn careful\n$`),
  );
});
