/**
 * Spool directories for tests: created in a temporary folder, shown as one value, opened with a clock that is moved by
 * hand and with random numbers that are the same each time.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Clock } from '../../src/platform/clock.ts';
import { QueueError } from '../../src/platform/system-errors.ts';
import type { ControlSettings } from '../../src/queue/control-message.ts';
import type { NewJob, Queue } from '../../src/queue/queue.ts';
import { openSpoolClient, openSpoolQueue, type SpoolDeps } from '../../src/queue/spool/open.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { type ProcessTable, processTable } from '../../src/storage/processes.ts';

/** Messages are a day old in tests, so that no file counts as being written now. */
export const NOW = 1_342_224_000;

export const SETTINGS_2012: ControlSettings = { dialect: '2012', spans: { first: 300, ceiling: 43_200 } };
export const SETTINGS_2017: ControlSettings = { ...SETTINGS_2012, dialect: '2017' };

export const HEADER = 'Content-type: application/x-citadel-delivery-list\n\n';
export const MAIL = 'From: a@example.org\nTo: b@example.com\nSubject: hello\n\nHello.\n';
/** A job as a program hands it over. */
export const NEW_JOB: NewJob = {
  bounceto: 'a@example.org',
  envelopeFrom: null,
  sourceRoom: null,
  recipients: ['b@example.com'],
  submitted: NOW,
};

/** A new delivery list for this payload. */
export function listFor(msgid: number, ...recipients: string[]): string {
  const lines = recipients.map((address) => `remote|${address}|0||\n`);
  return `${HEADER}msgid|${msgid}\nsubmitted|${NOW}\nbounceto|a@example.org\n${lines.join('')}`;
}

/** A file system in memory, where this machine has one. */
const MEMORY = '/dev/shm';

/** A temporary directory for small files whose disk is not the point of the test: in memory where that is possible. */
export function quickDirectory(t: TestContext): string {
  return temporaryDirectory(t, fs.existsSync(MEMORY) ? MEMORY : os.tmpdir());
}

export function temporaryDirectory(t: TestContext, parent = os.tmpdir()): string {
  const directory = fs.mkdtempSync(path.join(parent, 'spoolroom-test-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A spool directory with these files. */
export function spoolOf(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const spool = temporaryDirectory(t);
  for (const [name, bytes] of Object.entries(files)) writeMessage(spool, name, bytes);
  return spool;
}

/** Write as other programs do: atomically, and long before the test began. */
export function writeMessage(spool: string, name: string, bytes: string | Buffer): void {
  fs.writeFileSync(path.join(spool, name), bytes, 'latin1');
  fs.utimesSync(path.join(spool, name), NOW - 86_400, NOW - 86_400);
}

/** The messages of a spool and everything quarantined; not the state of the program itself. */
export function messagesIn(spool: string): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const entry of fs.readdirSync(spool, { withFileTypes: true, recursive: true })) {
    const name = path.relative(spool, path.join(entry.parentPath, entry.name));
    if (!entry.isFile() || /^\.spoolroom\/(?!bad\/)/.test(name)) continue;
    shown[name] = fs.readFileSync(path.join(spool, name), 'latin1');
  }
  return shown;
}

/** A clock that is moved by hand. Like that of the system it has fractions: each reading is a little later than the last. */
export class HandClock implements Clock {
  #now = NOW * 1000;
  #wall = 0;
  #readings = 0;
  readonly #timers = new Set<{ readonly at: number; readonly call: () => void }>();

  now(): number {
    return this.#now + this.#wall;
  }

  monotonic(): number {
    return this.#now + ++this.#readings / 1024;
  }

  after(milliseconds: number, call: () => void) {
    const timer = { at: this.#now + milliseconds, call };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** The wall clock is set; no time passes. */
  step(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
      this.#timers.delete(timer);
      timer.call();
    }
  }
}

/** mulberry32: the same numbers for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Bench extends SpoolDeps {
  readonly clock: HandClock;
  readonly warnings: string[];
}

let benches = 0;

/** What a queue depends on: disk, clock, processes, warnings. */
export function bench(overrides: { readonly disk?: Disk; readonly processes?: ProcessTable } = {}): Bench {
  const warnings: string[] = [];
  return {
    disk: nodeDisk,
    processes: processTable(nodeDisk),
    ...overrides,
    clock: new HandClock(),
    random: seededRandom(++benches),
    warnings,
    warn: (text) => void warnings.push(text),
  };
}

export async function openQueue(spool: string, deps: Bench, settings = SETTINGS_2012): Promise<Queue> {
  const opened = await openSpoolQueue(spool, deps, settings);
  if (opened.kind === 'refused') throw new QueueError(opened.text);
  return opened.queue;
}

export async function openClient(spool: string, deps: Bench, settings = SETTINGS_2012) {
  const opened = await openSpoolClient(spool, deps, settings);
  if (opened.kind === 'refused') throw new QueueError(opened.text);
  return opened.client;
}
