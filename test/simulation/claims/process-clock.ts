/** Time as one process sees it: frozen, it sees nothing until it goes on, but time passes; killed, it never sees anything again. */
import type { Clock, Timer } from '../../../src/platform/clock.ts';

export class ProcessClock implements Clock {
  readonly #time: Clock;
  #isFrozen = false;
  #isDead = false;
  #missed: (() => void)[] = [];

  constructor(time: Clock) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now();
  }

  monotonic(): number {
    return this.#time.monotonic();
  }

  /** Something comes from outside. */
  deliver(call: () => void): void {
    if (this.#isDead) return;
    if (this.#isFrozen) this.#missed.push(call);
    else call();
  }

  after(milliseconds: number, call: () => void): Timer {
    let isCancelled = false;
    const happen = (): void =>
      this.deliver(() => {
        if (!isCancelled) call();
      });
    const timer = this.#time.after(milliseconds, happen);
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    for (const call of this.#missed.splice(0)) this.#time.after(0, () => this.deliver(call));
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  kill(): void {
    this.#isDead = true;
  }
}
