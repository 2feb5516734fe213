/** A queue in PostgreSQL that is moved into a spool: every job is there once, and nowhere else, wherever the move is cut off. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TakeInDeps } from '../../../src/queue/moving/take-in.ts';
import { parsing } from '../../../src/queue/postgres/claims/claimed-job.ts';
import type { Database, Statements } from '../../../src/queue/postgres/database/database.ts';
import { look } from '../../../src/queue/postgres/look.ts';
import { SCHEDULE } from '../../../src/queue/schedule.ts';
import { notesIn } from '../../../src/queue/spool/notes/dsn-store.ts';
import { dsnRequest } from '../../../src/smtp/dsn-request.ts';
import { adoptControl, adoptPayload } from '../../support/adopt.ts';
import { faultyDisk, Killed } from '../../support/faulty-disk.ts';
import type { MemoryDisk } from '../../support/memory-disk.ts';
import {
  bytesOf,
  contentOf,
  jobsIn,
  memorySpool,
  moveOutOf,
  pendingIn,
  SPOOL,
  withQueue,
} from '../../support/moving.ts';
import { type Cluster, databaseAt, NO_POSTGRES, startCluster } from '../../support/postgres.ts';
import { listFor, MAIL, NOW, seededRandom } from '../../support/spool.ts';

/** Of so many steps one is tried: all of them take half a minute. */
const STRIDE = Number(process.env.STRIDE ?? 12);

const OPTIONS = parsing('2012');
const TABLES = ['message', 'chunk', 'job', 'outcome', 'lane', 'moved', 'worker'];
const LARGE = `Subject: large\n\n${'A line of it.\n'.repeat(22_000)}`;
const LISTS: Readonly<Record<number, string>> = {
  2: listFor(1, 'sent@example.com', 'a@example.com'),
  3: listFor(1, 'held@example.com'),
  5: listFor(4, 'j\xf6rg@example.com'),
  7: listFor(6, 'over@example.com').replace('|0||', '|2|ok|'),
};
const PENDING = ['a@example.com', 'held@example.com', 'j\xf6rg@example.com'];

async function fill(database: Database): Promise<void> {
  const deps: TakeInDeps = { database, options: OPTIONS, schedule: SCHEDULE, present: () => null };
  await adoptPayload(database, 1, [Buffer.from(MAIL)]);
  await adoptPayload(database, 4, [Buffer.from(LARGE)]);
  await adoptPayload(database, 6, [Buffer.from(MAIL)]);
  const dsn = dsnRequest({ ret: 'HDRS', envid: 'x1' }, new Map());
  for (const [number, text] of Object.entries(LISTS))
    await adoptControl(deps, Number(number), Buffer.from(text, 'latin1'), {
      dsn: number === '5' ? dsn : null,
    });
  await database.query("SELECT spoolroom.ask('{3}', 'hold', 'me', 7, NULL)");
  await database.query("SELECT spoolroom.ask('{5}', 'give-up', 'you', 8, NULL)");
  await database.query("INSERT INTO spoolroom.outcome VALUES (2, 'sent@example.com', 0, 2, 'ok', $1)", [NOW]);
  const told = JSON.stringify([{ address: 'j\xf6rg@example.com', what: 'delay' }]);
  await database.query('UPDATE spoolroom.job SET told = $1, first_attempt = 9 WHERE control = 5', [told]);
}

/** Until the disk is dead, or so many statements were carried out; the last one is, and its answer is lost. */
function cutDatabase(database: Database, isOff: () => boolean, most: number) {
  let count = 0;
  const isDead = (): boolean => isOff() || count > most;
  const guarded =
    (query: Statements['query']): Statements['query'] =>
    async (text, values) => {
      if (isDead()) throw new Killed('before a statement');
      const rows = await query(text, values);
      if (++count > most) throw new Killed('after a statement');
      return rows;
    };
  const cut = {
    name: database.name,
    query: guarded((...query) => database.query(...query)),
    repeatable: guarded((...query) => database.repeatable(...query)),
    async transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
      const done = await database.transaction((statements) =>
        work({ query: guarded((...query) => statements.query(...query)) }),
      );
      if (++count > most) throw new Killed('after a commit');
      return done;
    },
  };
  return cut;
}

