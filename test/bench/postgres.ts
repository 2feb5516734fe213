/**
 * What a queue in PostgreSQL takes at a size: `node --import tsx test/bench/postgres.ts [--jobs N] [--lanes N] [--megabytes N]`.
 * Claims of 200 out of a million jobs in 100,000 destinations, of which a hundredth is due; a large message in and out, with the
 * memory of this process; jobs put in, recorded and finished by one process. A cluster of its own, with fsync.
 */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/platform/clock.ts';
import { postgresClient } from '../../src/queue/postgres/client.ts';
import { openPostgresQueue } from '../../src/queue/postgres/open.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { processTable } from '../../src/storage/processes.ts';
import { databaseAt, startCluster } from '../support/postgres.ts';
import { NEW_JOB, SETTINGS_2012 } from '../support/spool.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000000' },
    lanes: { type: 'string', default: '100000' },
    megabytes: { type: 'string', default: '200' },
  },
});
const jobs = Number(values.jobs);
const lanes = Number(values.lanes);
const CLAIM = 200;

const cluster = await startCluster({ durable: true });
const state = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-bench-'));
try {
  const address = await cluster.create();
  const database = databaseAt(address);
  const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
  await largeMessage();
  await throughput(2000);
  await claims();
  await database.close();

  async function open() {
    const deps = {
      disk: nodeDisk,
      clock: systemClock,
      random: Math.random,
      processes: processTable(nodeDisk),
      warn: console.error,
    };
    const opened = await openPostgresQueue({ address, state }, deps, SETTINGS_2012);
    if (opened.kind === 'refused') throw new Error(opened.text);
    return opened.queue;
  }

  async function largeMessage(): Promise<void> {
    const megabyte = Buffer.alloc(1024 ** 2, `${'x'.repeat(70)}\r\n`);
    const count = Number(values.megabytes);
    async function* pieces() {
      yield Buffer.from('Subject: large\r\n\r\n');
      for (let at = 0; at < count; at++) yield megabyte;
    }
    const before = process.memoryUsage().rss;
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
    let began = performance.now();
    const { payload } = await client.enqueue(pieces(), NEW_JOB);
    const written = performance.now() - began;
    began = performance.now();
    const read = await client.readPayload(payload);
    let size = 0;
    if (read.kind === 'found') for await (const piece of read.message.stream()) size += piece.length;
    clearInterval(timer);
    const mebibytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0);
    console.log(
      `message of ${mebibytes(size)} MiB: in ${(written / 1000).toFixed(1)} s, out ${((performance.now() - began) / 1000).toFixed(1)} s, ` +
        `memory ${mebibytes(before)} to ${mebibytes(most)} MiB`,
    );
    await database.query('TRUNCATE spoolroom.message, spoolroom.job, spoolroom.lane CASCADE');
  }

  async function throughput(count: number): Promise<void> {
    const body = Buffer.alloc(10_000, 'Subject: x\r\n\r\nline\r\n');
    let began = performance.now();
    const enqueue = async (worker: number): Promise<void> => {
      for (let n = worker; n < count; n += 16)
        await client.enqueue(body, { ...NEW_JOB, recipients: [`u${n}@host${n % 50}.example`] });
    };
    await Promise.all(Array.from({ length: 16 }, (_, worker) => enqueue(worker)));
    const entered = count / ((performance.now() - began) / 1000);
    const queue = await open();
    began = performance.now();
    for (let left = count; left > 0; ) {
      const claimed = (await queue.claim(500, new Set(), SCHEDULE)).jobs;
      left -= claimed.length;
      const waiting = claimed[Symbol.iterator]();
      const work = async (): Promise<void> => {
        for (const { control, job } of waiting) {
          await queue.readPayload(job.msgid);
          const [{ address: to } = { address: '' }] = job.recipients;
          const now = Math.floor(Date.now() / 1000);
          await queue.record(control, [{ index: 0, address: to, status: 2, text: '250 ok' }], now);
          await queue.finish(control);
        }
      };
      await Promise.all(Array.from({ length: 20 }, work));
    }
    const done = count / ((performance.now() - began) / 1000);
    console.log(
      `${count} messages of 10 kB: ${entered.toFixed(0)} a second in, ${done.toFixed(0)} a second claimed, read, recorded and finished`,
    );
    await queue.close();
  }

  async function claims(): Promise<void> {
    const list =
      "convert_to(E'Content-type: application/x-citadel-delivery-list\\n\\nmsgid|1\\nsubmitted|1\\nremote|a@x|0||\\n', 'UTF8')";
    await database.query('SET synchronous_commit = off');
    const now = Math.floor(Date.now() / 1000);
    // A hundredth of the jobs is due, in a tenth of the lanes.
    const due = `CASE WHEN n % 100 = 0 THEN ${now - 100} + n % 90 ELSE ${now} + 600 + n % 3600 END`;
    const lane = `'host' || ((n::bigint * 7919) % ${lanes}) || '.example'`;
    for (let from = 1; from <= jobs; from += 50_000) {
      const series = `generate_series(${from}, ${Math.min(from + 49_999, jobs)}) AS n`;
      await database.query(
        `INSERT INTO spoolroom.message (id, size, lane, due) SELECT n, 100, ${lane}, ${due} FROM ${series}`,
      );
      await database.query(
        `INSERT INTO spoolroom.job (control, message, list, due) SELECT ${jobs} + n, n, ${list}, ${due} FROM ${series}`,
      );
    }
    await database.query(
      'INSERT INTO spoolroom.lane SELECT lane, min(due) FROM spoolroom.message GROUP BY lane ON CONFLICT DO NOTHING',
    );
    for (const table of ['message', 'job', 'lane']) await database.query(`VACUUM ANALYZE spoolroom.${table}`);
    const [epoch] = await database.query(
      "SELECT spoolroom.enter('bench', '', 'here', 1, 3600, NULL)::float8 AS epoch",
    );
    const times: number[] = [];
    for (let n = 0; n < 30; n++) {
      const began = performance.now();
      const [answer] = await database.query('SELECT taken FROM spoolroom.claim($1, $2, NULL, $3)', [
        epoch?.epoch,
        CLAIM,
        [],
      ]);
      times.push(performance.now() - began);
      if ((answer?.taken as number[] | undefined)?.length !== CLAIM) throw new Error('it claimed fewer');
    }
    times.sort((a, b) => a - b);
    const [dueLanes] = await database.query(
      'SELECT count(DISTINCT lane)::float8 AS lanes FROM spoolroom.message WHERE due <= $1',
      [now],
    );
    console.log(
      `${jobs} jobs in ${lanes} destinations, ${dueLanes?.lanes} of them with something due: a claim of ${CLAIM} takes ` +
        `${times[15]?.toFixed(1)} ms (${times[0]?.toFixed(1)} to ${times.at(-1)?.toFixed(1)})`,
    );
  }
} finally {
  await cluster.remove();
  fs.rmSync(state, { recursive: true });
}
