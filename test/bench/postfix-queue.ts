/**
 * Postfix with messages in its queue, as its own smtpd and cleanup have written them. They are copied as often as a load
 * says, and put into the `incoming` queue at once, by renaming a folder, when the clock begins to run.
 */
import { execFile } from 'node:child_process';
import { chownSync, copyFileSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Postfix, startPostfix } from '../support/postfix.ts';
import { inTime, messageText, type Sink, sessionsOf, settle } from './load.ts';
import type { Contender, Cost } from './measure.ts';
import { cpuOfTree } from './process.ts';
import type { Delivery } from './spoolroom.ts';
import { callsOfTree } from './strace.ts';
import { submit } from './submit.ts';

const call = promisify(execFile);

/** Lines of main.cf for an instance that delivers: as Postfix comes, and as fast as it gets. */
export const DELIVERING = {
  default: [],
  tuned: [
    'initial_destination_concurrency = 10',
    'default_destination_concurrency_limit = 10',
    'max_use = 100000',
    // A new session for each message costs less than handing one from process to process, as long as the server is near.
    'smtp_connection_cache_on_demand = no',
    'disable_mime_output_conversion = yes',
    'smtp_dns_support_level = disabled',
  ],
} as const;

export interface PostfixQueue {
  readonly postfix: Postfix;
  /** Has its smtpd take the messages; resolves to the queue files. */
  accept(size: number, messages: readonly (readonly string[])[]): Promise<readonly string[]>;
  /** Delivers each queue file so many times. */
  deliver(files: readonly string[], copies: number, sink: Sink): Promise<Cost>;
  close(): void;
}

/** Listed again and again until nothing is in it; a few files are left when this is called. */
async function empty(folders: readonly string[]): Promise<void> {
  for (;;) {
    const names = await Promise.all(folders.map((folder) => readdir(folder, { recursive: true })));
    if (names.every((each) => each.length === 0)) return;
    await sleep(1);
  }
}

/** `main`: further lines of main.cf, such as where all mail goes. */
export async function openPostfixQueue(folder: string, main: readonly string[]): Promise<PostfixQueue> {
  const postfix = await startPostfix(folder, main);
  process.prependOnceListener('exit', postfix.close);
  const queue = `${postfix.root}/queue`;
  const owner = statSync(`${queue}/incoming`);
  const folderOf = (name: string): string => {
    mkdirSync(`${queue}/${name}`, { recursive: true, mode: 0o700 });
    chownSync(`${queue}/${name}`, owner.uid, owner.gid);
    return `${queue}/${name}`;
  };
  let accepted = 0;
  return {
    postfix,
    async accept(size, messages) {
      const text = messageText(size);
      await submit(
        postfix.port,
        messages.map((recipients) => ({ recipients, text })),
      );
      const kept = folderOf(`accepted-${++accepted}`);
      const names = readdirSync(`${queue}/hold`);
      for (const name of names) renameSync(`${queue}/hold/${name}`, `${kept}/${name}`);
      if (names.length !== messages.length) throw new Error(`Postfix has queued ${names.length} messages`);
      return names.map((name) => `${kept}/${name}`);
    },
    async deliver(files, copies, sink) {
      const next = folderOf('next');
      for (let copy = 0; copy < copies; copy++) {
        for (const [index, file] of files.entries()) {
          // As Postfix names them: 5 digits for microseconds, then a number that is the file's own.
          const name = `00000${(0x10_0000 + copy * files.length + index).toString(16).toUpperCase()}`;
          copyFileSync(file, `${next}/${name}`);
          chownSync(`${next}/${name}`, owner.uid, owner.gid);
        }
      }
      settle(postfix.root);
      const { arrived } = await sink.expect(files.length * copies);
      const cpu = cpuOfTree(postfix.master);
      const began = performance.now();
      renameSync(next, `${queue}/incoming`);
      await call('postqueue', ['-c', `${postfix.root}/etc`, '-f']);
      const counted = await inTime(`Postfix, whose log is ${postfix.root}/log,`, arrived);
      await inTime('Postfix', empty(['incoming', 'active', 'deferred'].map((name) => `${queue}/${name}`)));
      const seconds = (performance.now() - began) / 1000;
      return { seconds, cpuSeconds: cpuOfTree(postfix.master) - cpu, ...sessionsOf(counted, sink) };
    },
    close() {
      process.off('exit', postfix.close);
      postfix.close();
    },
  };
}

/** Each different list of recipients is taken by its smtpd once. */
export function postfixRun(name: string, queue: PostfixQueue, { sink, size, jobs }: Delivery): Contender {
  const different = [...new Map(jobs.map((recipients) => [recipients.join(), recipients])).values()];
  let files: readonly string[] | null = null;
  const run = async () => {
    files ??= await queue.accept(size, different);
    return queue.deliver(files, jobs.length / different.length, sink);
  };
  return { name, run, systemCalls: () => callsOfTree(queue.postfix.master, run) };
}
