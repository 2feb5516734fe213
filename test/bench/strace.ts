/** System calls of commands and of servers, counted by strace where it is installed. What is counted is slow and not timed. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inTemporaryFolder, processTree } from './process.ts';

export interface SystemCalls {
  readonly all: number;
  /** fsync and fdatasync */
  readonly syncs: number;
}

const COUNT = ['-c', '-f', '-U', 'calls,name'];
const hasStrace = spawnSync('strace', [...COUNT, 'true'], { stdio: 'ignore' }).status === 0;

function readCounts(file: string): SystemCalls {
  const rows = readFileSync(file, 'latin1').matchAll(/^\s*(\d+)\s+(\w+)$/gm);
  const counts = Object.fromEntries([...rows].map(([, calls, name]) => [name, Number(calls)]));
  return { all: counts.total ?? 0, syncs: (counts.fsync ?? 0) + (counts.fdatasync ?? 0) };
}

export async function callsOfCommand(command: readonly string[]): Promise<SystemCalls | null> {
  if (!hasStrace) return null;
  return inTemporaryFolder(tmpdir(), async (folder) => {
    const file = join(folder, 'strace');
    await promisify(execFile)('strace', [...COUNT, '-o', file, ...command]);
    return readCounts(file);
  });
}

/** Of a server and all its processes, while the work is done. */
export async function callsOfTree(root: number, work: () => Promise<unknown>): Promise<SystemCalls | null> {
  if (!hasStrace) return null;
  return inTemporaryFolder(tmpdir(), async (folder) => {
    const file = join(folder, 'strace');
    const attached = processTree(root);
    const strace = spawn(
      'strace',
      [...COUNT, '-o', file, ...attached.flatMap((pid) => ['-p', String(pid)])],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    const ended = once(strace, 'close');
    await new Promise<void>((resolve) => {
      let told = '';
      strace.stderr.on('data', (piece) => {
        told += piece;
        if ((told.match(/ attached/g)?.length ?? 0) >= attached.length) resolve();
      });
    });
    await work();
    strace.kill('SIGINT');
    await ended;
    return readCounts(file);
  });
}
