/** A model of `spoolroom.share`: the rule of src/queue/postgres/schema/limits.ts in memory. */

interface Share {
  held: number;
  wanted: number;
  /** since when it waits, any rising number; null: it has what it wants */
  since: number | null;
  heedUntil: number;
}

export interface AskedShare {
  readonly place: string;
  readonly limit: number;
  readonly keep: number;
  readonly need: number;
  readonly ahead: number;
}

export interface ModelSharesDeps {
  isAlive(epoch: number): boolean;
  /** seconds; never the same twice */
  now(): number;
  notify(text: string): void;
}

export class ModelShares {
  readonly #deps: ModelSharesDeps;
  /** by place and epoch */
  readonly #places = new Map<string, Map<number, Share>>();
  readonly #requests = new Map<number, number>();

  constructor(deps: ModelSharesDeps) {
    this.#deps = deps;
  }

  /** Null: the lease has ended, or the request is older than one before. */
  share(
    me: number,
    request: number,
    seconds: number,
    asked: readonly AskedShare[],
  ): readonly (readonly [granted: number, contested: boolean])[] | null {
    if (!this.#deps.isAlive(me) || request <= (this.#requests.get(me) ?? 0)) return null;
    this.#requests.set(me, request);
    return asked.map((each) => this.#grant(me, seconds, each));
  }

  #grant(
    me: number,
    seconds: number,
    { place, limit, keep, need, ahead }: AskedShare,
  ): readonly [number, boolean] {
    const now = this.#deps.now();
    const shares = this.#places.get(place) ?? new Map<number, Share>();
    this.#places.set(place, shares);
    const mine = shares.get(me);
    const held = mine?.held ?? 0;
    const others = [...shares].filter(([epoch]) => epoch !== me && this.#deps.isAlive(epoch));
    const wanting = others.filter(([, { wanted }]) => wanted > 0).length + (need > 0 ? 1 : 0);
    const fair = Math.floor(limit / Math.max(1, wanting));
    const low = Math.max(1, fair);
    const isLow = Math.max(keep, held) < low;
    const isBehind = others.some(
      ([, other]) =>
        other.wanted > other.held &&
        other.held < low &&
        other.heedUntil > now &&
        (!isLow || (other.since ?? 0) < (mine?.since ?? now)),
    );
    const taken = others.reduce((sum, [, other]) => sum + other.held, 0);
    const free = Math.max(0, Math.min(ahead, limit - taken));
    const granted = isBehind ? Math.min(free, fair) : free;
    const holds = Math.max(keep, granted);
    const isContested = others.some(([, { wanted, held: has }]) => wanted > has);
    const waitsNow = need > granted && (mine?.since ?? null) === null;
    if ((isContested && holds < held) || waitsNow) this.#deps.notify(`limits ${me} ${place}`);
    if (holds === 0 && need === 0) shares.delete(me);
    else {
      const since = need <= granted ? null : waitsNow || holds < held ? now : (mine?.since ?? now);
      shares.set(me, { held: holds, wanted: need, since, heedUntil: now + seconds });
    }
    return [granted, isContested];
  }

  /** Workers that are gone. */
  end(epochs: ReadonlySet<number>): void {
    let hadSome = false;
    for (const shares of this.#places.values())
      for (const epoch of epochs) hadSome = shares.delete(epoch) || hadSome;
    if (hadSome) this.#deps.notify('limits');
  }

  /** What processes whose lease is alive have, by place. */
  held(place: string): number {
    const shares = [...(this.#places.get(place) ?? [])];
    return shares.reduce((sum, [epoch, { held }]) => sum + (this.#deps.isAlive(epoch) ? held : 0), 0);
  }
}
