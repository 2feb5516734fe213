/**
 * Timers in the shapes in which a mail queue needs many: most are cancelled or set anew before they end, and that costs next
 * to nothing here.
 */
import type { Clock, Timer } from './clock.ts';

export type StartTimer = (call: () => void) => Timer;

/** Timers that all run for so many milliseconds: one timer of the clock serves them, and none when all are cancelled or over. */
export function fixedDelay(clock: Clock, milliseconds: number): StartTimer {
  /** in the order in which they end */
  const running = new Set<{ readonly at: number; readonly call: () => void }>();
  let timer: Timer | null = null;

  function rearm(): void {
    const [first] = running;
    timer = first === undefined ? null : clock.after(Math.max(0, first.at - clock.monotonic()), fire);
  }

  function fire(): void {
    const now = clock.monotonic();
    try {
      for (const each of running) {
        if (each.at > now) break;
        running.delete(each);
        each.call();
      }
    } finally {
      rearm();
    }
  }

  return (call) => {
    const each = { at: clock.monotonic() + milliseconds, call };
    running.add(each);
    timer ??= clock.after(milliseconds, fire);
    return {
      cancel() {
        if (!running.delete(each) || running.size > 0) return;
        timer?.cancel();
        timer = null;
      },
    };
  };
}

/**
 * A deadline that is set anew with each step of a conversation. The clock's timer stays where it is as long as it ends first,
 * and is set for the rest when it does: two timers in five minutes instead of several for each message.
 */
export class MovingDeadline {
  readonly #clock: Clock;
  readonly #passed: (milliseconds: number) => void;
  /** monotonic milliseconds */
  #at = 0;
  /** how long it was when it was set */
  #milliseconds = 0;
  #timer: { readonly timer: Timer; readonly at: number } | null = null;

  /** `passed` is called with the length of the deadline that was set last. */
  constructor(clock: Clock, passed: (milliseconds: number) => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** So many milliseconds from now, and no longer when it was set to before. */
  set(milliseconds: number): void {
    this.#at = this.#clock.monotonic() + milliseconds;
    this.#milliseconds = milliseconds;
    if (this.#timer !== null && this.#timer.at <= this.#at) return;
    this.cancel();
    this.#start(this.#at, milliseconds);
  }

  /** When it was set last, monotonic milliseconds. */
  get setAt(): number {
    return this.#at - this.#milliseconds;
  }

  cancel(): void {
    this.#timer?.timer.cancel();
    this.#timer = null;
  }

  #start(at: number, milliseconds: number): void {
    this.#timer = { timer: this.#clock.after(milliseconds, () => this.#check()), at };
  }

  #check(): void {
    this.#timer = null;
    const left = this.#at - this.#clock.monotonic();
    if (left > 0) this.#start(this.#at, left);
    else this.#passed(this.#milliseconds);
  }
}
