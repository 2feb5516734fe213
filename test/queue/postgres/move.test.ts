/** A spool that is moved into PostgreSQL and out of it, by processes that are killed: every job is there once, and nowhere else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from '../../../src/cli/shell/exit.ts';
import { main } from '../../../src/cli/shell/main.ts';
import { isPending } from '../../../src/delivery-list/job.ts';
import { readNative, writeNative } from '../../../src/message/native.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { groupByPayload } from '../../../src/queue/due.ts';
import { withMsgid } from '../../../src/queue/moving/take-in.ts';
import { postgresClient } from '../../../src/queue/postgres/client.ts';
import { nodeDisk } from '../../../src/storage/disk.ts';
import { caughtTerminal } from '../../support/invocation.ts';
import {
  contentOf,
  fixtureSpool,
  generatedSpool,
  jobsIn,
  memorySpool,
  moveInto,
  moveOutOf,
  pendingIn,
} from '../../support/moving.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { enqueueTo, sharedQueue } from '../../support/postgres-queue.ts';
import { PROGRAM } from '../../support/program.ts';
import {
  bench,
  HEADER,
  listFor,
  MAIL,
  messagesIn,
  NOW,
  openClient,
  SETTINGS_2012,
  seededRandom,
  spoolOf,
  temporaryDirectory,
} from '../../support/spool.ts';

async function invoke(...words: readonly string[]) {
  const caught = caughtTerminal();
  const exit = await main(words, {}, caught.terminal);
  return { exit, printed: caught.printed, errors: caught.errors };
}

const JOBS = 60;
/** Each way. */
const KILLS = Number(process.env.KILLS ?? 6);
/** Of the vectors of the fixtures one of so many goes there and back; all of them take half a minute. */
const SHARE = Number(process.env.SHARE ?? 50);

