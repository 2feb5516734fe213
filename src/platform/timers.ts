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
    // What was over may have removed the last one and added another.
    this.#timer?.cancel();
    const [first] = this.#ends.values();
    this.#timer =
      first === undefined
        ? null
        : this.#clock.after(Math.max(0, first - this.#clock.monotonic()), () => this.#fire());
  }
}

/** Calls that are all made after so many milliseconds. */
export type DelayedCalls = FixedDelay<() => void>;

export function delayedCalls(clock: Clock, milliseconds: number): DelayedCalls {
  return new FixedDelay(clock, milliseconds, (call) => call());
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
  at = 0;
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
    this.at = this.#clock.monotonic() + milliseconds;
    this.#milliseconds = milliseconds;
    this.#running.add(this);
  }

  /** When it was set last, monotonic milliseconds. */
  get setAt(): number {
    return this.at - this.#milliseconds;
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
  #timer: Timer | null = null;
  /** when the timer ends, monotonic milliseconds; infinite: there is none */
  #end = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(deadline: MovingDeadline): void {
    this.#all.add(deadline);
    if (deadline.at < this.#end) this.#endAt(deadline.at);
  }

  delete(deadline: MovingDeadline): void {
    if (this.#all.delete(deadline) && this.#all.size === 0) this.#endAt(Number.POSITIVE_INFINITY);
  }

  #endAt(end: number): void {
    this.#timer?.cancel();
    this.#end = end;
    const left = Math.max(0, end - this.#clock.monotonic());
    this.#timer = Number.isFinite(end) ? this.#clock.after(left, () => this.#check()) : null;
  }

  #check(): void {
    const now = this.#clock.monotonic();
    try {
      for (const deadline of [...this.#all])
        if (deadline.at <= now && this.#all.delete(deadline)) deadline.pass();
    } finally {
      let end = Number.POSITIVE_INFINITY;
      for (const { at } of this.#all) end = Math.min(end, at);
      this.#endAt(end);
    }
  }
}

const byClock = new WeakMap<Clock, RunningDeadlines>();
