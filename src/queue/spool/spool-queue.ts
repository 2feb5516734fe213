/**
 * A spool directory as a room (its states: techdoc/spool-states.md). Made by open.ts; called by the queue run and the
 * commands. Outcomes go to the journal first, and a second later at most into the control messages (checkpoint.ts).
 * Nothing is removed before the journal says durably that it may be.
 */
import type { MessageNumber, StatusChange } from '../../delivery-list/job.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { phraseOf, SpoolTrouble } from '../../platform/system-errors.ts';
import { removeIfThere } from '../../storage/atomic-file.ts';
import type { Ownership } from '../../storage/disk.ts';
import { grouped } from '../../storage/group-commit.ts';
import type { JournalRecord } from '../journal.ts';
import { type HeldJob, hasOthersWaiting, isDirty, nobodyWaits } from '../pending-job.ts';
import type { PayloadRead, PayloadsInHand, Room, RoomScan, SetAside } from '../queue.ts';
import { enqueueInto } from './enqueue.ts';
import { factsIn, payloadFacts } from './fingerprint.ts';
import { Checkpoint, type CheckpointParts, type Over } from './flush.ts';
import { readPayload } from './payload.ts';
import { setAside } from './quarantine.ts';
import { replay } from './recovery.ts';
import { HeededRequests } from './requests/apply.ts';
import { type Found, scanShelf } from './scan.ts';
import { NOTHING_IN_HAND } from './spool-index.ts';

/** The control messages tell the whole truth this many milliseconds after an outcome, at the latest. */
const CHECKPOINT = 1000;

export interface DirectoryParts extends Omit<CheckpointParts, 'syncSpool'> {
  readonly clock: Clock;
  readonly owner: Ownership;
  /** gives up the claim on the spool */
  readonly release: () => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

export class DirectoryRoom implements Room {
  readonly name: string;
  readonly enqueue: Room['enqueue'];
  readonly #parts: DirectoryParts;
  readonly #syncSpool: () => Promise<void>;
  readonly #writer: Checkpoint;
  readonly #checkpoint: () => Promise<void>;
  readonly #requests: HeededRequests;
  #timer: Timer | null = null;