describe('moving a spool into PostgreSQL and back', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.remove());

  async function room(t: TestContext) {
    const address = await cluster.create();
    const database = databaseAt(address);
    t.after(() => database.close());
    return { address, database };
  }

  it('neither loses nor repeats a job, wherever it is killed', async (t) => {
    const { address, database } = await room(t);
    const files: { [name: string]: string } = {};
    for (let n = 0; n < JOBS; n++) {
      files[2 * n + 1] = `${MAIL}number ${n}\n`;
      files[2 * n + 2] = listFor(2 * n + 1, `r${n}@example.com`, 'all@example.com');
    }
    files[2 * JOBS + 1] = listFor(1, 'second@example.com');
    files[2 * JOBS + 2] = `${listFor(3, 'over@example.com').replace('|0||', '|2|ok|')}`;
    const spool = spoolOf(t, files);
    const content = contentOf(nodeDisk, await jobsIn(nodeDisk, spool), spool);
    const random = seededRandom(5);
    const move = async (from: string, to: string, patience: number | null): Promise<number | null> => {
      const words = [...PROGRAM, 'move', '--from', from, '--to', to];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
      const ended = once(child, 'exit');
      if (patience !== null) await Promise.race([ended, pause(patience)]);
      if (patience !== null) child.kill('SIGKILL');
      return (await ended)[0];
    };
    for (let kill = 0; kill < KILLS; kill++) await move(spool, address, 150 + 300 * random());
    assert.equal(await move(spool, address, null), 0);
    const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
    const { jobs, orphans } = await client.scan();
    const recipients = jobs.flatMap(({ job }) => job.recipients.map((recipient) => recipient.address)).sort();
    const expected = Array.from({ length: JOBS }, (_, n) => [`r${n}@example.com`, 'all@example.com']).flat();
    assert.deepEqual(recipients, [...expected, 'second@example.com', 'over@example.com'].sort());
    assert.deepEqual(orphans, []);
    assert.deepEqual(
      jobs.filter(({ request }) => request !== undefined),
      [],
    );
    assert.deepEqual(Object.keys(messagesIn(spool)), []);
    assert.deepEqual(fs.readdirSync(`${spool}/.spoolroom/requests`), []);
    assert.deepEqual(await database.query('SELECT FROM spoolroom.moved'), []);

    const other = temporaryDirectory(t);
    for (let kill = 0; kill < KILLS; kill++) await move(address, other, 150 + 300 * random());
    assert.equal(await move(address, other, null), 0);
    assert.deepEqual(contentOf(nodeDisk, await jobsIn(nodeDisk, other), other), content);
    assert.equal(Object.keys(messagesIn(other)).length, Object.keys(files).length);
    assert.deepEqual(fs.readdirSync(`${other}/.spoolroom/moving`), ['database']);
    for (const table of ['message', 'job', 'moved', 'worker'])
      assert.deepEqual(await database.query(`SELECT FROM spoolroom.${table}`), [], table);
  });

  it('brings every job back in the bytes in which it came', async (t) => {
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    const { database } = await room(t);
    const disk = await memorySpool({
      ...generatedSpool(seed, Math.ceil(1000 / SHARE)),
      ...fixtureSpool(SHARE),
    });
    const jobs = await jobsIn(disk);
    const movable = [...groupByPayload(jobs).values()]
      .filter((lists) => lists.some(({ job }) => job.recipients.some(isPending)))
      .flat();
    // What names no message that is there stays with those who can tell its sender.
    const content = contentOf(disk, movable).filter((text) => !text.startsWith('missing'));
    assert.ok(content.length > 20);
    await moveInto(database, disk);
    const back = await memorySpool();
    await moveOutOf(database, back);
    assert.deepEqual(contentOf(back, await jobsIn(back)), content, `SEED=${seed}`);
  });

  it('refuses to begin while a move the other way is not complete', async (t) => {
    const { address } = await room(t);
    const spool = spoolOf(t, { 1: MAIL, 2: listFor(1, 'a@example.com') });
    const client = await openClient(spool, bench());
    await client.request('hold', (await client.scan()).jobs, { by: 'move', at: NOW });
    assert.match((await invoke('move', '--from', address, '--to', spool)).errors.join(), /was interrupted/);
    await client.withdraw((await client.scan()).jobs);
    fs.mkdirSync(`${spool}/.spoolroom/moving`);
    fs.writeFileSync(`${spool}/.spoolroom/moving/7.payload`, MAIL);
    assert.match((await invoke('move', '--from', spool, '--to', address)).errors.join(), /was interrupted/);
    fs.writeFileSync(`${spool}/.spoolroom/moving/database`, 'another/5\n');
    const refused = await invoke('move', '--from', address, '--to', spool);
    assert.match(refused.errors.join(), /from another database than .* name the one from which it came/);
  });

  it('leaves what another process delivers', async (t) => {
    const shared = await sharedQueue(t, cluster);
    const worker = await shared.worker();
    await enqueueTo(worker, 'a@example.com');
    await worker.claim();
    await enqueueTo(worker, 'b@example.com');
    const spool = temporaryDirectory(t);
    const first = await invoke('move', '--from', shared.address, '--to', spool);
    assert.match(first.printed.join(), /^1 job was moved .* 1 job stayed: another process delivers it now/);
    assert.equal(first.exit, EXIT.tempFail);
    await worker.queue.close();
    const second = await invoke('move', '--from', shared.address, '--to', spool);
    assert.match(second.printed.join(), /^1 job was moved from .*\.$/);
    assert.deepEqual(pendingIn(await jobsIn(nodeDisk, spool)), ['a@example.com', 'b@example.com']);
  });

  it('changes the number of the payload in a list, and nothing else', () => {
    const text = Buffer.from(`${HEADER}msgid|7\nsubmitted|1\nremote|msgid|0||\r\n`, 'latin1');
    assert.equal(
      withMsgid(text, 99).toString('latin1'),
      text.toString('latin1').replace('msgid|7', 'msgid|99'),
    );
    const fields = new Map([['A', 'x']]);
    const native = writeNative({ anonymous: 0x41, format: 4, fields, text }, '2016');
    const read = readNative(withMsgid(native, 99));
    assert.ok(read.kind === 'message');
    assert.equal(read.message.text?.toString('latin1'), withMsgid(text, 99).toString('latin1'));
  });
});
