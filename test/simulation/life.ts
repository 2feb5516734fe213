/**
 * One process in the simulation, from its start to its end: its view of disk, network and clock, and a count of its steps.
 * When it is killed nothing of it has an effect any more; what it has sent may still arrive. simulate.ts lets it work.
 */
import type { Clock, Timer } from '../../src/platform/clock.ts';
import type { MemoryDisk } from '../support/memory-disk.ts';
import type { FakeMachine } from '../support/processes.ts';
import { type DiskCall, ProcessDisk } from './disk.ts';
import type { Incident } from './plan.ts';

/** What the code of a dead process meets wherever it goes. It looks like an error of the disk, so that nobody minds. */
export class Killed extends Error {
  readonly code = 'EKILLED';
}

export interface LifeDeps {
  readonly number: number;
  readonly clock: Clock;
  readonly disk: MemoryDisk;
  readonly machine: FakeMachine;
  /** those that happen in this life */
  readonly incidents: readonly Incident[];
  readonly trace: (line: string) => void;
  /** a name in the spool has changed */
  readonly changed: (path: string) => void;
}

/** Calls that each of the codes can come from. */
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

/** Milliseconds until the platter has something. */
const PLATTER = 2;
/** No life takes as many steps; one that does has lost its way. */
const MOST_STEPS = 30_000;

export class Life {
  readonly number: number;
  readonly disk: ProcessDisk;
  readonly processes: ReturnType<FakeMachine['start']>;
  readonly clock: Clock;
  /** rejects when the process is killed */
  readonly death: Promise<never>;
  alive = true;
  /** it is the one that delivers from the spool */
  claimed = false;
  /** calls of the disk have failed */
  troubled = false;
  steps = 0;
  readonly #deps: LifeDeps;
  readonly #timers = new Set<Timer>();
  readonly #onDeath: (() => void)[] = [];
  #die: (error: Killed) => void = () => {};

  constructor(deps: LifeDeps) {
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

  /** timers that are set */
  get timers(): number {
    return this.#timers.size;
  }

  whenDead(call: () => void): void {
    this.#onDeath.push(call);
  }

  /** Something is about to happen in this process, or to it. False: it is dead, and nothing happens. */
  readonly step = (what: string): boolean => {
    if (!this.alive) return false;
    this.steps++;
    this.#deps.trace(`${this.steps} ${what}`);
    if (this.steps > MOST_STEPS) throw new Error('this life never comes to its end');
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

  /** Nothing happens in it any more. */
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
      this.troubled = true;
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
