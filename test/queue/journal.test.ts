import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { decodeJournal, type JournalRecord, openJournal, readJournal } from '../../src/queue/journal.ts';
import { openSpoolQueue } from '../../src/queue/spool/open.ts';
import { crc32 } from '../../src/storage/crc32.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { type Fault, faultyDisk } from '../support/faulty-disk.ts';
import { FakeMachine } from '../support/processes.ts';
import {
  bench,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openQueue,
  SETTINGS_2012,
  spoolOf,
  temporaryDirectory,
  writeMessage,
} from '../support/spool.ts';

const OWNER = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

function journalIn(
  directory: string,
  disk = nodeDisk,
  records: readonly JournalRecord[] = [],
  held = (): boolean => true,
) {
  const layout = { ...layoutOf(directory), state: directory, journal: `${directory}/journal` };
  let names = 0;
  const temporaryName = () => `${directory}/tmp-${names++}`;
  const journal = openJournal({ disk, layout, temporaryName, owner: OWNER, spool: 'this', held }, records);
  return { journal, layout, read: () => readJournal(nodeDisk, layout, 'this') };
}

function status(control: number, text = '250 ok'): JournalRecord {
  const changes = [{ index: 0, address: 'b@example.com', status: 2, text }] as const;
  return { record: 'status', control, msgid: 1, payload: '59@5.25', now: NOW, changes };
}

test('a record has a place though its directory was moved while others were dropped (R242)', async (t) => {
  let isHeld = true;
  const { journal, read } = journalIn(temporaryDirectory(t), nodeDisk, [], () => isHeld);
  await Promise.all([journal.append(status(2)), journal.append(status(3))]);
  isHeld = false;
  await journal.retain(({ control }) => control === 3);
  await journal.append(status(4));
  journal.close();
  assert.deepEqual(read(), { kind: 'read', records: [status(2), status(3), status(4)], damaged: 0 });
});

test('the checksum is CRC-32', () => {
  assert.equal(crc32('123456789'), 0xcbf43926);
  assert.equal(crc32(''), 0);
});

test('records are read as they were written, byte for byte', async (t) => {
  const { journal, read } = journalIn(temporaryDirectory(t));
  const odd = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte));
  const records = [status(2, odd), status(3, 'x'.repeat(100_000)), { ...status(2), payload: null }];
  await Promise.all(records.map((record) => journal.append(record)));
  journal.close();
  assert.deepEqual(read(), { kind: 'read', records, damaged: 0 });
});

test('a journal of another queue is refused if it has records', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal, layout } = journalIn(directory);
  await journal.append(status(2));
  const read = (): ReturnType<typeof readJournal> => readJournal(nodeDisk, layout, 'that');
  const bytes = fs.readFileSync(layout.journal);
  const [header = 0] = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1);
  for (let length = header + 1; length <= bytes.length; length++) {
    fs.writeFileSync(layout.journal, bytes.subarray(0, length));
    const refused = read();
    assert.ok(refused.kind === 'refused' && refused.text.includes('belongs to another queue'), `${length}`);
  }
  await journal.retain(() => false);
  journal.close();
  assert.deepEqual(read(), { kind: 'read', records: [], damaged: 0 }, 'it says nothing any more');
  const temporaryName = () => `${directory}/next`;
  const next = openJournal(
    { disk: nodeDisk, layout, temporaryName, owner: OWNER, spool: 'that', held: () => true },
    [],
  );
  await next.append(status(3));
  next.close();
  assert.deepEqual(read(), { kind: 'read', records: [status(3)], damaged: 0 });
});

test('dropping keeps records that were appended meanwhile', async (t) => {
  const { journal, read } = journalIn(temporaryDirectory(t));
  await journal.append(status(2));
  const late = journal.append(status(3));
  const dropped = journal.retain((record) => record.control !== 2);
  const later = journal.append(status(4));
  await Promise.all([late, dropped, later]);
  assert.deepEqual(read(), { kind: 'read', records: [status(3), status(4)], damaged: 0 });
  await journal.retain(() => false);
  assert.deepEqual(read(), { kind: 'read', records: [], damaged: 0 });
  journal.close();
});

