/**
 * The queue room of a running Citadel server as a room (techdoc/beside-citadel.md). Made by open.ts; called by the queue
 * run. Outcomes go to a ledger on our own disk first, and a second later at most into the control messages
 * (checkpoint.ts). No job is taken before the tripwire says that nobody else works the queue.
 */

import type { MessageNumber, StatusChange } from '../../delivery-list/job.ts';
import { isPending } from '../../delivery-list/job.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { describeError, isOperationalError, QueueError } from '../../platform/system-errors.ts';
import { groupCommit } from '../../storage/group-commit.ts';
import type { Journal, JournalRecord } from '../journal.ts';
import { currentJob, isDirty } from '../pending-job.ts';
import type { ActivePayloads, PayloadResult, Queue, QueuedJob, QueueScan } from '../queue.ts';
import { ServerBusy } from './client/session.ts';
import { LiveFlusher, type LiveFlusherDeps } from './flush.ts';
import { type PendingLiveJob, statusRecord } from './item.ts';
import type { PayloadCache } from './payload.ts';
import { replayJournal } from './recovery.ts';
import { type ProbeStore, RivalDetector } from './rival/rival-detector.ts';
import { RoomIndex, type RoomIndexDeps } from './room-index.ts';

/** The control messages tell the whole truth this many milliseconds after an outcome, at the latest. */
const CHECKPOINT = 1000;

export interface LiveQueueDeps extends RoomIndexDeps, Pick<LiveFlusherDeps, 'journal' | 'dialect' | 'spans'> {
  readonly journal: Journal;
  /** what the ledger of an interrupted run says */
  readonly records: readonly JournalRecord[];
  readonly payloads: PayloadCache;
  readonly clock: Clock;
  readonly trial: ProbeStore;
  readonly release: () => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

const NOTHING: QueueScan = { jobs: [], orphans: [], quarantined: [] };

/** Where there may be trouble. */
type Place = 'look' | 'checkpoint';

export class LiveQueue implements Queue {
  readonly name: string;
  readonly #parts: LiveQueueDeps;
  readonly #inventory: RoomIndex;
  readonly #tripwire: RivalDetector;
  readonly #writer: LiveFlusher;
  readonly #checkpoint: () => Promise<void>;
  /** jobs by the number a scan gave them: the last one, or, of a mail in hand, the one it was taken from */
  #scanned: ReadonlyMap<MessageNumber, PendingLiveJob> = new Map();
  #isRecovered = false;
  #timer: Timer | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** what was last told of each place where there may be trouble */
  readonly #told = new Map<Place, string>();

