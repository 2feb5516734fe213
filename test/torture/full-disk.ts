/**
 * A full disk: a spool on a small file system of its own, filled to the last byte. It needs the right to mount; where
 * that is missing, only the simulation's ENOSPC covers this case.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { startSmtpServer } from '../support/smtp-servers.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));
const MESSAGES = 20;

/** Calls `work` with a directory on a file system of its own; false when none may be mounted here. */
export async function onSmallDisk(
  directory: string,
  work: (directory: string) => Promise<void>,
): Promise<boolean> {
  const options = ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', directory];
  if (spawnSync('mount', options).status !== 0) return false;
  try {
    await work(directory);
  } finally {
    spawnSync('umount', [directory]);
  }
  return true;
}

/** Write until nothing more fits, then free some of it. */
export function fill(directory: string, free: number): void {
  const filler = `${directory}/filler`;
  fs.rmSync(filler, { force: true });
  const file = fs.openSync(filler, 'w');
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(4096, 'x'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
  fs.ftruncateSync(file, Math.max(0, fs.fstatSync(file).size - free));
  fs.closeSync(file);
}

export interface FullDisk {
  /** after each run: free bytes, exit code, recipients that have a message by then */
  readonly steps: readonly { readonly free: number; readonly code: number; readonly accepted: number }[];
  /** recipients without their message; files still in the spool at the end */
  readonly lost: readonly string[];
  readonly left: readonly string[];
}

/** Deliver from a spool whose disk has each of these numbers of free bytes in turn, and finally enough. */
export async function deliverFromFullDisk(directory: string, frees: readonly number[]): Promise<FullDisk> {
  const server = await startSmtpServer();
  const recipients = Array.from({ length: MESSAGES }, (_, n) => `full${n}@torture.example`);
  for (const [n, name] of recipients.entries()) {
    const [msgid, control] = [2 * n + 1, 2 * n + 2];
    fs.writeFileSync(`${directory}/${msgid}`, 'From: me@me.example\nSubject: full\n\nhello\n');
    const facts = { bounceto: 'me@me.example', envelopeFrom: 'me@me.example', sourceRoom: null };
    const submitted = Math.floor(Date.now() / 1000);
    fs.writeFileSync(
      `${directory}/${control}`,
      newControlText({ ...facts, msgid, submitted, recipients: [name] }),
    );
  }
  const received = (): Set<string> => new Set(server.accepted.flatMap(({ recipients: to }) => to));
  const steps: { free: number; code: number; accepted: number }[] = [];
  try {
    for (const free of [...frees, Number.POSITIVE_INFINITY]) {
      fill(directory, free);
      const words = ['run', '--force', '--spool', directory, '--smarthost', `127.0.0.1:${server.port}`];
      const child = spawn(process.execPath, [PROGRAM, ...words, '--hostname', 'me.example'], {
        stdio: 'ignore',
      });
      const [code] = await once(child, 'close');
      steps.push({ free, code, accepted: received().size });
    }
  } finally {
    await server.close();
  }
  const lost = recipients.filter((each) => !received().has(each));
  return { steps, lost, left: fs.readdirSync(directory).filter((name) => /^\d+$/.test(name)) };
}