test('a journal that is cut off anywhere gives its complete records', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal, layout } = journalIn(directory);
  await Promise.all([status(2), status(3)].map((record) => journal.append(record)));
  journal.close();
  const bytes = fs.readFileSync(layout.journal);
  const ends = [...bytes.entries()].filter(([, byte]) => byte === 0x0a).map(([at]) => at + 1);
  const [header, first, second] = ends;
  assert.ok(header !== undefined && first !== undefined && second === bytes.length);
  for (let length = header; length <= bytes.length; length++) {
    const read = decodeJournal(bytes.subarray(0, length), 'journal', 'this');
    assert.ok(read.kind === 'read');
    assert.equal(read.records.length, length < first ? 0 : length < second ? 1 : 2);
    assert.equal(read.damaged, ends.includes(length) ? 0 : 1);
  }
});

test('a damaged byte loses its own record only; in the header, the journal is refused', async (t) => {
  const { journal, layout } = journalIn(temporaryDirectory(t));
  await Promise.all([status(2), status(3)].map((record) => journal.append(record)));
  journal.close();
  const bytes = fs.readFileSync(layout.journal);
  const header = bytes.indexOf(0x0a) + 1;
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    const read = decodeJournal(damaged, 'journal', 'this');
    if (at < header) assert.equal(read.kind, 'refused', `byte ${at}`);
    else assert.ok(read.kind === 'read' && read.records.length <= 1 && read.damaged >= 1, `byte ${at}`);
  }
});

test('after a failed write the journal starts a new file with everything in it', async (t) => {
  for (const name of ['write', 'sync'] as const) {
    for (const code of ['EIO', 'ENOSPC'] as const) {
      const fault: { -readonly [K in keyof Fault]: Fault[K] } = { step: 0, code };
      const disk = faultyDisk(fault);
      const { journal, read } = journalIn(temporaryDirectory(t), disk);
      await journal.append(status(2));
      fault.step = disk.taken.length + (name === 'write' ? 1 : 2);
      await assert.rejects(journal.append(status(3)), { code });
      assert.equal(disk.taken.at(-1), name);
      await journal.append(status(4));
      assert.deepEqual(read(), { kind: 'read', records: [status(2), status(3), status(4)], damaged: 0 });
      journal.close();
    }
  }
});

test('records of twenty callers at a time need less than one sync for five', async (t) => {
  const disk = faultyDisk({ step: 0, code: 'EIO' });
  const { journal } = journalIn(temporaryDirectory(t), disk);
  const caller = async (control: number) => {
    for (let turn = 0; turn < 25; turn++) await journal.append(status(control));
  };
  await Promise.all(Array.from({ length: 20 }, (_, control) => caller(control)));
  journal.close();
  const syncs = disk.taken.filter((step) => step === 'sync' || step === 'syncDirectory').length;
  assert.ok(syncs / 500 <= 0.2, `${syncs} syncs for 500 records`);
});

