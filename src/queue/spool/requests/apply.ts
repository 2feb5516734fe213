/**
 * Applies the requests for jobs (`hold`, `retry`, `remove`) as the runner of the spool. A request for a job that is being
 * delivered waits until its delivery has ended.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import { warnOnce } from '../../../platform/warn-once.ts';
import { isDirty } from '../../pending-job.ts';
import type { ActivePayloads } from '../../queue.ts';
import type { Schedule } from '../../schedule.ts';
import { parkingOf } from '../scan.ts';
import { type Removal, type RemovalDeps, removeJobs } from './removal.ts';
import {
  dropRequest,
  matchesJob,
  quarantineRequest,
  type Request,
  type Requests,
  readRequests,
  unreadableRequest,
} from './requests.ts';

export interface ApplyDeps extends RemovalDeps {
  /** a full sentence for people */
  readonly warn: (text: string) => void;
  /** resolves when no number in the index will be given again */
  readonly recordHighest: () => Promise<void>;
}

export class AppliedRequests {
  readonly #deps: ApplyDeps;
  readonly #warnOnce: (text: string) => void;
  /** as of the last scan */
  #applied: ReadonlyMap<MessageNumber, Request> = new Map();

  constructor(deps: ApplyDeps) {
    this.#deps = deps;
    this.#warnOnce = warnOnce(deps.warn);
  }

  /**
   * Read the requests and remove the jobs to be removed; the other requests are returned for the queue run. For a job that
   * is being delivered, the request from before its delivery counts, because its outcomes belong to that.
   */
  async apply(active: ActivePayloads, schedule: Schedule | null): Promise<Requests> {
    const { disk, layout, index } = this.#deps;
    const { requests: found, damaged } = readRequests(disk, layout);
    const requests = new Map([...this.#applied].filter(([, { msgid }]) => active.has(msgid)));
    for (const [control, request] of found.valid)
      if (!active.has(request.msgid)) requests.set(control, request);
    for (const control of damaged) this.#moveAway(control);
    for (const [control, why] of found.unreadable) this.#warnOnce(unreadableRequest(layout, control, why));
    this.#applied = requests;
    const applied = { valid: requests, unreadable: found.unreadable };
    if (requests.size === 0) return applied;
    index.update(active, schedule === null ? null : parkingOf(applied, schedule));
    await this.#deps.recordHighest();
    const removals: Removal[] = [];
    for (const request of requests.values()) {
      if (active.has(request.msgid)) continue;
      const job = index.known.get(request.control);
      const isGone = job === undefined || job.kind === 'payload';
      if (isGone || (job.kind === 'control' && !matchesJob(request, job.base)))
        dropRequest(disk, layout, request);
      // Outcomes that are not in its control message yet are written first; a later scan removes it.
      else if (job.kind === 'control' && request.request === 'remove' && !isDirty(job))
        removals.push({ job, request });
    }
    await this.#remove(removals);
    return applied;
  }

  #moveAway(control: MessageNumber): void {
    const { disk, layout, warn } = this.#deps;
    const what = `The request for job ${control} is not valid`;
    try {
      const path = quarantineRequest(disk, layout, control);
      warn(`${what} and was moved to ${path}. Repeat the command that made it.`);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      this.#warnOnce(
        `${what} and could not be moved away: ${describeError(error)}. Delete ${layout.requests}/${control}.`,
      );
    }
  }

  async #remove(removals: readonly Removal[]): Promise<void> {
    if (removals.length === 0) return;
    const { disk, layout, warn } = this.#deps;
    try {
      await removeJobs(this.#deps, removals);
      for (const { request } of removals) dropRequest(disk, layout, request);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      const numbers = removals.map(({ job }) => job.control).join(', ');
      warn(
        `These jobs could not be removed: ${numbers} (${describeError(error)}). They are not delivered; the next scan tries again.`,
      );
    }
  }

  /** A requested retry counts for one attempt, and what is given up is so with its first outcome. */
  retried(control: MessageNumber): void {
    const { disk, layout, warn } = this.#deps;
    const request = this.#applied.get(control);
    if (request?.request !== 'retry' && request?.request !== 'give-up') return;
    try {
      dropRequest(disk, layout, request);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      warn(
        `${layout.requests}/${control} could not be removed: ${describeError(error)}. The request of job ${control} will be carried out at every scan until it is.`,
      );
    }
  }
}