  constructor(parts: DirectoryParts) {
    this.name = parts.layout.spool;
    this.#parts = parts;
    this.#syncSpool = grouped(() => parts.disk.syncDirectory(parts.layout.spool));
    const withSync = { ...parts, syncSpool: this.#syncSpool };
    this.#writer = new Checkpoint(withSync);
    this.#checkpoint = grouped(() => this.#runCheckpoint());
    this.#requests = new HeededRequests(withSync);
    this.enqueue = enqueueInto(withSync);
  }

  async scan(inHand: PayloadsInHand = NOTHING_IN_HAND): Promise<RoomScan> {
    await this.#checkpoint().catch((error) => this.#parts.warn(phraseOf(error)));
    const requests = await this.#requests.heed(inHand);
    const { shelf, warn } = this.#parts;
    const { jobs, orphans, unreadable } = scanShelf(shelf, warn, requests, inHand);
    return { jobs, orphans, setAside: await this.#setAside(unreadable) };
  }

  async readPayload(payload: MessageNumber): Promise<PayloadRead> {
    const { disk, layout, shelf } = this.#parts;
    return readPayload(disk, layout, shelf, payload);
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<void> {
    const held = this.#parts.shelf.get(control);
    if (held?.kind !== 'control') {
      this.#parts.warn(
        `Job ${control} is not in the spool any more; what became of its recipients is not written.`,
      );
      return;
    }
    for (const change of changes) held.changes.push(change);
    held.now = now;
    this.#checkpointSoon();
    try {
      const { msgid } = held.base;
      const payload = this.#factsAsRead(msgid);
      await this.#parts.journal.append({ record: 'status', control, msgid, payload, now, changes });
    } catch (error) {
      await this.#writeWithoutJournal(held, error);
    }
    this.#requests.tried(control);
  }

  async finish(control: MessageNumber): Promise<void> {
    const held = this.#parts.shelf.get(control);
    if (held?.kind !== 'control') return;
    if (!nobodyWaits(held)) {
      this.#keep(control);
      return;
    }
    const { msgid } = held.base;
    const over: Over = { key: { control, msgid, payload: this.#factsNow(msgid) }, controlGone: false };
    this.#writer.over.add(over);
    this.#checkpointSoon();
    // Where the journal cannot say it, the directory itself still can.
    const recipients = held.base.recipients.map(({ address }) => address);
    const inJournal = await this.#parts.journal.append({ record: 'finish', ...over.key, recipients }).then(
      () => true,
      () => false,
    );
    try {
      this.#removeControl(held, over);
      if (!inJournal) await this.#syncSpool();
    } catch (error) {
      // A removal that is not durable yet is made so, and its records are kept until then, by the next checkpoint.
      if (!over.controlGone) this.#writer.over.delete(over);
      throw new SpoolTrouble(
        `The control message ${control} of a finished job could not be removed from ${this.name}: ${phraseOf(error)}. ` +
          'Its recipients are not tried again; the next run removes it.',
        { cause: error },
      );
    }
  }

  async settle(): Promise<void> {
    await this.#checkpoint();
  }

  async close(): Promise<void> {
    try {
      await this.settle();
    } finally {
      this.#timer?.cancel();
      this.#parts.journal.close();
      this.#parts.release();
    }
  }

  /** Do what the journal of an interrupted run says, once, before anything else. */
  async recover(records: readonly JournalRecord[]): Promise<void> {
    // What the killed run left unsynced is made durable before anything is concluded from it.
    await this.#parts.journal.secure();
    await this.#syncSpool();
    replay(records, { ...this.#parts, over: this.#writer.over });
    await this.#checkpoint();
  }

  #factsNow(msgid: MessageNumber): string | null {
    return payloadFacts(this.#parts.disk, this.#parts.layout, msgid);
  }

  /** As it was when it was read for its delivery, if it was: outcomes are many, and are about those bytes. */
  #factsAsRead(msgid: MessageNumber): string | null {
    const read = this.#parts.shelf.get(msgid);
    return read?.kind === 'payload' ? factsIn(read.status) : this.#factsNow(msgid);
  }

  /** The journal could not be written: the control message can say it as well. */
  async #writeWithoutJournal(held: HeldJob, error: unknown): Promise<void> {
    await this.#checkpoint().catch((second) => this.#parts.warn(phraseOf(second)));
    if (!isDirty(held)) return;
    throw new SpoolTrouble(
      `What became of recipients of job ${held.control} could not be written to ${this.name}: ${phraseOf(error)}. ` +
        'It is kept in memory and written as soon as the disk takes it; if this process ends before, they may get the mail a second time.',
      { cause: error },
    );
  }

  /** Remove the control message of a job that is over, unless another program has added to it meanwhile. */
  #removeControl(held: HeldJob, over: Over): void {
    const { shelf, disk, layout } = this.#parts;
    const item = shelf.refresh(held.control);
    if (item?.kind === 'refused') throw new SpoolTrouble(item.reason);
    if (item !== null && (item.kind !== 'control' || hasStrangers(item, held) || !nobodyWaits(item))) {
      this.#writer.over.delete(over);
      this.#keep(held.control);
      return;
    }
    removeIfThere(disk, layout.message(held.control));
    shelf.forget(held.control);
    over.controlGone = true;
  }

  #keep(control: MessageNumber): void {
    this.#parts.warn(
      `Another program changed the control message ${control} while its mail was on its way; it stays in the spool.`,
    );
  }

  #checkpointSoon(): void {
    this.#timer ??= this.#parts.clock.after(CHECKPOINT, () => {
      this.#timer = null;
      this.#checkpoint().catch((error) => {
        this.#parts.warn(phraseOf(error));
        this.#checkpointSoon();
      });
    });
  }

  #runCheckpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    return this.#writer.run();
  }

  async #setAside(unreadable: Found['unreadable']): Promise<RoomScan['setAside']> {
    const done: SetAside[] = [];
    for (const { number, status, reason } of unreadable) {
      try {
        const path = await setAside(this.#parts, number, status, reason);
        done.push({ number, reason, path });
      } catch (error) {
        this.#parts.warn(
          `Message ${number} is no readable delivery list (${reason}) and could not be set aside: ${phraseOf(error)}.`,
        );
      }
    }
    if (done.length > 0) await this.#syncSpool();
    return done;
  }
}

/** Whether somebody waits in this control message whom the finished job did not know. */
function hasStrangers(item: HeldJob, finished: HeldJob): boolean {
  if (item === finished) return false;
  return hasOthersWaiting(
    item.base,
    finished.base.recipients.map(({ address }) => address),
  );
}