/** A spool whose runner was killed right after it recorded `b@example.com` as delivered. */
async function interrupted(t: Parameters<typeof spoolOf>[0], machine: FakeMachine): Promise<string> {
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com', 'c@example.com') });
  const processes = machine.start();
  const queue = await openQueue(spool, bench({ processes }));
  await queue.scan();
  await queue.record(2, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  processes.end();
  return spool;
}

/** The statuses a new run finds. */
async function statusesAfter(spool: string, machine: FakeMachine): Promise<readonly number[] | undefined> {
  const queue = await openQueue(spool, bench({ processes: machine.start() }));
  const [queued] = (await queue.scan()).jobs;
  await queue.close();
  return queued?.job.recipients.map(({ status }) => status);
}

test('the next start writes what an interrupted run recorded, and may do so twice', async (t) => {
  const machine = new FakeMachine();
  const spool = await interrupted(t, machine);
  assert.equal(messagesIn(spool)['2'], listFor(1, 'b@example.com', 'c@example.com'));
  const journal = fs.readFileSync(`${spool}/.spoolroom/journal`);
  assert.deepEqual(await statusesAfter(spool, machine), [2, 0]);
  const after = messagesIn(spool);
  assert.match(
    after['2'] ?? '',
    /\nretry\|300\n.*\nremote\|b@example\.com\|2\|ok\nremote\|c@example\.com\|0\|\n$/s,
  );
  fs.writeFileSync(`${spool}/.spoolroom/journal`, journal);
  assert.deepEqual(await statusesAfter(spool, machine), [2, 0]);
  assert.deepEqual(messagesIn(spool), after);
});

test('without a journal only the control messages count', async (t) => {
  const machine = new FakeMachine();
  const spool = await interrupted(t, machine);
  await statusesAfter(spool, machine);
  fs.rmSync(`${spool}/.spoolroom`, { recursive: true });
  assert.deepEqual(await statusesAfter(spool, machine), [2, 0]);
});

test('records do not apply to a new job under the old numbers', async (t) => {
  const machine = new FakeMachine();
  const spool = await interrupted(t, machine);
  fs.rmSync(`${spool}/1`);
  writeMessage(spool, '1', `${MAIL}Another one.\n`);
  assert.deepEqual(await statusesAfter(spool, machine), [0, 0]);
});

test('the end of a job does not end another one of its number', async (t) => {
  const machine = new FakeMachine();
  const spool = spoolOf(t, { '1': MAIL, '2': listFor(1, 'b@example.com'), '3': MAIL });
  const processes = machine.start();
  const queue = await openQueue(spool, bench({ processes }));
  await queue.scan();
  await queue.record(2, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(2);
  processes.end();
  assert.deepEqual(Object.keys(messagesIn(spool)), ['1', '3']);
  writeMessage(spool, '2', listFor(3, 'c@example.com'));
  assert.deepEqual(await statusesAfter(spool, machine), [0]);
  assert.deepEqual(messagesIn(spool), { '2': listFor(3, 'c@example.com'), '3': MAIL });
});

const REFUSALS: readonly {
  readonly what: string;
  readonly change: (journal: string) => string;
  readonly says: RegExp;
}[] = [
  {
    what: 'of another spool',
    change: (text) => signed(text, /"spool":"\w+"/, '"spool":"other"'),
    says: /belongs to another queue/,
  },
  {
    what: 'of a later version',
    change: (text) => signed(text, /"version":1/, '"version":2'),
    says: /has version 2, and this program knows version 1 only/,
  },
  {
    what: 'with a record of a later version',
    change: (text) => signed(text, /"record":"status"/, '"record":"reported"'),
    says: /holds records this version of the program does not know/,
  },
  {
    what: 'that is something else',
    change: () => 'something else\n',
    says: /is not a journal of this program/,
  },
];

/** Change the journal's JSON and give the changed lines right checksums. */
function signed(text: string, from: RegExp, to: string): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(9).replace(from, to));
  return lines.map((json) => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`).join('');
}

for (const { what, change, says } of REFUSALS) {
  test(`a journal ${what} is refused, and no message is touched`, async (t) => {
    const machine = new FakeMachine();
    const spool = await interrupted(t, machine);
    const path = `${spool}/.spoolroom/journal`;
    fs.writeFileSync(path, change(fs.readFileSync(path, 'latin1')), 'latin1');
    const before = messagesIn(spool);
    const opened = await openSpoolQueue(spool, bench({ processes: machine.start() }), SETTINGS_2012);
    assert.ok(opened.kind === 'refused' && opened.why === 'journal');
    assert.match(opened.text, says);
    assert.match(opened.text, /Nothing was sent and no message was changed\. Move this file away/);
    assert.deepEqual(messagesIn(spool), before);
    fs.unlinkSync(path);
    assert.deepEqual(await statusesAfter(spool, machine), [0, 0], 'the claim was given up again');
  });
}
