/**
 * What several processes deliver from one queue in PostgreSQL: `node --import tsx test/bench/workers.ts [--messages N] [--bytes N]
 * [--workers N] [--rounds N]`, after `npm run build`. For 1 to N processes `run`: messages a second on this machine, and the processor time
 * of a message in the database and in the process, which a busy machine changes less. Then the round trips of a message, by what they are
 * for, and what the parts say of more machines. The server has fsync; where the script is root its disk is in memory.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/platform/clock.ts';
import { postgresClient } from '../../src/queue/postgres/client.ts';
import { databaseAt, startCluster } from '../support/postgres.ts';
import { PROGRAM } from '../support/program.ts';
import { NEW_JOB, SETTINGS_2012 } from '../support/spool.ts';
import { messageText, startSink } from './load.ts';
import { costOfNode, cpuOfTree, inTemporaryFolder } from './process.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '3000' },
    bytes: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
  },
});
const messages = Number(values.messages);
const body = Buffer.from(messageText(Number(values.bytes)));

/** Milliseconds of one message. */
interface Part {
  readonly rate: number;
  readonly database: number;
  readonly process: number;
  /** of the process, its one thread that runs JavaScript */
  readonly main: number;
}

/** By what their statements have in them, the first that fits. */
const ROUND_TRIPS: readonly (readonly [string, RegExp])[] = [
  ['job put in', /spoolroom\.enqueue\(|nextval/],
  ['others told of it', /pg_notify|NOTIFY/i],
  ['body read', /AS is_list|FROM spoolroom\.chunk/],
  ['claim', /spoolroom\.(?:claim|reap|purge|put_back|fold)\(|FROM spoolroom\.(?:job|outcome) WHERE/],
  ['outcomes recorded', /spoolroom\.record\(/],
  ['jobs finished', /spoolroom\.finish\(/],
  ['lease', /spoolroom\.(?:enter|renew)\(/],
];

const cluster = await startCluster({
  durable: true,
  settings: ['max_wal_size = 2GB'],
  ...(process.getuid?.() === 0 ? { disk: 4 * 1024 ** 3 } : {}),
});
const sink = await startSink();
try {
  const load = (): string => `load ${os.loadavg()[0]?.toFixed(1)}`;
  const parts = new Map<string, Part[]>();
  for (let round = 1; round <= Number(values.rounds); round++)
    for (let count = 1; count <= Number(values.workers); count++) {
      const room = await cluster.create();
      note(parts, 'put in', await fill(room));
      note(parts, `${count} process${count === 1 ? '' : 'es'}`, await deliver(room, count));
    }
  console.log(
    `${messages} messages of ${body.length} bytes, ${os.cpus().length} cores, ${load()}; medians\n`,
  );
  console.log(
    '| | a second | CPU of the database, ms a message | of the process | its main thread |\n|---|---|---|---|---|',
  );
  for (const [name, of] of parts) {
    const { rate, database, process: own, main } = middle(of);
    console.log(
      `| ${name} | ${rate.toFixed(0)} | ${database.toFixed(2)} | ${own.toFixed(2)} | ${main.toFixed(2)} |`,
    );
  }
  await roundTrips();
  model(middle(parts.get('put in') ?? []), middle(parts.get('1 process') ?? []));
} finally {
  sink.stop();
  await cluster.remove();
}

function note(parts: Map<string, Part[]>, name: string, part: Part): void {
  parts.set(name, [...(parts.get(name) ?? []), part]);
}

function middle(parts: readonly Part[]): Part {
  const of = (field: keyof Part): number =>
    parts.map((part) => part[field]).sort((a, b) => a - b)[parts.length >> 1] ?? Number.NaN;
  return { rate: of('rate'), database: of('database'), process: of('process'), main: of('main') };
}

function partOf(seconds: number, database: number, own: number, main: number): Part {
  const each = 1000 / messages;
  return { rate: messages / seconds, database: database * each, process: own * each, main: main * each };
}

/** As intakes do it: 16 at a time, from this process. */
async function fill(room: string): Promise<Part> {
  const database = databaseAt(room);
  const client = postgresClient(database, SETTINGS_2012, () => null, systemClock);
  await client.scan();
  const before = cpuOfTree(cluster.pid());
  const own = process.cpuUsage();
  const began = performance.now();
  const submitted = Math.floor(Date.now() / 1000);
  const program = async (first: number): Promise<void> => {
    for (let n = first; n < messages; n += 16)
      await client.enqueue(body, { ...NEW_JOB, submitted, recipients: [`u${n}@host${n % 50}.example`] });
  };
  await Promise.all(Array.from({ length: 16 }, (_, first) => program(first)));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(own);
  const part = partOf(
    seconds,
    cpuOfTree(cluster.pid()) - before,
    (user + system) / 1e6,
    (user + system) / 1e6,
  );
  await database.close();
  return part;
}

/** So many processes, from their start to their end. */
function deliver(room: string, count: number): Promise<Part> {
  return inTemporaryFolder(os.tmpdir(), async (folder) => {
    const { arrived } = await sink.expect(messages);
    const before = cpuOfTree(cluster.pid());
    const began = performance.now();
    const costs = await Promise.all(
      Array.from({ length: count }, (_, nth) => {
        const state = path.join(folder, String(nth));
        fs.mkdirSync(state);
        const words = ['run', '--room', room, '--state', state, '--smarthost', `127.0.0.1:${sink.port}`];
        return costOfNode([
          ...PROGRAM,
          ...words,
          '--return',
          'room',
          '--log.target',
          path.join(state, 'log'),
        ]);
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    const database = cpuOfTree(cluster.pid()) - before;
    await arrived;
    const sum = (of: (cost: (typeof costs)[number]) => number): number =>
      costs.reduce((all, cost) => all + of(cost), 0);
    return partOf(
      seconds,
      database,
      sum(({ cpuSeconds }) => cpuSeconds),
      sum(({ mainSeconds = 0 }) => mainSeconds),
    );
  });
}

/** Each statement is one: the server writes all of them down. */
async function roundTrips(): Promise<void> {
  const room = await cluster.create();
  const wal = await walOf(room);
  const admin = databaseAt(room);
  await admin.query(
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database()); END $$",
  );
  await admin.close();
  const log = path.join(cluster.folder, 'log');
  const from = fs.statSync(log).size;
  await fill(room);
  await deliver(room, 1);
  const written = fs.readFileSync(log).subarray(from).toString('latin1');
  const statements = written.split(/^.*LOG: {2}(?:execute [^:]*|statement): /m).slice(1);
  const counts = new Map<string, number>();
  for (const statement of statements) {
    const [name] = ROUND_TRIPS.find(([, pattern]) => pattern.test(statement)) ?? ['others'];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  console.log('\n| round trips | a message |\n|---|---|');
  for (const [name, count] of counts) console.log(`| ${name} | ${(count / messages).toFixed(3)} |`);
  console.log(`| all | ${(statements.length / messages).toFixed(3)} |`);
  console.log(`\nWrite-ahead log: ${(((await walOf(room)) - wal) / messages).toFixed(0)} bytes a message`);
}

/** Bytes that the server has written ahead so far: what a standby gets as well. */
async function walOf(room: string): Promise<number> {
  const database = databaseAt(room);
  const [row] = await database.query("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS bytes");
  await database.close();
  return Number(row?.bytes);
}

/** From the parts alone; techdoc/several-machines.md says what is assumed. */
function model(put: Part, delivered: Part): void {
  const database = put.database + delivered.database;
  const perProcess = 1000 / delivered.main;
  const rows = [2, 4, 8, 16].map((cores) => {
    const most = (cores * 1000) / database;
    return `| ${cores} | ${most.toFixed(0)} | ${(most / perProcess).toFixed(1)} |`;
  });
  console.log(
    `\nA process with a core for itself: ${perProcess.toFixed(0)} a second. The database, ${database.toFixed(2)} ms of a core for a message in and out:\n`,
  );
  console.log(
    `| cores of the database | messages a second | processes for that |\n|---|---|---|\n${rows.join('\n')}`,
  );
  console.log(`\n${execFileSync('uname', ['-rm'], { encoding: 'utf8' }).trim()}, Node ${process.version}`);
}
