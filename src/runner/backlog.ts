/**
 * Messages that are due and not active yet. An active message costs memory, so not all of a large queue are active at once: the
 * others stand here in lanes, one for each destination, and the lane with the fewest active messages is served next. A dead
 * destination with thousands of messages so never has more of the room than its share, while others have something to send.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import { Deque } from '../platform/deque.ts';
import type { DueMessage } from './throttling/throttled-queue.ts';

/** Messages that are active at a time, unless there are more than a third as many lanes. */
export const MOST_ACTIVE = 1000;

/**
 * A lane may have so many whatever the others have: one on the wire, and some to follow it in the same session. With two, ten messages
 * for each of a thousand domains took half as many sessions again; with four, 5 MB more.
 */
const OWN_SHARE = 3;

interface Lane {
  readonly name: string;
  /** messages that came out of it and have not ended */
  active: number;
  readonly waiting: Deque<DueMessage>;
}

export class Backlog {
  readonly #lanes = new Map<string, Lane>();
  /** lanes with messages that wait, by how many are active; the lanes of a number are served in turn */
  readonly #byActive: Set<Lane>[] = [];
  /** no lane that waits has fewer */
  #fewest = 0;
  /** by payload: the lanes out of which the active messages came */
  readonly #active = new Map<MessageNumber, Lane>();

  /** Puts a message into its lane, behind those that are there. */
  push(message: DueMessage, name: string): void {
    const lane = this.#lanes.get(name) ?? { name, active: 0, waiting: new Deque() };
    this.#lanes.set(name, lane);
    lane.waiting.push(message);
    this.#place(lane);
  }

  /** Takes the next message, which is active from now on, out of its lane; null: none waits, or there is no room for it. */
  take(): DueMessage | null {
    const lane = this.#next();
    if (lane === null || (this.#active.size >= MOST_ACTIVE && lane.active >= OWN_SHARE)) return null;
    const message = lane.waiting.shift();
    if (message === undefined) throw new Error('a lane without messages stands in line');
    this.#active.set(message[0], lane);
    this.#count(lane, 1);
    return message;
  }

  /** A message is not active any more; nothing when it did not come from here. */
  ended(payload: MessageNumber): void {
    const lane = this.#active.get(payload);
    if (lane === undefined) return;
    this.#active.delete(payload);
    this.#count(lane, -1);
    if (lane.active === 0 && lane.waiting.length === 0) this.#lanes.delete(lane.name);
  }

  /** Forgets what waits. */
  clear(): void {
    this.#byActive.length = 0;
    for (const lane of this.#lanes.values()) {
      lane.waiting.takeAll();
      if (lane.active === 0) this.#lanes.delete(lane.name);
    }
  }

  #count(lane: Lane, change: number): void {
    this.#byActive[lane.active]?.delete(lane);
    lane.active += change;
    this.#place(lane);
  }

  #place(lane: Lane): void {
    if (lane.waiting.length === 0) return;
    const line = this.#byActive[lane.active] ?? new Set();
    this.#byActive[lane.active] = line.add(lane);
    this.#fewest = Math.min(this.#fewest, lane.active);
  }

  #next(): Lane | null {
    for (; this.#fewest < this.#byActive.length; this.#fewest++) {
      const lane = this.#byActive[this.#fewest]?.values().next().value;
      if (lane !== undefined) return lane;
    }
    return null;
  }
}
