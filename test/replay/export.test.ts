/** `replay` with the export of a server: its jobs, one of them in a world, and damaged exports. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { main } from '../../src/cli/shell/main.ts';
import { isExport, messageIn } from '../../src/replay/export.ts';
import { cut, fixture, latin1, native } from '../message/support.ts';
import { caughtTerminal } from '../support/invocation.ts';
import { HEADER, listFor, MAIL, NOW, spoolOf, temporaryDirectory } from '../support/spool.ts';

const AT = ['--now', String(NOW + 600)];

async function call(...words: readonly string[]) {
  const { terminal, printed, errors } = caughtTerminal();
  const exit = await main(words, {}, terminal);
  return { exit, out: printed.join('\n'), errors: errors.join('\n') };
}

const control = (text: string): Buffer => native({ A: 'Citadel', U: 'QMSG' }, text, 4);

function message(number: number, bytes: Buffer): string {
  const base64 = bytes.toString('base64').replace(/(.{60})/g, '$1\n');
  return `<message>\n<msg_msgnum>${number}</msg_msgnum>\n<msg_text>${base64}</msg_text>\n</message>\n`;
}

function room(name: string, list: string): string {
  return `<room_messages>\n<FRname>${name}</FRname>\n<FRmsglist>${list}</FRmsglist>\n</room_messages>\n`;
}

function exportOf(...parts: readonly string[]): string {
  const head = '<?xml version="1.0" encoding="UTF-8" ?>\n<citadel_migrate_data>\n<version>902</version>\n';
  return `${head}${parts.join('')}</citadel_migrate_data>\n`;
}

const TRIED =
  `${HEADER}msgid|1\nsubmitted|${NOW}\nbounceto|a@example.org\nretry|300\nattempted|${NOW + 800}\n` +
  'remote|alice@one.example|4|4.7.1 Greylisted|\nremote|bob@one.example|2|250 ok|\n';

const EXPORT = exportOf(
  room('Lobby', '5:6,90'),
  room('__CitadelSMTPspoolout__', '1:3,59:60'),
  message(90, control(listFor(1, 'dora@one.example'))),
  message(1, native({ A: 'Ann', F: 'ann@example.org' }, MAIL, 4)),
  message(2, control(TRIED)),
  message(3, control(`${HEADER}nonsense\n`)),
  message(59, fixture('2012-399.native')),
  message(60, fixture('2016-control-new.native')),
);

function written(t: TestContext, text: string): string {
  const file = path.join(temporaryDirectory(t), 'export.xml');
  fs.writeFileSync(file, text);
  return file;
}

test('the jobs of an export are listed: message, pending recipients, last reply', async (t) => {
  const { exit, out } = await call('replay', written(t, EXPORT), ...AT);
  assert.equal(exit, 0);
  assert.deepEqual(
    out.split('\n').map((line) => line.replace(/ {2,}/g, '  ')),
    [
      'job  age  next  sender  recipient  why',
      '2  10 min  3 min  -  alice@one.example +1  4.7.1 Greylisted',
      '60  0 s  now  -  t1@b1.example',
      '90  10 min  now  -  dora@one.example',
      'message 3 cannot be read: it has no delivery-list instruction',
      'not in the room __CitadelSMTPspoolout__: 90',
    ],
  );
});

test('the same as JSON', async (t) => {
  const { out } = await call('replay', written(t, EXPORT), '--json', ...AT);
  const { jobs, unreadable, elsewhere, problems } = JSON.parse(out);
  assert.deepEqual(
    jobs.map(({ job, mail, pending }: Record<string, unknown>) => [job, mail, pending]),
    [
      [2, 1, 1],
      [60, 59, 1],
      [90, 1, 1],
    ],
  );
  assert.deepEqual([unreadable.length, elsewhere, problems], [1, [90], []]);
});

test('a job of an export is replayed exactly as the same job in a spool', async (t) => {
  const files = { 1: native({ A: 'Ann', F: 'ann@example.org' }, MAIL, 4), 2: control(TRIED) };
  const directory = spoolOf(t, files);
  for (const world of ['accept', 'greylist', 'refuse-rcpt', 'silent']) {
    const how = ['--world', world, '--json', '--now', String(NOW + 900)];
    const inSpool = await call('replay', '2', '--spool', directory, ...how);
    for (const ends of ['\n', '\r\n']) {
      const file = written(t, EXPORT.replaceAll('\n', ends));
      const inExport = await call('replay', file, '2', ...how);
      assert.equal(inExport.exit, 0);
      const { title, ...report } = JSON.parse(inExport.out);
      assert.match(title, /^Control message 2 of .*export\.xml: \d+ bytes, Citadel’s serialized form$/);
      const { title: _, ...expected } = JSON.parse(inSpool.out);
      assert.deepEqual(report, expected, world);
    }
  }
});

test('a truncated export is reported once, and what it contains is used', async (t) => {
  const file = written(t, EXPORT.slice(0, EXPORT.lastIndexOf('</msg_text>') - 20));
  const list = await call('replay', file, ...AT);
  assert.equal(list.exit, 0);
  assert.doesNotMatch(list.out, /^60 /m);
  assert.equal(
    list.out.match(/note: the export ends within <message>: its last item is incomplete and was skipped/g)
      ?.length,
    1,
  );
  const job = await call('replay', file, '2', '--now', String(NOW + 900));
  assert.equal(job.exit, 0);
  assert.equal(job.out.match(/the export ends within <message>/g)?.length, 1);
  assert.match(job.out, /alice@one\.example: 2 delivered: 2\.0\.0 queued/);
  const lost = await call('replay', file, '60', '--now', String(NOW + 900));
  assert.equal(lost.exit, 66);
  assert.match(lost.errors, /holds no message 60; .*\n.*the export ends within <message>/);
});

test('a message that is missing from the export is reported, and so is an empty one', async (t) => {
  const list = control(listFor(1, 'alice@one.example'));
  for (const [mail, finding] of [
    ['', /deferred: message 1 is not in the export/],
    [message(1, Buffer.alloc(0)), /message 1 is empty/],
  ] as const) {
    const { exit, out } = await call('replay', written(t, exportOf(mail, message(2, list))), '2', ...AT);
    assert.equal(exit, 0);
    assert.match(out, finding);
  }
});

test('what cannot be replayed of an export is reported, with an exit code', async (t) => {
  const file = written(t, EXPORT);
  const lone = spoolOf(t, { 1: MAIL, 2: listFor(1, 'alice@one.example') });
  for (const [words, exit, says] of [
    [[file, '7'], 66, /holds no message 7; without a number all control messages are listed/],
    [[file, '1'], 65, /Message 1 of .* is not a control message/],
    [[file, '3'], 65, /Message 3 of .* cannot be read: it has no delivery-list instruction/],
    [[file, '6e1'], 64, /6e1 is not a job number/],
    [[file, '--check'], 64, /need a transcript/],
    [[file, '2', '--save-fixture', 'x'], 64, /need a transcript/],
    [[path.join(lone, '2'), '2'], 64, /is not a Citadel export/],
    [[written(t, '<html><body>hello</body></html>')], 65, /is XML, but holds no message of a Citadel export/],
    [[written(t, '<message><msg_msgnum>7')], 65, /no message .*\n.*ends within <message>/],
    [
      [written(t, exportOf(message(59, fixture('2012-399.native'))))],
      65,
      /holds 1 message, but no control message/,
    ],
  ] as const) {
    const done = await call('replay', ...words, ...AT);
    assert.equal(done.exit, exit, `${words.join(' ')}: ${done.errors}`);
    assert.match(done.errors, says);
  }
});

test('no text of an export controls the terminal', async (t) => {
  const escapes = message(
    2,
    control(listFor(1, '\x1b[31mred\x1b[0m@one.example').replace('|0||', '|4|\x1b[2J|')),
  );
  const file = written(t, exportOf(room('x\x1b[2J', 'no\x1b[2J'), escapes));
  for (const words of [[file], [file, '2'], [file, '9']]) {
    const { out, errors } = await call('replay', ...words, ...AT);
    assert.ok(out + errors !== '' && !(out + errors).includes('\x1b'), words.join(' '));
  }
});

test('an export in a pipe is not read twice', async (t) => {
  const pipe = path.join(temporaryDirectory(t), 'pipe');
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  const descriptor = fs.openSync(pipe, fs.constants.O_RDWR);
  t.after(() => fs.closeSync(descriptor));
  fs.writeSync(descriptor, EXPORT.slice(0, 1000));
  const { exit, errors } = await call('replay', pipe);
  assert.equal(exit, 65);
  assert.match(errors, /has to be read twice: save it to a file first/);
});

test('an export is known by its first character', () => {
  for (const head of ['<?xml', '<citadel_migrate_data>', '\n  <', '\xef\xbb\xbf<?xml']) {
    assert.ok(isExport(latin1(head)), head);
  }
  for (const head of ['', ' ', HEADER, MAIL, '{"transcript":1', '\xffA\x04<', 'msgid|1\n<']) {
    assert.ok(!isExport(latin1(head)), head);
  }
});

test('a message is read from an export without reading beyond it', async () => {
  let taken = 0;
  async function* pieces(): AsyncGenerator<Buffer> {
    for await (const piece of cut(Buffer.from(EXPORT), [EXPORT.indexOf('<msg_msgnum>2<')])) {
      taken += 1;
      yield piece;
    }
  }
  assert.match((await messageIn(pieces(), 1))?.toString('latin1') ?? '', /Hello\./);
  assert.equal(taken, 1);
  assert.equal(await messageIn(cut(Buffer.from(EXPORT), []), 7), null);
});
