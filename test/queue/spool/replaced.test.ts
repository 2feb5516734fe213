/** The directory of a spool is moved, restored or replaced while the program works on it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SpoolReplacedError } from '../../../src/platform/system-errors.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import {
  bench,
  listFor,
  MAIL,
  messagesIn,
  NEW_JOB,
  openClient,
  openQueue,
  temporaryDirectory,
  writeMessage,
} from '../../support/spool.ts';

const FILES = { 1: MAIL, 2: listFor(1, 'b@example.com') };

/** A spool in a directory of its own, so that it can be moved. */
function movableSpool(t: TestContext): string {
  const spool = path.join(temporaryDirectory(t), 'spool');
  makeSpool(spool);
  return spool;
}

function makeSpool(spool: string): void {
  fs.mkdirSync(spool);
  for (const [name, bytes] of Object.entries(FILES)) writeMessage(spool, name, bytes);
}

const AFTER: readonly { readonly what: string; replace(spool: string): void }[] = [
  { what: 'an empty directory', replace: (spool) => fs.mkdirSync(spool) },
  { what: 'a copy of it', replace: (spool) => fs.cpSync(`${spool}.old`, spool, { recursive: true }) },
  { what: 'nothing', replace: () => {} },
];

for (const { what, replace } of AFTER) {
  test(`a runner in whose place ${what} lies sends nothing more and writes nothing there (R181)`, async (t) => {
    const spool = movableSpool(t);
    const deps = bench();
    const room = await openQueue(spool, deps);
    await room.scan();
    fs.renameSync(spool, `${spool}.old`);
    replace(spool);
    const before = fs.existsSync(spool) ? messagesIn(spool) : null;
    await assert.rejects(room.scan(), SpoolReplacedError);
    await assert.rejects(room.scan(), /was moved, unmounted or replaced. Nothing more is sent/);
    assert.equal((await room.readPayload(1)).kind, 'unavailable');
    await assert.rejects(room.enqueue(Buffer.from(MAIL), NEW_JOB), SpoolReplacedError);
    await room.record(2, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], 1).catch(() => {});
    await assert.rejects(room.finish(2), SpoolReplacedError);
    await assert.rejects(room.close(), SpoolReplacedError);
    assert.deepEqual(fs.existsSync(spool) ? messagesIn(spool) : null, before);
  });
}

test('what was delivered is in the journal of the directory that was moved (R181)', async (t) => {
  const spool = movableSpool(t);
  writeMessage(spool, '3', MAIL);
  writeMessage(spool, '4', listFor(3, 'c@example.com', 'd@example.com'));
  const room = await openQueue(spool, bench());
  await room.scan();
  assert.equal((await room.readPayload(3)).kind, 'found');
  await room.record(4, [{ index: 0, address: 'c@example.com', status: 2, text: 'ok' }], 1);
  fs.renameSync(spool, `${spool}.old`);
  makeSpool(spool);
  await room.record(4, [{ index: 1, address: 'd@example.com', status: 2, text: 'ok' }], 1);
  await assert.rejects(room.close(), SpoolReplacedError);
  assert.deepEqual(messagesIn(spool), FILES);
  fs.rmSync(spool, { recursive: true });
  fs.renameSync(`${spool}.old`, spool);
  const [machineGone] = fs.readdirSync(`${spool}/.spoolroom`).filter((name) => name.startsWith('lock.'));
  // The process that had it lives on here; in the world it has ended.
  fs.writeFileSync(`${spool}/.spoolroom/${machineGone}`, 'free\n');
  const later = await openQueue(spool, bench());
  const [job] = (await later.scan()).jobs.filter(({ control }) => control === 4);
  assert.deepEqual(
    job?.job.recipients.map(({ status }) => status),
    [2, 2],
  );
  await later.close();
});

for (const [what, begin] of [
  ['the first outcome of a run', async () => {}],
  [
    'an outcome behind one that was written',
    async (room) => {
      await room.record(4, [{ index: 1, address: 'd@example.com', status: 4, text: 'later' }], 1);
      await room.flush();
    },
  ],
] as const satisfies readonly (readonly [string, (room: Queue) => Promise<void>])[]) {
  test(`${what} has a place though the directory was moved before it (R242)`, async (t) => {
    const spool = movableSpool(t);
    writeMessage(spool, '3', MAIL);
    writeMessage(spool, '4', listFor(3, 'c@example.com', 'd@example.com'));
    const room = await openQueue(spool, bench());
    await room.scan();
    assert.ok(!fs.existsSync(`${spool}/.spoolroom/journal`), 'a run with nothing to do makes none');
    assert.equal((await room.readPayload(3)).kind, 'found');
    await begin(room);
    fs.renameSync(spool, `${spool}.old`);
    await room.record(4, [{ index: 0, address: 'c@example.com', status: 2, text: 'ok' }], 1);
    await assert.rejects(room.close(), SpoolReplacedError);
    fs.renameSync(`${spool}.old`, spool);
    const [lock] = fs.readdirSync(`${spool}/.spoolroom`).filter((name) => name.startsWith('lock.'));
    fs.writeFileSync(`${spool}/.spoolroom/${lock}`, 'free\n');
    const later = await openQueue(spool, bench());
    const [job] = (await later.scan()).jobs.filter(({ control }) => control === 4);
    assert.equal(job?.job.recipients[0]?.status, 2);
    await later.close();
  });
}

test('a client goes on in the directory that is there now, and says so once (R181)', async (t) => {
  const spool = movableSpool(t);
  const deps = bench();
  const guest = await openClient(spool, deps);
  await guest.enqueue(Buffer.from(MAIL), NEW_JOB);
  fs.renameSync(spool, `${spool}.old`);
  await assert.rejects(guest.enqueue(Buffer.from(MAIL), NEW_JOB), /does not exist/);
  guest.prepare();
  fs.mkdirSync(spool);
  guest.prepare();
  assert.ok(fs.existsSync(`${spool}/.spoolroom/tmp`), 'before a large message is written there');
  assert.equal((await guest.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 2);
  fs.rmSync(`${spool}/.spoolroom/tmp`, { recursive: true });
  assert.equal((await guest.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 4);
  assert.equal(deps.warnings.length, 2, deps.warnings.join('\n'));
});

test('a client puts nothing into another spool, and goes on when its own is back (R181)', async (t) => {
  const spool = movableSpool(t);
  await (await openQueue(spool, bench())).close();
  const guest = await openClient(spool, bench());
  const other = movableSpool(t);
  await (await openQueue(other, bench())).close();
  fs.renameSync(spool, `${spool}.old`);
  fs.renameSync(other, spool);
  await assert.rejects(
    guest.enqueue(Buffer.from(MAIL), NEW_JOB),
    /is another spool than the one that was opened/,
  );
  assert.deepEqual(messagesIn(spool), FILES);
  fs.rmSync(spool, { recursive: true });
  fs.renameSync(`${spool}.old`, spool);
  assert.equal((await guest.enqueue(Buffer.from(MAIL), NEW_JOB)).control, 4);
});
