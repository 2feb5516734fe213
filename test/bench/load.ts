/** What is sent: messages, jobs in a spool, and the client processes that send without a queue. */
import { fork, spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newControlText } from '../../src/delivery-list/generate.ts';
import type { Cost } from './measure.ts';
import type { Arrived } from './sink.ts';

export const SENDER = 'sender@bench.example';
export const SESSIONS = 20;

/** Milliseconds. What takes longer has failed. */
const LONGEST = 600_000;

export interface Load {
  readonly messages: number;
  readonly recipients: number;
  /** bytes of one message */
  readonly size: number;
}

export interface Task extends Load {
  readonly port: number;
}

/** Messages submitted to a server. */
export interface Submission {
  readonly port: number;
  readonly connections: number;
  readonly atOnce: number;
  /** on each connection */
  readonly messages: number;
  /** bytes of one message */
  readonly size: number;
}

/** A message of about `size` bytes with LF line ends, as Citadel stores them. */
export function messageText(size: number): string {
  const header = `From: ${SENDER}\nTo: someone@bench.example\nSubject: bench\n\n`;
  const line = `${'the quick brown fox jumps over the lazy dog '.slice(0, 63)}\n`;
  return `${(header + line.repeat(Math.ceil(size / line.length))).slice(0, size - 1)}\n`;
}

export function recipientsOf({ recipients }: Load): readonly string[] {
  return Array.from({ length: recipients }, (_, n) => `r${n}@bench.example`);
}

/** Puts jobs for these recipients into an empty spool, each with the same message. */
export function fillSpool(spool: string, text: string, jobs: readonly (readonly string[])[]): void {
  const submitted = Math.floor(Date.now() / 1000);
  for (const [n, recipients] of jobs.entries()) {
    const msgid = 2 * n + 1;
    const list = { msgid, submitted, bounceto: SENDER, envelopeFrom: SENDER, sourceRoom: null, recipients };
    writeFileSync(join(spool, String(msgid)), text);
    writeFileSync(join(spool, String(msgid + 1)), newControlText(list));
  }
}

/** Numbered files. */
export function filesLeft(spool: string): number {
  return readdirSync(spool).filter((name) => /^\d+$/.test(name)).length;
}

/** Mail that waits has long been on the disk; what was just prepared has not, and would be written while the clock runs. */
export function settle(folder: string): void {
  spawnSync('sync', ['-f', folder]);
}

/** What is awaited, or an error that names who is late. */
export async function inTime<T>(who: string, awaited: Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = sleep(LONGEST, undefined, { signal: done.signal }).then(() => {
    throw new Error(`${who} has not delivered everything after ${LONGEST / 1000} seconds`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([awaited, late]);
  } finally {
    done.abort();
  }
}

/** What is known when all messages of a round have arrived. */
export function sessionsOf(
  { sessions, resumed }: Arrived,
  { tls }: Sink,
): Pick<Cost, 'sessions' | 'resumed'> {
  return tls ? { sessions, resumed } : { sessions };
}

type Work = () => Promise<void>;

/** In a client process: get ready for the task, measure the work alone, report, exit. */
export function client<T>(prepare: (task: T) => Promise<Work>): void {
  process.once('message', (task: T) => {
    void (async () => {
      const work = await prepare(task);
      const cpu = process.cpuUsage();
      const began = performance.now();
      await work();
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const peakMegabytes = process.resourceUsage().maxRSS / 1024;
      const cost: Cost = { seconds, cpuSeconds: (user + system) / 1e6, peakMegabytes };
      process.send?.(cost, () => process.exit(0));
    })();
  });
}

function start(script: string, words: readonly string[] = []): ReturnType<typeof fork> {
  return fork(fileURLToPath(new URL(script, import.meta.url)), words, { execArgv: ['--import', 'tsx'] });
}

export function costOfClient(script: string, task: Task | Submission): Promise<Cost> {
  return new Promise((resolve, reject) => {
    const child = start(script);
    child.once('message', (cost) => resolve(cost as Cost));
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code} before it reported`)));
    child.send(task);
  });
}

export interface Sink {
  readonly port: number;
  /** whether it offers TLS */
  readonly tls: boolean;
  /** Counts from zero; resolves, once it is ready, to what resolves when so many messages have come. */
  expect(messages: number): Promise<{ readonly arrived: Promise<Arrived> }>;
  stop(): void;
}

export async function startSink(tls?: 'tls' | 'tls-anew'): Promise<Sink> {
  const child = start('./sink.ts', tls === undefined ? [] : [tls]);
  const next = (): Promise<unknown> => new Promise((resolve) => child.once('message', resolve));
  const port = (await next()) as number;
  return {
    port,
    tls: tls !== undefined,
    async expect(messages) {
      child.send(messages);
      await next();
      return { arrived: next() as Promise<Arrived> };
    },
    stop: () => child.kill(),
  };
}
