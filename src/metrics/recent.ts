/** How many recipients were refused lately: counts in slices of a window of time. Pure. */

/** A window has so many slices, and is right to within one of them. */
const SLICES = 12;
const PREFIX = 'recent ';

export interface Share {
  readonly refused: number;
  /** delivered or refused */
  readonly ended: number;
}

export class Recent {
  readonly #slice: number;
  readonly #window: number;
  /** by the begin of a slice, seconds */
  readonly #counts = new Map<number, { refused: number; ended: number }>();

  /** `window`: seconds */
  constructor(window: number) {
    this.#window = window;
    this.#slice = Math.max(1, Math.ceil(window / SLICES));
  }

  /** @param now Unix seconds, here and below */
  add(isRefused: boolean, now: number): void {
    this.#count(now - (now % this.#slice), isRefused ? 1 : 0, 1);
  }

  share(now: number): Share {
    let [refused, ended] = [0, 0];
    for (const [begin, counts] of this.#counts) {
      // A time that lies ahead was told by a clock that was wrong.
      if (begin <= now - this.#window || begin > now) this.#counts.delete(begin);
      else [refused, ended] = [refused + counts.refused, ended + counts.ended];
    }
    return { refused, ended };
  }

  /** For the next process. */
  *entries(): Generator<readonly [string, number]> {
    for (const [begin, { refused, ended }] of this.#counts) {
      yield [`${PREFIX}${begin} refused`, refused];
      yield [`${PREFIX}${begin} ended`, ended];
    }
  }

  /** What the process before counted. */
  restore(values: ReadonlyMap<string, number>): void {
    for (const [key, value] of values) {
      const [, begin, what] = /^recent (\d{1,12}) (refused|ended)$/.exec(key) ?? [];
      if (what === 'refused') this.#count(Number(begin), value, 0);
      if (what === 'ended') this.#count(Number(begin), 0, value);
    }
  }

  #count(begin: number, refused: number, ended: number): void {
    const counts = this.#counts.get(begin) ?? { refused: 0, ended: 0 };
    counts.refused += refused;
    counts.ended += ended;
    this.#counts.set(begin, counts);
  }
}
