/**
 * The messages of a spool directory (states of its files: techdoc/spool-states.md). A control message is replaced in one
 * step, by rename; the control message of a finished job goes at once, its payload at the next flush.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { describeError, QueueError } from '../../platform/system-errors.ts';
import { warnOnce } from '../../platform/warn-once.ts';
import type { Ownership } from '../../storage/disk.ts';
import { payloadFingerprint } from '../../storage/fingerprint.ts';
import { groupCommit } from '../../storage/group-commit.ts';
import type { JournalKey, JournalRecord } from '../journal.ts';
import type { MessageStore } from '../message-store.ts';
import {
  type FinishedJob,
  hasNoPendingRecipients,
  hasOtherPendingRecipients,
  isDirty,
} from '../pending-job.ts';
import type { ActivePayloads, PayloadResult, QuarantinedMessage, Queue, QueueScan } from '../queue.ts';
import type { Schedule } from '../schedule.ts';
import { createEnqueue } from './enqueue.ts';
import { HighestNumber } from './highest-number.ts';
import type { SpoolJob } from './index/spool-job.ts';
import { ParkedFile } from './parked/parked-file.ts';
import { readPayload, removePayloads } from './payload.ts';
import { quarantine } from './quarantine.ts';
import { replayJournal } from './recovery.ts';
import { AppliedRequests } from './requests/apply.ts';
import { type RewriteDeps, rewriteControls } from './rewrite.ts';
import { type SortedScan, sortIndex } from './scan.ts';

export interface SpoolStoreDeps extends Omit<RewriteDeps, 'syncSpool'> {
  readonly owner: Ownership;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
  /** from so many parked jobs on they are in a file; default: 1000 */
  readonly fewestParked?: number;
}

export class SpoolStore implements MessageStore<SpoolJob> {
  readonly name: string;
  readonly enqueue: Queue['enqueue'];
  readonly finished = new Set<FinishedJob>();
  readonly #deps: SpoolStoreDeps & RewriteDeps;
  readonly #requests: AppliedRequests;
  readonly #recordHighest: () => Promise<void>;
  readonly #parked: ParkedFile;
  /** jobs that were parked when the file was written */
  #saved = 0;

