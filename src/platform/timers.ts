/**
 * Timers in the shapes in which a mail queue needs many: most are cancelled or set anew before they end, and that costs next
 * to nothing here.
 */
import type { Clock, Timer } from './clock.ts';

/**
 * What is over so many milliseconds after it was added: one timer of the clock serves all of it, and none when all is removed
 * or over.
 */
export class FixedDelay<Item> {
  readonly #clock: Clock;
  readonly #milliseconds: number;
  readonly #over: (item: Item) => void;
  /** monotonic milliseconds, in the order in which they end */
  readonly #ends = new Map<Item, number>();
  #timer: Timer | null = null;

  constructor(clock: Clock, milliseconds: number, over: (item: Item) => void) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
    this.#over = over;
  }

  /** What is not there yet. `now`: of the same clock, where it was just read. */
  add(item: Item, now = this.#clock.monotonic()): void {
    this.#ends.set(item, now + this.#milliseconds);
    this.#timer ??= this.#clock.after(this.#milliseconds, () => this.#fire());
  }

  delete(item: Item): void {
    if (!this.#ends.delete(item) || this.#ends.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #fire(): void {
    const now = this.#clock.monotonic();
    try {
      for (const [item, end] of this.#ends) {
        if (end > now) break;
        this.#ends.delete(item);
        this.#over(item);
      }
    } finally {
      this.#rearm();
    }
  }

  #rearm(): void {
    const [first] = this.#ends.values();
    this.#timer =
      first === undefined
        ? null
        : this.#clock.after(Math.max(0, first - this.#clock.monotonic()), () => this.#fire());
  }
}

export type StartTimer = (call: () => void) => Timer;

/** Timers that all run for so many milliseconds. */
export function fixedDelay(clock: Clock, milliseconds: number): StartTimer {
  const calls = new FixedDelay<() => void>(clock, milliseconds, (call) => call());
  return (call) => {
    const own = (): void => call();
    calls.add(own);
    return { cancel: () => calls.delete(own) };
  };
}

/**
 * A deadline that is set anew with each step of a conversation. All deadlines of a clock share one timer of it, which ends with the
 * first of them or before: conversations that are in time set none of their own.
 */
export class MovingDeadline {
  readonly #clock: Clock;
  readonly #passed: (milliseconds: number) => void;
  readonly #running: RunningDeadlines;
  /** monotonic milliseconds */
  #at = 0;
  /** how long it was when it was set */
  #milliseconds = 0;

  /** `passed` is called with the length of the deadline that was set last. */
  constructor(clock: Clock, passed: (milliseconds: number) => void) {
    this.#clock = clock;
    this.#passed = passed;
    let running = byClock.get(clock);
    if (running === undefined) {
      running = new RunningDeadlines(clock);
      byClock.set(clock, running);
    }
    this.#running = running;
  }

  /** So many milliseconds from now, and no longer when it was set to before. */
  set(milliseconds: number): void {
    this.#at = this.#clock.monotonic() + milliseconds;
    this.#milliseconds = milliseconds;
    this.#running.add(this);
  }

  get at(): number {
    return this.#at;
  }

  /** When it was set last, monotonic milliseconds. */
  get setAt(): number {
    return this.#at - this.#milliseconds;
  }

  cancel(): void {
    this.#running.delete(this);
  }

  pass(): void {
    this.#passed(this.#milliseconds);
  }
}

class RunningDeadlines {
  readonly #clock: Clock;
  readonly #all = new Set<MovingDeadline>();
  #timer: { readonly timer: Timer; readonly at: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(deadline: MovingDeadline): void {
    this.#all.add(deadline);
    this.#endBy(deadline.at);
  }

  delete(deadline: MovingDeadline): void {
    if (!this.#all.delete(deadline) || this.#all.size > 0) return;
    this.#timer?.timer.cancel();
    this.#timer = null;
  }

  #endBy(at: number): void {
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    const left = Math.max(0, at - this.#clock.monotonic());
    this.#timer = { timer: this.#clock.after(left, () => this.#check()), at };
  }

  #check(): void {
    this.#timer = null;
    const now = this.#clock.monotonic();
    try {
      for (const deadline of this.#all) {
        if (deadline.at > now) continue;
        this.#all.delete(deadline);
        deadline.pass();
      }
    } finally {
      for (const { at } of this.#all) this.#endBy(at);
    }
  }
}

const byClock = new WeakMap<Clock, RunningDeadlines>();