describe('moving out of PostgreSQL', { skip: NO_POSTGRES }, () => {
  let cluster: Cluster;
  let database: Database;

  before(async () => {
    cluster = await startCluster();
    database = databaseAt(await cluster.create());
    await fill(database);
    await database.query('CREATE SCHEMA kept');
    for (const table of TABLES)
      await database.query(`CREATE TABLE kept.${table} AS TABLE spoolroom.${table}`);
  });
  after(async () => {
    await database.close();
    await cluster.remove();
  });

  async function reset(): Promise<void> {
    const copies = TABLES.map(
      (table) => `INSERT INTO spoolroom.${table} OVERRIDING SYSTEM VALUE TABLE kept.${table};`,
    );
    const names = TABLES.map((table) => `spoolroom.${table}`).join(', ');
    await database.query(`TRUNCATE ${names} CASCADE; ${copies.join(' ')}`);
  }

  /** What is told of a job beside its list. */
  async function notesOf(disk: MemoryDisk): Promise<readonly unknown[]> {
    const notes = notesIn(SPOOL, disk);
    notes.refresh();
    const told: unknown[] = [];
    for (const { control, job, request, requestedBy } of await jobsIn(disk)) {
      const key = { control, msgid: job.msgid, submitted: job.submitted };
      const [{ address } = { address: '' }] = job.recipients;
      const dsn = notes.request(key)?.envid ?? null;
      told.push([
        address,
        request,
        requestedBy,
        dsn,
        await notes.notified(key),
        await notes.firstAttempt(key),
      ]);
    }
    return told;
  }

  it('brings bytes, outcomes, requests and notes, and leaves what is over', async () => {
    await reset();
    const disk = await memorySpool();
    assert.deepEqual(await moveOutOf(database, disk), { moved: 3, claimed: 0, over: 1, others: 0 });
    const written = (LISTS[2] ?? '').replace(
      /remote.*\nremote.*/,
      'remote|sent@example.com|2|ok\nremote|a@example.com|0|',
    );
    assert.deepEqual(
      contentOf(disk, await jobsIn(disk)).map((text) => text.replace(/retry\|.*\nattempted\|.*\n/, '')),
      [
        [MAIL, LISTS[3], written].join('\u0001').replaceAll('msgid|1', 'msgid|0'),
        [LARGE, LISTS[5]].join('\u0001').replaceAll('msgid|4', 'msgid|0'),
      ].sort(),
    );
    assert.deepEqual(await notesOf(disk), [
      ['sent@example.com', undefined, undefined, null, [], null],
      ['held@example.com', 'hold', { by: 'me', at: 7 }, null, [], null],
      [
        ...['j\xf6rg@example.com', 'give-up', { by: 'you', at: 8 }, 'x1'],
        ...[[{ address: 'j\xf6rg@example.com', what: 'delay' }], 9],
      ],
    ]);
    assert.deepEqual(pendingIn(await look({ database, options: OPTIONS }, {})), []);
    assert.deepEqual(
      disk.list(`${SPOOL}/.spoolroom/moving`).map(({ name }) => name),
      ['database'],
    );
  });

  /**
   * The move ends at a step; the power may fail then; mail that is the spool's, or the database's, may be delivered before it is
   * begun again.
   */
  async function cutAt(step: number, most: number, random: () => number): Promise<boolean> {
    await reset();
    const disk = await memorySpool();
    const faulty = faultyDisk({ step, code: 'killed' }, disk);
    const cut = cutDatabase(database, () => faulty.taken.length >= step, most);
    let isCut = false;
    try {
      await moveOutOf(cut, faulty);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      isCut = true;
    }
    if (random() < 0.5) disk.powerFailure(random);
    const delivered: string[] = [];
    const seen = [
      ...pendingIn(await jobsIn(disk)),
      ...pendingIn(await look({ database, options: OPTIONS }, {})),
    ];
    assert.equal(new Set(seen).size, seen.length, 'nobody would get it twice');
    const who = random();
    if (who < 0.5) delivered.push(...(await deliverFromSpool(disk)));
    else if (who < 0.8) delivered.push(...(await deliverFromDatabase()));
    await moveOutOf(database, disk);
    const left = await jobsIn(disk);
    assert.deepEqual([...delivered, ...pendingIn(left)].sort(), PENDING, 'after it');
    for (const { job, request } of left) {
      const [{ address } = { address: '' }] = job.recipients;
      assert.equal(bytesOf(disk, job.msgid).toString('latin1'), address.startsWith('j') ? LARGE : MAIL);
      assert.equal(request, { h: 'hold', j: 'give-up' }[address[0] ?? '']);
    }
    const numbers = new Set(left.flatMap(({ control, job }) => [control, job.msgid]));
    const names = disk.list(SPOOL).flatMap(({ name, kind }) => (kind === 'file' ? Number(name) : []));
    assert.deepEqual(new Set(names), numbers, 'nothing else is left');
    return isCut;
  }

  async function deliverFromSpool(disk: MemoryDisk): Promise<readonly string[]> {
    return withQueue(disk, async (queue) => {
      const [first] = (await queue.scan()).jobs.filter(({ request }) => request !== 'hold');
      if (first === undefined) return [];
      const changes = first.job.recipients.flatMap(({ address, status }, index) =>
        status === 2 ? [] : [{ index, address, status: 2 as const, text: 'ok' }],
      );
      await queue.record(first.control, changes, NOW);
      await queue.finish(first.control);
      return changes.map(({ address }) => address);
    });
  }

  /** Another process, to which the claims of the one that died were handed over. */
  async function deliverFromDatabase(): Promise<readonly string[]> {
    const [first] = await look({ database, options: OPTIONS }, {});
    if (first === undefined || first.control === 7) return [];
    await database.query('SELECT spoolroom.end_workers(ARRAY(SELECT epoch FROM spoolroom.worker), NULL)');
    await database.query('DELETE FROM spoolroom.job WHERE control = $1', [first.control]);
    await database.query(
      'DELETE FROM spoolroom.message WHERE NOT EXISTS (SELECT FROM spoolroom.job WHERE message = message.id)',
    );
    return pendingIn([first]);
  }

  it('neither loses nor repeats a job, whichever step is its last', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    const random = seededRandom(seed);
    const never = Number.POSITIVE_INFINITY;
    for (const kind of ['file', 'statement'])
      for (let step = 1 + Math.floor(STRIDE * random()), isCut = true; isCut; step += STRIDE) {
        try {
          isCut = await (kind === 'file' ? cutAt(step, never, random) : cutAt(never, step, random));
        } catch (error) {
          throw new Error(`SEED=${seed}, ${kind} step ${step}: ${(error as Error).stack}`, { cause: error });
        }
      }
  });
});