  constructor(deps: SpoolStoreDeps) {
    const { disk, layout } = deps;
    this.name = layout.spool;
    this.#deps = { ...deps, syncSpool: groupCommit(() => disk.syncDirectory(layout.spool)) };
    const highest = new HighestNumber({ ...deps, warn: warnOnce(deps.warn) });
    this.#recordHighest = () => highest.record(deps.index.numbers.highest);
    this.#requests = new AppliedRequests({ ...this.#deps, recordHighest: this.#recordHighest });
    this.enqueue = createEnqueue(this.#deps);
    this.#parked = new ParkedFile({ ...deps, fallback: deps.dialect });
    deps.index.restoreFrom(this.#parked.many, () => this.#parked.read());
  }

  jobs(): Iterable<SpoolJob> {
    return this.#deps.index.known.jobs();
  }

  find(control: MessageNumber): SpoolJob | undefined {
    const entry = this.#deps.index.known.get(control);
    return entry?.kind === 'control' ? entry : undefined;
  }

  /** With the payload as it was read for the delivery, because outcomes and end are about that; as it is now where it was not read. */
  journalKey({ control, base: { msgid } }: SpoolJob): JournalKey {
    const { index, disk, layout } = this.#deps;
    const read = index.known.get(msgid);
    const payload = read?.kind === 'payload' ? read.fingerprint : payloadFingerprint(disk, layout, msgid);
    return { control, msgid, payload };
  }

  isSafe(job: SpoolJob): boolean {
    return !isDirty(job);
  }

  needsRecords(): boolean {
    return false;
  }

  async recover(records: readonly JournalRecord[], secure: () => Promise<void>): Promise<void> {
    if (records.length === 0) return;
    await secure();
    // What the interrupted run left unsynced is made durable before anything is concluded from it.
    await this.#deps.syncSpool();
    replayJournal(records, { ...this.#deps, finished: this.finished });
  }

  async scan(active: ActivePayloads, schedule: Schedule | null): Promise<QueueScan> {
    const requests = await this.#requests.apply(active, schedule);
    const { index, warn } = this.#deps;
    const { unreadable, ...scan } = sortIndex(index, warn, requests, active, schedule);
    if (schedule !== null && this.#parked.save(index.parked, index.newlyParked - this.#saved))
      this.#saved = index.newlyParked;
    // Before anything that was found can go.
    await this.#recordHighest();
    return { ...scan, quarantined: await this.#quarantineAll(unreadable) };
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    const { disk, layout, index } = this.#deps;
    return readPayload(disk, layout, index, payload);
  }

  /** Each file is read again right before it is replaced or removed. */
  async refresh(): Promise<void> {}

  rewrite(jobs: readonly SpoolJob[]): Promise<readonly string[]> {
    return rewriteControls(this.#deps, jobs);
  }

  async remove(): Promise<readonly string[]> {
    const removable = [...this.finished].filter((job) => job.removable);
    for (const job of await removePayloads(this.#deps, removable)) this.finished.delete(job);
    return [];
  }

  mayFinish(job: SpoolJob): boolean {
    if (hasNoPendingRecipients(job)) return true;
    this.#warnChanged(job);
    return false;
  }

  recorded(control: MessageNumber): void {
    this.#requests.retried(control);
  }

  /** Where the journal cannot say it, the directory itself still can. */
  async finishRecorded(job: SpoolJob, finished: FinishedJob, journalError: unknown): Promise<void> {
    const { index, disk, layout, syncSpool } = this.#deps;
    try {
      const entry = index.known.refresh(job.control);
      if (entry?.kind === 'refused') throw new QueueError(entry.reason);
      // Unless another program has added pending recipients meanwhile.
      if (entry !== null && (entry.kind !== 'control' || hasNewRecipients(entry, job))) {
        this.finished.delete(finished);
        this.#warnChanged(job);
      } else {
        await disk.remove(layout.message(job.control));
        index.known.forget(job.control);
        finished.removable = true;
      }
      if (journalError !== null) await syncSpool();
    } catch (error) {
      // A removal that is not durable yet is made so by the next flush, and its records are kept until then.
      if (!finished.removable) this.finished.delete(finished);
      throw new QueueError(
        `The control message ${job.control} of a finished job could not be removed from ${this.name}: ${describeError(error)}. ` +
          'Its recipients are not tried again; the next run removes it.',
        { cause: error },
      );
    }
  }

  async close(): Promise<void> {}

  #warnChanged({ control }: SpoolJob): void {
    this.#deps.warn(
      `Another program changed the control message ${control} during its delivery. It stays in the spool, and its new ` +
        'recipients are tried in the next run.',
    );
  }

  async #quarantineAll(unreadable: SortedScan['unreadable']): Promise<readonly QuarantinedMessage[]> {
    const done: QuarantinedMessage[] = [];
    for (const { number, status, reason } of unreadable) {
      try {
        done.push({ number, reason, path: await quarantine(this.#deps, number, status, reason) });
      } catch (error) {
        this.#deps.warn(
          `Message ${number} is an unreadable delivery list (${reason}) and could not be moved away: ${describeError(error)}.`,
        );
      }
    }
    if (done.length > 0) await this.#deps.syncSpool();
    return done;
  }
}

/** Whether a pending recipient was added to the control message while its job was finished. The same job had none before that. */
function hasNewRecipients(now: SpoolJob, finished: SpoolJob): boolean {
  if (now === finished) return false;
  const known = finished.base.recipients.map(({ address }) => address);
  return !hasNoPendingRecipients(now) || hasOtherPendingRecipients(now.base, known);
}
