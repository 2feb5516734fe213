/**
 * The messages of the queue room of a running Citadel server (techdoc/live-room.md). They never change and their
 * numbers are never used again, so a job goes through several numbers. No job is returned before the rival detector says
 * that nothing else works on the queue.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { Clock } from '../../platform/clock.ts';
import { describeError, QueueError } from '../../platform/system-errors.ts';
import { ChangeWarnings } from '../change-warnings.ts';
import type { JournalKey, JournalRecord } from '../journal.ts';
import type { MessageStore } from '../message-store.ts';
import { currentJob, type FinishedJob, isDirty } from '../pending-job.ts';
import type { ActivePayloads, PayloadResult, Queue, QueuedJob, QueueScan } from '../queue.ts';
import { ServerBusy } from './client/session.ts';
import type { PayloadCache } from './payload.ts';
import { replayJournal } from './recovery.ts';
import { type ProbeStore, RivalDetector } from './rival/rival-detector.ts';
import type { RoomDialect } from './room-dialect.ts';
import { RoomIndex, type RoomIndexDeps } from './room-index.ts';
import { type RoomJob, roomJobKey } from './room-message.ts';
import { RoomWriter, type RoomWriterDeps } from './room-writer.ts';

export interface RoomStoreDeps extends RoomIndexDeps, Pick<RoomWriterDeps, 'journal' | 'spans'> {
  readonly dialect: RoomDialect;
  readonly payloads: PayloadCache;
  readonly clock: Clock;
  readonly probes: ProbeStore;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
}

const NOTHING: QueueScan = { jobs: [], orphans: [], quarantined: [] };

export class RoomStore implements MessageStore<RoomJob> {
  readonly name: string;
  readonly #deps: RoomStoreDeps;
  readonly #index: RoomIndex;
  readonly #rivals: RivalDetector;
  readonly #writer: RoomWriter;
  readonly #warnings: ChangeWarnings;
  /** jobs by the number under which a scan returned them: the last scan, or the one before their delivery began */
  #scanned: ReadonlyMap<MessageNumber, RoomJob> = new Map();

  constructor(deps: RoomStoreDeps) {
    this.name = deps.server.name;
    this.#deps = deps;
    this.#warnings = new ChangeWarnings(deps.warn);
    const index = new RoomIndex(deps);
    this.#index = index;
    this.#writer = new RoomWriter({
      ...deps,
      index,
      beforeChange: () => this.#rivals.disarm(),
      dropPayload: (payload) => deps.payloads.drop(payload),
    });
    this.#rivals = new RivalDetector({
      ...{ name: this.name, owner: deps.owner, clock: deps.clock, store: deps.probes, index },
      post: (text) => this.#writer.post(text),
    });
  }

  get finished(): Set<FinishedJob> {
    return this.#index.finished;
  }

  jobs(): Iterable<RoomJob> {
    return this.#index.jobs();
  }

  find(control: MessageNumber): RoomJob | undefined {
    return this.#scanned.get(control);
  }

  journalKey(job: RoomJob): JournalKey {
    return roomJobKey(job);
  }

  /** A control message that was replaced holds fewer outcomes, and may be read again as long as it is there. */
  isSafe(job: RoomJob): boolean {
    return !isDirty(job) && !job.former.some((number) => this.#index.entries.has(number));
  }

  needsRecords(control: MessageNumber): boolean {
    return this.#index.entries.get(control)?.kind === 'stale';
  }

  async recover(records: readonly JournalRecord[], secure: () => Promise<void>): Promise<void> {
    const { dialect } = this.#deps;
    await dialect.detect();
    await this.#index.update();
    this.#refuseUnread(records);
    this.#rivals.compare();
    if (records.length > 0) await secure();
    replayJournal(records, this.#index, dialect);
  }

  /**
   * The journal mentions a control message that the server does not show now, or one whose successor may be such a message.
   * Without it outcomes would be lost, and their recipients would get the message again.
   */
  #refuseUnread(records: readonly JournalRecord[]): void {
    const oldest = Math.min(
      ...records.flatMap(({ record, control }) => (record === 'status' ? [control] : [])),
    );
    for (const [number, why] of this.#index.unread)
      if (number >= oldest)
        throw new ServerBusy(
          `${why} The journal of an interrupted run may mention it, so no message is delivered until the server shows it or it is deleted.`,
        );
  }

  /** A server that is busy at the moment is asked again at the next scan. */
  warnBusy(error: ServerBusy): void {
    this.#warnings.warn(error.message);
  }

  async scan(active: ActivePayloads): Promise<QueueScan> {
    try {
      return await this.#scan(active);
    } catch (error) {
      this.#rivals.interrupt();
      throw error;
    }
  }

  async #scan(active: ActivePayloads): Promise<QueueScan> {
    const index = this.#index;
    await index.update();
    this.#deps.payloads.keepOnly(active);
    this.#scanned = this.#activeJobs(active);
    const obstacle = await this.#rivals.check(() => this.#writer.removeDiscarded());
    if (obstacle !== null) {
      this.#warnings.warn(obstacle);
      return NOTHING;
    }
    if (index.unread.size === 0) this.#warnings.clear();
    else this.#warnings.warn(`${[...index.unread.values()].join(' ')} The next scan tries again.`);
    return { jobs: this.#queuedJobs(active), orphans: index.orphans(), quarantined: index.unreadable() };
  }

  /** Outcomes of a job that is being delivered come under the number it had before, however often it is rewritten. */
  #activeJobs(active: ActivePayloads): Map<MessageNumber, RoomJob> {
    const isActive = (job: RoomJob): boolean =>
      active.has(job.base.msgid) && this.#index.entries.get(job.control) === job;
    return new Map([...this.#scanned].filter(([, job]) => isActive(job)));
  }

  #queuedJobs(active: ActivePayloads): QueuedJob[] {
    const index = this.#index;
    const scanned = new Map(this.#scanned);
    const queued: QueuedJob[] = [];
    const finished = index.finishedControls();
    for (const known of index.jobs()) {
      // A job that is being delivered keeps the list that its outcomes are about.
      const isCurrent = active.has(known.base.msgid) || known.changes.length === 0 || isDirty(known);
      const job = isCurrent ? known : index.reread(known);
      if (finished.has(job.control) || index.unread.has(job.base.msgid)) continue;
      // The probe of another spoolroom names its flag as the payload.
      if (index.entries.get(job.base.msgid)?.kind === 'probe') continue;
      scanned.set(job.control, job);
      const current = currentJob(job);
      if (!isDirty(job) || !current.recipients.some(isPending))
        queued.push({ control: job.control, job: current, warnings: job.warnings });
    }
    this.#scanned = scanned;
    return queued.sort((a, b) => a.control - b.control);
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    const entry = this.#index.entries.get(payload);
    // Servers before 2018 hand out deleted messages as well.
    if (entry === undefined)
      return { kind: 'missing', reason: `the message ${payload} is not in the queue room any more` };
    if (entry.kind !== 'payload')
      return {
        kind: 'unreadable',
        reason: `the message ${payload} on the server cannot be sent: it is a delivery list, not a message`,
      };
    const read = await this.#deps.payloads.read(payload);
    if (read.kind === 'unavailable')
      this.#warnings.warn(`Messages that cannot be fetched now are left for the next scan: ${read.reason}`);
    return read;
  }

  /** What somebody removed must not be posted again, and what was posted without an answer can be seen. */
  refresh(): Promise<void> {
    return this.#index.update();
  }

  rewrite(jobs: readonly RoomJob[]): Promise<readonly string[]> {
    return this.#writer.rewrite(jobs);
  }

  remove(): Promise<readonly string[]> {
    return this.#writer.remove();
  }

  /** Control messages in a room never change, so nobody can have added a recipient. */
  mayFinish(): boolean {
    return true;
  }

  recorded(): void {}

  async finishRecorded(job: RoomJob, _finished: FinishedJob, journalError: unknown): Promise<void> {
    // The job may have been replaced while its record was written.
    const numbers = new Set([job.control, ...job.former]);
    for (const each of this.finished) if (numbers.has(each.key.control)) each.removable = true;
    if (journalError !== null)
      throw new QueueError(
        `The journal could not be written: ${describeError(journalError)}. Job ${job.control} is finished and is deleted from ` +
          `${this.name} all the same; if this process ends in between, its message may stay there without a job.`,
        { cause: journalError },
      );
  }

  async enqueue(): ReturnType<Queue['enqueue']> {
    throw new QueueError(
      `${this.name} is the queue of a running Citadel server, which creates its jobs itself. ` +
        'Hand the message to the server by LMTP or SMTP; nothing was queued.',
    );
  }

  async close(flushed: boolean): Promise<void> {
    const controls = [...this.jobs()].map(({ control, base }) => [control, base.msgid] as const);
    try {
      if (flushed) await this.#rivals.rearm(controls.sort(([a], [b]) => a - b));
    } finally {
      this.#deps.payloads.clear();
      await this.#deps.server.close();
    }
  }
}