  constructor(parts: LiveQueueDeps) {
    this.name = parts.server.name;
    this.#parts = parts;
    this.#inventory = new RoomIndex(parts);
    const inventory = this.#inventory;
    this.#writer = new LiveFlusher({
      ...parts,
      inventory,
      beforeChange: () => this.#tripwire.disarm(),
      dropPayload: (payload) => parts.payloads.drop(payload),
    });
    this.#tripwire = new RivalDetector({
      ...{ name: this.name, owner: parts.owner, clock: parts.clock, memory: parts.trial, inventory },
      post: (text) => this.#writer.post(text),
    });
    this.#checkpoint = groupCommit(() => this.#inTurn(() => this.#runCheckpoint()));
  }

  /** The first look, and what the ledger of an interrupted run says. A server that is busy at the moment is asked again. */
  async begin(): Promise<void> {
    try {
      await this.#inTurn(() => this.#recover());
    } catch (error) {
      if (!(error instanceof ServerBusy)) throw error;
      this.#warnOnce('look', error.message);
    }
  }

  async scan(inHand: ActivePayloads = new Set()): Promise<QueueScan> {
    await this.#inTurn(() => this.#recover());
    // What cannot be written now stays in the ledger, and holds up nobody else's mail.
    await this.#checkpoint().catch((error) => this.#tellTrouble(error));
    return this.#inTurn(() =>
      this.#look(inHand).catch((error) => {
        this.#tripwire.interrupt();
        throw error;
      }),
    );
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    // Servers before 2018 hand out deleted messages as well.
    if (this.#inventory.items.has(payload)) return this.#parts.payloads.read(payload);
    return { kind: 'missing', reason: `the message ${payload} is not in the queue room any more` };
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<void> {
    const held = this.#scanned.get(control);
    if (held === undefined) {
      this.#parts.warn(
        `Job ${control} is not in the queue room any more; what became of its recipients is not written.`,
      );
      return;
    }
    for (const change of changes) held.changes.push(change);
    held.now = now;
    this.#checkpointSoon();
    try {
      await this.#parts.journal.append(statusRecord(held, changes));
    } catch (error) {
      await this.#writeWithoutLedger(held, error);
    }
  }

  /** The ledger could not be written: the control message can say it as well. */
  async #writeWithoutLedger(held: PendingLiveJob, error: unknown): Promise<void> {
    await this.#checkpoint().catch((second) => this.#parts.warn(describeError(second)));
    if (this.#inventory.tells(held)) return;
    throw new QueueError(
      `What became of recipients of job ${held.control} could not be written: ${describeError(error)}. It is kept in memory ` +
        'and written as soon as the disk or the server takes it; if this process ends before, they may get the mail a second time.',
      { cause: error },
    );
  }

  async finish(control: MessageNumber): Promise<void> {
    const held = this.#scanned.get(control);
    if (held === undefined) return;
    const { msgid } = held.base;
    this.#inventory.over.set(held.control, msgid);
    this.#checkpointSoon();
    await this.#parts.journal.append({
      record: 'finish',
      control: held.control,
      msgid,
      payload: null,
      recipients: held.base.recipients.map(({ address }) => address),
    });
  }

  async flush(): Promise<void> {
    await this.#checkpoint();
    // 2017 has no words for a job whose recipients are all settled: what became of them has to be in the ledger.
    if ([...this.#inventory.jobs()].some(isDirty)) await this.#parts.journal.secure();
  }

  async enqueue(): ReturnType<Queue['enqueue']> {
    throw new QueueError(
      `${this.name} is the queue of a running Citadel server, which makes its jobs itself. ` +
        'Hand the message to the server by LMTP or SMTP; nothing was queued.',
    );
  }

  async close(): Promise<void> {
    try {
      await this.flush();
      await this.#inTurn(() => this.#leave());
    } finally {
      this.#timer?.cancel();
      this.#parts.payloads.clear();
      await this.#parts.server.close();
      this.#parts.journal.close();
      this.#parts.release();
    }
  }

  async #leave(): Promise<void> {
    if (!this.#isRecovered) return;
    const left = [...this.#inventory.jobs()].map(({ control, base }) => [control, base.msgid] as const);
    await this.#tripwire.rearm(left.sort(([a], [b]) => a - b));
  }

  /** Once, before anything else. */
  async #recover(): Promise<void> {
    if (this.#isRecovered) return;
    const { journal, records, dialect } = this.#parts;
    await this.#inventory.update();
    this.#refuseHidden();
    this.#tripwire.compare();
    // What the interrupted run wrote and did not sync must not be undone after we have acted on it.
    if (records.length > 0) await journal.secure();
    replayJournal(records, this.#inventory, dialect);
    this.#isRecovered = true;
    await this.#runCheckpoint().catch((error) => this.#tellTrouble(error));
  }

  /**
   * The ledger speaks of a control message that is not shown now, or of one whose successor may be such a message: who
   * goes on without it drops outcomes, and their recipients get the mail again.
   */
  #refuseHidden(): void {
    const oldest = Math.min(
      ...this.#parts.records.flatMap(({ record, control }) => (record === 'status' ? [control] : [])),
    );
    for (const [number, why] of this.#inventory.unseen)
      if (number >= oldest)
        throw new ServerBusy(
          `${why} The ledger of an interrupted run may speak of it, so no mail is taken until it is shown or deleted.`,
        );
  }

  /** One after the other: a scan, a checkpoint. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #runCheckpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#isRecovered) await this.#writer.run();
  }

  #checkpointSoon(): void {
    this.#timer ??= this.#parts.clock.after(CHECKPOINT, () => {
      this.#timer = null;
      this.#checkpoint().then(
        () => {
          this.#told.delete('checkpoint');
        },
        (error) => {
          this.#tellTrouble(error);
          this.#checkpointSoon();
        },
      );
    });
  }

  #tellTrouble(error: unknown): void {
    if (!isOperationalError(error)) throw error;
    this.#warnOnce('checkpoint', describeError(error));
  }

  /** A server that is away for an hour is one line in the log, not 3600. */
  #warnOnce(place: Place, text: string): void {
    if (text !== this.#told.get(place)) this.#parts.warn(text);
    this.#told.set(place, text);
  }

  async #look(inHand: ActivePayloads): Promise<QueueScan> {
    const inventory = this.#inventory;
    this.#parts.payloads.keepOnly(inHand);
    await inventory.update();
    this.#scanned = this.#takenBefore(inHand);
    const trouble = await this.#tripwire.check(() => this.#writer.removeDiscarded());
    if (trouble !== null) {
      this.#warnOnce('look', trouble);
      return NOTHING;
    }
    if (inventory.unseen.size > 0) this.#warnOnce('look', [...inventory.unseen.values()].join(' '));
    return { jobs: this.#take(inHand), orphans: inventory.orphans(), quarantined: inventory.unreadable() };
  }

  /** Outcomes of a mail in hand come under the number it had when it was taken, however often it is rewritten. */
  #takenBefore(inHand: ActivePayloads): Map<MessageNumber, PendingLiveJob> {
    const isHere = (held: PendingLiveJob): boolean =>
      inHand.has(held.base.msgid) && this.#inventory.items.get(held.control) === held;
    return new Map([...this.#scanned].filter(([, held]) => isHere(held)));
  }

  #take(inHand: ActivePayloads): QueuedJob[] {
    const inventory = this.#inventory;
    const scanned = new Map(this.#scanned);
    const jobs: QueuedJob[] = [];
    for (const held of inventory.jobs()) {
      // What is in hand keeps the list its outcomes are about.
      const isFresh = inHand.has(held.base.msgid) || held.changes.length === 0 || isDirty(held);
      const fresh = isFresh ? held : inventory.reread(held);
      if (inventory.over.has(fresh.control) || inventory.unseen.has(fresh.base.msgid)) continue;
      // The probe of another spoolroom names its flag.
      if (inventory.items.get(fresh.base.msgid)?.kind === 'trial') continue;
      scanned.set(fresh.control, fresh);
      const job = currentJob(fresh);
      if (!isDirty(fresh) || !job.recipients.some(isPending))
        jobs.push({ control: fresh.control, job, warnings: fresh.warnings });
    }
    this.#scanned = scanned;
    return jobs.sort((a, b) => a.control - b.control);
  }
}
