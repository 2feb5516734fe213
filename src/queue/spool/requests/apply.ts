/**
 * Heeds what is asked for jobs (`hold`, `retry`, `remove`), as the runner of the spool. Called by directory.ts at each look
 * and with each outcome. What is asked for a job in hand waits until it is not any more.
 */

import type { MessageNumber } from '../../../delivery-list/job.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import { isDirty } from '../../pending-job.ts';
import type { ActivePayloads } from '../../queue.ts';
import { type Removal, type RemovalDeps, removeJobs } from './removal.ts';
import { dropRequest, matchesJob, quarantineRequest, type Requests, readRequests } from './requests.ts';

export interface ApplyDeps extends RemovalDeps {
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

export class AppliedRequests {
  readonly #parts: ApplyDeps;
  /** as of the last look */
  #asked: Requests = new Map();

  constructor(parts: ApplyDeps) {
    this.#parts = parts;
  }

  /**
   * Read what is asked and remove what is to be removed. What is left is for the queue run to heed. Of a job in hand we
   * remember what was asked before, because that is what its outcomes are about.
   */
  async apply(inHand: ActivePayloads): Promise<Requests> {
    const { disk, layout, shelf, warn } = this.#parts;
    const { requests: found, damaged } = readRequests(disk, layout);
    const requests = new Map([...this.#asked].filter(([, { msgid }]) => inHand.has(msgid)));
    for (const [control, request] of found) if (!inHand.has(request.msgid)) requests.set(control, request);
    for (const control of damaged)
      warn(
        `A request for job ${control} makes no sense; it lies in ${quarantineRequest(disk, layout, control)}.`,
      );
    this.#asked = requests;
    if (requests.size === 0) return requests;
    shelf.update(inHand);
    const removals: Removal[] = [];
    for (const request of requests.values()) {
      if (inHand.has(request.msgid)) continue;
      const held = shelf.get(request.control);
      const isGone = held === undefined || held.kind === 'payload';
      if (isGone || (held.kind === 'control' && !matchesJob(request, held.base)))
        dropRequest(disk, layout, request);
      // Outcomes that are not in its control message yet are written first, a later look removes it.
      else if (held.kind === 'control' && request.request === 'remove' && !isDirty(held))
        removals.push({ held, request });
    }
    await this.#remove(removals);
    return requests;
  }

  async #remove(removals: readonly Removal[]): Promise<void> {
    if (removals.length === 0) return;
    const { disk, layout, warn } = this.#parts;
    try {
      await removeJobs(this.#parts, removals);
      for (const { request } of removals) dropRequest(disk, layout, request);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      const numbers = removals.map(({ held }) => held.control).join(', ');
      warn(`Jobs to be removed (${numbers}) stay and are not delivered: ${describeError(error)}.`);
    }
  }

  /** A try that was asked for is asked for once (R037). */
  retried(control: MessageNumber): void {
    const { disk, layout, warn } = this.#parts;
    const request = this.#asked.get(control);
    if (request?.request !== 'retry') return;
    try {
      dropRequest(disk, layout, request);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      warn(
        `${layout.requests}/${control} cannot be removed, so job ${control} is tried at every look: ${describeError(error)}.`,
      );
    }
  }
}
