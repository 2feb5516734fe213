/**
 * Keeps what strangers cause from flooding the log: the first events of each source within a minute are told one by one, the
 * others are counted and told when the minute is over. Memory, and what is told in a minute, are bounded whatever comes.
 */
import type { Clock, Timer } from '../platform/clock.ts';

/** Of one source within a minute, one by one. A program that bans addresses has to see a few. */
const FIRST = 5;
/** Of all sources within a minute, one by one. */
const MOST_ONE_BY_ONE = 100;
/** Sources that are told of with their counts at the end of a minute, those with most events first. */
const MOST_COUNTED = 50;
/** Sources that are told apart. */
const MOST_SOURCES = 10_000;
/** Milliseconds. */
const WINDOW = 60_000;

export interface FloodEvents<Event> {
  /** one event */
  one(event: Event): void;
  /** so many more of this source within a minute */
  more(source: string, count: number): void;
  /** so many more of sources that are not told one by one */
  others(count: number): void;
}

export class FloodLimit<Event> {
  readonly #clock: Clock;
  readonly #sourceOf: (event: Event) => string;
  readonly #events: FloodEvents<Event>;
  /** by source, in this minute */
  readonly #counts = new Map<string, { told: number; more: number }>();
  #told = 0;
  #others = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, sourceOf: (event: Event) => string, events: FloodEvents<Event>) {
    this.#clock = clock;
    this.#sourceOf = sourceOf;
    this.#events = events;
  }

  add(event: Event): void {
    this.#timer ??= this.#clock.after(WINDOW, () => this.flush());
    const source = this.#sourceOf(event);
    const count = this.#counts.get(source) ?? { told: 0, more: 0 };
    if (count.told < FIRST && this.#told < MOST_ONE_BY_ONE) {
      count.told++;
      this.#told++;
      this.#events.one(event);
    } else {
      count.more++;
    }
    if (this.#counts.has(source) || this.#counts.size < MOST_SOURCES) this.#counts.set(source, count);
    else this.#others += count.more;
  }

  /** Tells what was only counted; the minute is over, or the process ends. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const counted = [...this.#counts].filter(([, { more }]) => more > 0);
    counted.sort(([, a], [, b]) => b.more - a.more);
    for (const [source, { more }] of counted.slice(0, MOST_COUNTED)) this.#events.more(source, more);
    const others = counted.slice(MOST_COUNTED).reduce((sum, [, { more }]) => sum + more, this.#others);
    if (others > 0) this.#events.others(others);
    this.#counts.clear();
    this.#told = 0;
    this.#others = 0;
  }
}
