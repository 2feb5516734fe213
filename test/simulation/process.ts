/**
 * One process in the simulation, from its start to its end: its view of disk, network and clock, and a count of its steps.
 * After it is killed it has no effect any more, except that what it has sent may still arrive.
 */
import type { Clock, Timer } from '../../src/platform/clock.ts';
import type { MemoryDisk } from '../support/memory-disk.ts';
import type { FakeMachine } from '../support/processes.ts';
import { type DiskCall, ProcessDisk } from './disk.ts';
import type { Incident } from './plan.ts';

/** Thrown by every call of a process that was killed. Its `code` makes it look like an error of the disk. */
export class Killed extends Error {
  readonly code = 'EKILLED';
}

export interface ProcessDeps {
  readonly number: number;
  readonly clock: Clock;
  readonly disk: MemoryDisk;
  readonly machine: FakeMachine;
  /** the incidents of this process */
  readonly incidents: readonly Incident[];
  readonly trace: (line: string) => void;
  /** a name in the spool has changed */
  readonly changed: (path: string) => void;
}

/** The calls that can fail with each code. */
const FAILING: { readonly [code: string]: ReadonlySet<DiskCall> } = {
  EIO: new Set([
    'list',
    'status',
    'read',
    'create',
    'write',
    'sync',
    'rename',
    'link',
    'unlink',
    'syncDirectory',
  ]),
  ENOSPC: new Set(['create', 'write', 'sync', 'rename', 'link', 'mkdir', 'syncDirectory']),
  EMFILE: new Set(['list', 'read', 'create', 'syncDirectory']),
  EACCES: new Set(['read', 'create', 'rename', 'link', 'unlink', 'mkdir', 'syncDirectory']),
};

/** Milliseconds that a sync takes. */
const PLATTER = 2;
/** More steps than any process needs: one that takes more does not end. */
const MOST_STEPS = 30_000;

export class SimulatedProcess {
  readonly number: number;
  readonly disk: ProcessDisk;
  readonly processes: ReturnType<FakeMachine['start']>;
  readonly clock: Clock;
  /** rejects when the process is killed */
  readonly death: Promise<never>;
  alive = true;
  /** it holds the lock of the spool */
  claimed = false;
  /** a call of the disk has failed */
  diskFailed = false;
  steps = 0;
  readonly #deps: ProcessDeps;
  readonly #timers = new Set<Timer>();
  readonly #onDeath: (() => void)[] = [];
  #die: (error: Killed) => void = () => {};

  constructor(deps: ProcessDeps) {
    this.#deps = deps;
    this.number = deps.number;
    this.processes = deps.machine.start();
    this.clock = this.#clock(deps.clock);
    const step = (call: DiskCall, path: string): void => this.#diskStep(call, path);
    const platter = (): Promise<void> => new Promise((done) => this.clock.after(this.#platterTime(), done));
    this.disk = new ProcessDisk(deps.disk, { step, platter, changed: deps.changed });
    this.death = new Promise((_, reject) => {
      this.#die = reject;
    });
    this.death.catch(() => {});
  }

  /** how many timers are set */
  get timers(): number {
    return this.#timers.size;
  }

  whenDead(call: () => void): void {
    this.#onDeath.push(call);
  }

  /** To be called before anything happens in this process or to it. False: it is dead, and nothing may happen. */
  readonly step = (what: string): boolean => {
    if (!this.alive) return false;
    this.steps++;
    this.#deps.trace(`${this.steps} ${what}`);
    if (this.steps > MOST_STEPS) throw new Error('this process does not end');
    const end = this.#deps.incidents.find(
      (each) => (each.what === 'kill' || each.what === 'power') && each.step === this.steps,
    );
    if (end === undefined) return true;
    this.#deps.trace(end.what === 'kill' ? 'the process is killed' : 'the power fails');
    this.kill();
    return false;
  };

  kill(): void {
    this.end();
    for (const call of this.#onDeath) call();
    this.#die(new Killed());
  }

  /** It ends; nothing happens in it any more. */
  end(): void {
    this.alive = false;
    this.claimed = false;
    this.processes.end();
    for (const timer of this.#timers) timer.cancel();
  }

  #diskStep(call: DiskCall, path: string): void {
    if (!this.step(`${call} ${path}`)) throw new Killed();
    for (const incident of this.#deps.incidents) {
      if (incident.what !== 'disk' || !FAILING[incident.code]?.has(call)) continue;
      if (this.steps < incident.step || this.steps >= incident.step + incident.steps) continue;
      this.diskFailed = true;
      this.#deps.trace(`${call} fails: ${incident.code}`);
      throw Object.assign(new Error(`${incident.code}: ${call} ${path}`), { code: incident.code });
    }
  }

  #platterTime(): number {
    const slow = this.#deps.incidents.find((incident) => incident.what === 'slow-disk');
    return slow?.what === 'slow-disk' ? slow.milliseconds : PLATTER;
  }

  #clock(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (milliseconds, call) => {
        if (!this.alive) return { cancel: () => {} };
        const timer = clock.after(milliseconds, () => {
          this.#timers.delete(handle);
          call();
        });
        const handle: Timer = {
          cancel: () => {
            this.#timers.delete(handle);
            timer.cancel();
          },
        };
        this.#timers.add(handle);
        return handle;
      },
    };
  }
}
