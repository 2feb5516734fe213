/** What a run tells of itself: how many jobs it saw, and what became of their recipients. */
import type { SilentHosts } from '../delivery/rules.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { ControlMessages } from '../queue/due.ts';
import type { WaitingJobs } from '../queue/queue.ts';
import type { OutcomeRecord } from './active-message.ts';

/** How far a run is. */
export type RunCount = Omit<RunSummary, 'milliseconds'>;

export interface RunSummary {
  /** control messages seen */
  readonly jobs: number;
  readonly due: number;
  /** jobs that were due and are not being worked on any more */
  readonly done: number;
  /** recipients; one that was tried more than once counts once, by its last outcome */
  readonly delivered: number;
  readonly deferred: number;
  readonly failed: number;
  /** messages that are done and removed */
  readonly finished: number;
  /** sessions that were cut off because their hosts were silent while others waited */
  readonly silent: number;
  /** milliseconds that a message waited for a session while such hosts had all of them, at most */
  readonly waited: number;
  readonly milliseconds: number;
}

export const NOT_WAITING: WaitingJobs = {
  payloads: { length: 0, at: () => -1, has: () => false },
  earliest: null,
};

const COUNTED = { 2: 'delivered', 4: 'deferred', 5: 'failed' } as const;

/** What the count holds of one message. */
interface Counted {
  readonly jobs: number;
  /** it is to be delivered, or has been */
  due: boolean;
  done: boolean;
  deferred: number;
}

export class RunCounter {
  readonly count = {
    jobs: 0,
    due: 0,
    done: 0,
    delivered: 0,
    deferred: 0,
    failed: 0,
    finished: 0,
    silent: 0,
    waited: 0,
  };
  /** by payload, those in the queue */
  readonly #counted = new Map<MessageNumber, Counted>();
  /** payloads in the queue whose jobs only waited for their time at the last scan */
  #waiting = NOT_WAITING.payloads;

  /** Each job counts once, also one that came after the beginning or that is tried again. */
  scanned(
    all: ReadonlyMap<MessageNumber, ControlMessages>,
    waiting: WaitingJobs['payloads'],
    isActive: (msgid: MessageNumber) => boolean,
  ): void {
    for (const [msgid, counted] of this.#counted) {
      if (isActive(msgid)) continue;
      // It had to wait for its turn, and is counted again if it still is due.
      if (counted.due && !counted.done) this.#isNotDue(counted);
      if (!all.has(msgid) && !waiting.has(msgid)) this.#counted.delete(msgid);
    }
    for (const [msgid, lists] of all) {
      if (this.#counted.has(msgid)) continue;
      if (!this.#waiting.has(msgid)) this.count.jobs += lists.length;
      this.#counted.set(msgid, counted(lists, false));
    }
    for (let at = 0; at < waiting.length; at++) {
      const msgid = waiting.at(at);
      if (!this.#waiting.has(msgid) && !this.#counted.has(msgid)) this.count.jobs++;
    }
    this.#waiting = waiting;
  }

  /** It is active now, or will be when it is its turn. */
  due(msgid: MessageNumber, lists: ControlMessages): void {
    const before = this.#counted.get(msgid);
    // Tried again: what comes of it now counts.
    if (before?.done === true) {
      this.count.done -= before.jobs;
      this.count.deferred -= before.deferred;
      this.#isNotDue(before);
    }
    this.count.due += lists.length;
    this.#counted.set(msgid, counted(lists, true));
  }

  #isNotDue(counted: Counted): void {
    this.count.due -= counted.jobs;
    counted.due = false;
  }

  outcome({ msgid, status }: OutcomeRecord): void {
    this.count[COUNTED[status]]++;
    const counted = this.#counted.get(msgid);
    if (status === 4 && counted !== undefined) counted.deferred++;
  }

  ended(msgid: MessageNumber, finished: boolean): void {
    if (finished) this.count.finished++;
    const counted = this.#counted.get(msgid);
    if (counted === undefined) return;
    this.count.done += counted.jobs;
    counted.done = true;
  }

  silent({ cut, waited }: SilentHosts): void {
    this.count.silent += cut;
    this.count.waited = Math.max(this.count.waited, Math.round(waited));
  }
}

function counted({ length }: ControlMessages, due: boolean): Counted {
  return { jobs: length, due, done: false, deferred: 0 };
}
