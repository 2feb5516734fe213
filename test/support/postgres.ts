/**
 * A real PostgreSQL server for tests: a cluster of its own in a temporary folder, on a socket there, as a user that is not root.
 * Where the programs are not installed, tests that need them say so and are skipped.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseDatabaseAddress } from '../../src/queue/postgres/database/address.ts';
import { Database } from '../../src/queue/postgres/database/database.ts';
import { migrate } from '../../src/queue/postgres/schema/migrate.ts';

/** The folder of Debian's programs of the newest version from 15 on; null: there are none. */
export function postgresPrograms(): string | null {
  const root = '/usr/lib/postgresql';
  const versions = fs.existsSync(root) ? fs.readdirSync(root).map(Number) : [];
  const newest = versions.filter((version) => version >= 15).sort((a, b) => b - a)[0];
  return newest === undefined ? null : `${root}/${newest}/bin`;
}

/** Why there is no test with a real server; false: there is one. Of the form that `skip` takes. */
export const NO_POSTGRES: string | false =
  postgresPrograms() === null ? 'PostgreSQL 15 is not installed (Debian: postgresql)' : false;

export interface Cluster {
  /** of a database in it */
  address(database: string): string;
  /** A database of its own, with the tables; returns its address. */
  create(): Promise<string>;
  readonly folder: string;
  /** of the server */
  pid(): number;
  isAlive(): boolean;
  start(): Promise<void>;
  /** as `pg_ctl stop -m` */
  stop(how: 'fast' | 'immediate'): Promise<void>;
  /** All its processes at once: SIGKILL is what a machine does that fails. */
  signal(name: NodeJS.Signals): void;
  /** a standby becomes the one that is written to */
  promote(): Promise<void>;
  /** What it had is thrown away: it becomes a standby of this one, which has every commit before it is acknowledged. */
  follow(primary: Cluster): Promise<void>;
  remove(): Promise<void>;
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { readonly uid?: number; readonly gid?: number; readonly user: string } {
  if (process.getuid?.() !== 0) return { user: os.userInfo().username };
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(fs.readFileSync('/etc/passwd', 'utf8')) ?? [];
  return { uid: Number(uid), gid: Number(gid), user: 'nobody' };
}

let databases = 0;

export interface ClusterOptions {
  /** further lines of postgresql.conf */
  readonly settings?: readonly string[];
  /** as a real one: every commit reaches the disk */
  readonly durable?: true;
  /** a standby of this one, which has every commit before it is acknowledged */
  readonly standbyOf?: Cluster;
  /** bytes of a file system of its own, in memory; needs root */
  readonly disk?: number;
}

export async function startCluster({
  settings = [],
  durable,
  standbyOf,
  disk,
}: ClusterOptions = {}): Promise<Cluster> {
  const programs = postgresPrograms();
  if (programs === null) throw new Error(String(NO_POSTGRES));
  const { user, ...as } = unprivileged();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-pg-'));
  if (disk !== undefined)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${disk}`, 'tmpfs', folder], { stdio: 'pipe' });
  if (as.uid !== undefined) fs.chownSync(folder, as.uid, as.gid ?? 0);
  const data = path.join(folder, 'data');
  const environment = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const call = (program: string, ...given: readonly string[]): void => {
    execFileSync(path.join(programs, program), given, {
      ...as,
      stdio: 'pipe',
      env: environment,
      cwd: folder,
    });
  };
  const own = [
    `unix_socket_directories = '${folder}'`,
    "listen_addresses = ''",
    'max_connections = 60',
    'shared_buffers = 64MB',
    `fsync = ${durable === true ? 'on' : 'off'}`,
    ...settings,
  ];
  const configure = (): void => fs.appendFileSync(path.join(data, 'postgresql.conf'), `${own.join('\n')}\n`);
  const address = (database: string): string =>
    `postgres://${user}@/${database}?host=${encodeURIComponent(folder)}`;
  const cluster: Cluster = {
    folder,
    address,
    pid: () => Number(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n', 1)[0]),
    isAlive() {
      try {
        return process.kill(cluster.pid(), 0);
      } catch {
        return false;
      }
    },
    async create() {
      const name = `queue${++databases}`;
      const admin = databaseAt(address('postgres'));
      const isFirst = (await admin.query("SELECT FROM pg_database WHERE datname = 'ready'")).length === 0;
      if (isFirst) {
        await admin.query('CREATE DATABASE ready');
        const ready = databaseAt(address('ready'));
        await migrate(ready);
        await ready.close();
      }
      await admin.query(`CREATE DATABASE ${name} TEMPLATE ready`);
      await admin.close();
      return address(name);
    },
    start: () => startAtLast(call, ['-D', data, '-l', path.join(folder, 'log'), '-w', 'start']),
    stop: async (how) => call('pg_ctl', '-D', data, '-m', how, '-w', 'stop'),
    signal(name) {
      for (const pid of withChildren(cluster.pid())) signalIfThere(pid, name);
    },
    promote: async () => call('pg_ctl', '-D', data, '-w', 'promote'),
    async follow(primary) {
      fs.rmSync(data, { recursive: true, force: true });
      const copy = ['-D', data, '-R', '-X', 'stream', '-c', 'fast', '--no-sync'];
      call('pg_basebackup', '-h', primary.folder, '-U', user, ...copy);
      configure();
      await cluster.start();
      await beSynchronous(primary.address('postgres'));
    },
    async remove() {
      try {
        call('pg_ctl', '-D', data, '-m', 'immediate', '-w', 'stop');
      } catch {
        // It was stopped, or killed.
      }
      if (disk !== undefined) execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' });
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
  if (standbyOf !== undefined) {
    await cluster.follow(standbyOf);
    return cluster;
  }
  call('initdb', '-D', data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync');
  configure();
  await cluster.start();
  return cluster;
}

function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended when the first one did.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A process and those that it started. */
function withChildren(pid: number): readonly number[] {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number))];
}

/** Resolves when no commit is acknowledged without the standby. */
async function beSynchronous(address: string): Promise<void> {
  const admin = databaseAt(address);
  await admin.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
  await admin.query('SELECT pg_reload_conf()');
  for (;;) {
    const [standby] = await admin.query('SELECT sync_state FROM pg_stat_replication');
    if (standby?.sync_state === 'sync') break;
    await new Promise((later) => setTimeout(later, 50));
  }
  await admin.close();
}

/** Processes of a server that was killed may hold its memory for a moment. */
async function startAtLast(
  call: (program: string, ...given: readonly string[]) => void,
  given: readonly string[],
): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      call('pg_ctl', ...given);
      return;
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((later) => setTimeout(later, 100));
    }
  }
}

/** A connection for the test itself. */
export function databaseAt(address: string): Database {
  const parsed = parseDatabaseAddress(address);
  if (parsed.kind === 'bad') throw new Error(parsed.why);
  return new Database(parsed, 2);
}
