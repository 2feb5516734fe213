/** The loads of the benchmark, and how a client process is started and reports. */
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newControlText } from '../../src/delivery-list/generate.ts';

export interface Load {
  readonly name: string;
  readonly messages: number;
  readonly recipients: number;
  /** bytes of one message */
  readonly size: number;
}

export const LOADS: readonly Load[] = [
  { name: '2,000 messages of 4 KB', messages: 2000, recipients: 1, size: 4096 },
  { name: '100 messages with 20 recipients', messages: 100, recipients: 20, size: 4096 },
  { name: '200 messages of 64 KB', messages: 200, recipients: 1, size: 65_536 },
];

export const SESSIONS = 20;

export interface Task extends Load {
  readonly port: number;
  /** leave out fsync; only the benchmark can */
  readonly volatile?: boolean;
}

export interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
  readonly fsyncs?: number;
}

/** A message of about `size` bytes with LF line ends, as Citadel stores them. */
export function messageText(size: number): string {
  const header = 'From: sender@bench.example\nTo: someone@bench.example\nSubject: bench\n\n';
  const line = `${'the quick brown fox jumps over the lazy dog '.slice(0, 63)}\n`;
  return `${(header + line.repeat(Math.ceil(size / line.length))).slice(0, size - 1)}\n`;
}

/** Puts jobs for these recipients into an empty spool, each with the same message. */
export function fillSpool(spool: string, text: string, jobs: readonly (readonly string[])[]): void {
  for (const [n, recipients] of jobs.entries()) {
    const msgid = 2 * n + 1;
    const sender = 'sender@bench.example';
    const list = {
      msgid,
      submitted: Math.floor(Date.now() / 1000),
      bounceto: sender,
      envelopeFrom: sender,
      sourceRoom: null,
    };
    writeFileSync(join(spool, String(msgid)), text);
    writeFileSync(join(spool, String(msgid + 1)), newControlText({ ...list, recipients }));
  }
}

type Work = () => Promise<{ readonly fsyncs?: number } | undefined>;

/** In a client process: get ready for the task, measure the work alone, report, exit. */
export function client(prepare: (task: Task) => Promise<Work>): void {
  process.once('message', (task: Task) => {
    void (async () => {
      const work = await prepare(task);
      const cpu = process.cpuUsage();
      const began = performance.now();
      const extra = await work();
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const measured: Measured = {
        seconds,
        cpuSeconds: (user + system) / 1e6,
        peakMegabytes: process.resourceUsage().maxRSS / 1024,
        ...extra,
      };
      process.send?.(measured, () => process.exit(0));
    })();
  });
}

export function inProcess(script: string, task: Task): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), { execArgv: ['--import', 'tsx'] });
    child.once('message', (measured) => resolve(measured as Measured));
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code} before it reported`)));
    child.send(task);
  });
}

export function startSink(): Promise<{ readonly port: number; stop(): void }> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL('./sink.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
    });
    child.once('message', (message) => {
      const { port } = message as { readonly port: number };
      resolve({ port, stop: () => child.kill() });
    });
  });
}
