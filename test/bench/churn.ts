/**
 * Messages come and go for a long time: `node --import tsx test/bench/churn.ts [--messages N] [--retried N] [--waiting N]
 * [--snapshot]`. Shown before it and at each tenth: how large the tables are, what is dead in them, how often they were vacuumed, how long a
 * claim and its like take. One process puts messages of 10 kB in and delivers them without SMTP, so many percent retried, beside so many
 * that wait for another day; with --snapshot somebody looks at the queue as it was at the beginning, as a backup does, so that nothing can
 * be cleaned up. A cluster of its own with PostgreSQL's own settings; where the script is root its disk is in memory: tables grow there as
 * elsewhere.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
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
    messages: { type: 'string', default: '200000' },
    /** percent */
    retried: { type: 'string', default: '4' },
    waiting: { type: 'string', default: '20000' },
    snapshot: { type: 'boolean', default: false },
  },
});
const messages = Number(values.messages);
const retried = Number(values.retried) / 100;
const waiting = Number(values.waiting);
/** Tried again after half a minute. */
const control = { ...SETTINGS_2012, spans: { first: 30, ceiling: 3600 } };
const body = Buffer.alloc(10_000, 'Subject: x\r\n\r\nline\r\n');

/** Messages that are on their way into it and out of it. */
const IN_FLIGHT = 2000;
/** Milliseconds in which autovacuum looks at each table again. */
const QUIET = 75_000;
/** Bytes. */
const DISK = 4 * 1024 ** 3;

const cluster = await startCluster({
  durable: true,
  settings: ["track_functions = 'pl'"],
  ...(process.getuid?.() === 0 ? { disk: DISK } : {}),
});
const state = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-churn-'));
try {
  const address = await cluster.create();
  const database = databaseAt(address);
  const client = postgresClient(database, control, () => null, systemClock);
  let put = 0;
  let gone = 0;
  let tries = 0;

  const putIn = async (): Promise<void> => {
    while (put < messages) {
      if (put - gone > IN_FLIGHT) await pause(5);
      else await client.enqueue(body, { ...NEW_JOB, recipients: [`u${put}@host${put++ % 500}.example`] });
    }
  };

  const deliver = async (nth: number): Promise<void> => {
    const own = path.join(state, String(nth));
    fs.mkdirSync(own);
    const deps = {
      disk: nodeDisk,
      clock: systemClock,
      random: Math.random,
      processes: processTable(nodeDisk),
    };
    const opened = await openPostgresQueue(
      { address, state: own },
      { ...deps, warn: console.error },
      control,
    );
    if (opened.kind === 'refused') throw new Error(opened.text);
    const { queue } = opened;
    while (gone < messages) {
      const { jobs } = await queue.claim(500, new Set(), SCHEDULE);
      if (jobs.length === 0) await pause(50);
      const rest = jobs[Symbol.iterator]();
      const session = async (): Promise<void> => {
        for (const { control, job } of rest) {
          await queue.readPayload(job.msgid);
          const [{ address: to } = { address: '' }] = job.recipients;
          const status = tries++ % 1000 < 1000 * retried ? 4 : 2;
          const now = Math.floor(Date.now() / 1000);
          await queue.record(control, [{ index: 0, address: to, status, text: 'ok or later' }], now);
          if (status === 4) continue;
          await queue.finish(control);
          gone++;
        }
      };
      await Promise.all(Array.from({ length: 20 }, session));
    }
    await queue.close();
  };

  await database.query(
    `INSERT INTO spoolroom.message (id, size, lane, due)
      SELECT n, 1000, 'host' || n % 5000 || '.example', extract(epoch FROM clock_timestamp()) + 86400
      FROM (SELECT nextval('spoolroom.number') AS n FROM generate_series(1, $1)) AS numbers`,
    [waiting],
  );
  await database.query(
    "INSERT INTO spoolroom.chunk SELECT id, 0, convert_to(repeat('x', 1000), 'UTF8') FROM spoolroom.message",
  );
  await database.query(
    `INSERT INTO spoolroom.job (control, message, list, due)
      SELECT nextval('spoolroom.number'), id, convert_to(repeat('x', 200), 'UTF8'), due FROM spoolroom.message`,
  );
  await database.query(
    'INSERT INTO spoolroom.lane SELECT lane, min(due) FROM spoolroom.message GROUP BY lane',
  );
  const began = performance.now();
  let calls = new Map<string, { readonly calls: number; readonly time: number }>();
  const show = async (): Promise<void> => {
    const tables = await database.repeatable(
      `SELECT relname AS table, pg_total_relation_size(relid)::float8 / 1048576 AS size, n_dead_tup::float8 AS dead,
        n_live_tup::float8 AS alive, autovacuum_count::float8 AS vacuums, n_tup_upd::float8 AS updates,
        n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables WHERE schemaname = 'spoolroom' ORDER BY 1`,
    );
    const functions = await database.repeatable(
      "SELECT funcname AS name, sum(calls)::float8 AS calls, sum(total_time) AS time FROM pg_stat_user_functions WHERE schemaname = 'spoolroom' GROUP BY 1",
    );
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `\n${gone} gone, ${put - gone} waiting, ${seconds.toFixed(0)} s, ${(gone / seconds).toFixed(0)} a second, load ${os.loadavg()[0]?.toFixed(0)}`,
    );
    for (const { table, size, dead, alive, vacuums, updates, hot } of tables)
      console.log(
        `  ${String(table).padEnd(8)} ${Number(size).toFixed(1)} MiB, ${alive} rows, ${dead} dead, ${vacuums} vacuums, ` +
          `${updates} updates, ${hot} of them in place`,
      );
    const now = new Map(
      functions.map((row) => [String(row.name), { calls: Number(row.calls), time: Number(row.time) }]),
    );
    const times = ['enqueue', 'claim', 'record', 'fold', 'put_back', 'finish'].map((name) => {
      const { calls: count = 0, time = 0 } = now.get(name) ?? {};
      const { calls: before = 0, time: past = 0 } = calls.get(name) ?? {};
      return `${name} ${((time - past) / (count - before)).toFixed(1)}`;
    });
    console.log(`  ms a call since: ${times.join(', ')}`);
    calls = now;
  };

  const watch = async (): Promise<void> => {
    await show();
    for (let tenth = 1; tenth <= 10; tenth++) {
      while (gone < (messages * tenth) / 10) await pause(200);
      await show();
    }
  };
  const all = async (): Promise<void> => {
    await Promise.all([...Array.from({ length: 16 }, putIn), deliver(1), deliver(2), watch()]);
  };
  if (values.snapshot)
    await database.transaction(async (backup) => {
      await backup.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await backup.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await backup.query('SELECT count(*) FROM spoolroom.job');
      await all();
    });
  else await all();
  // What autovacuum does when it is quiet again.
  await pause(QUIET);
  await show();
  await database.close();
} finally {
  await cluster.remove();
  fs.rmSync(state, { recursive: true });
}
