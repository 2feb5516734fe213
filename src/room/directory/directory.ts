/**
 * A spool directory as a room (its states: techdoc/spool-states.md). Made by open.ts; called by the queue run
 * and the commands. Outcomes go to the journal first; a second later at most a checkpoint writes them into the control
 * messages, removes the payloads of finished jobs and drops what the journal need not say any more.
 * Nothing is removed before the journal says durably that it may be.
 */
import { type ByteString, isPending, type Job } from '../../control/job.ts';
import type { Clock, Timer } from '../../delivery/ports.ts';
import type {
  MessageNumber,
  PayloadRead,
  PayloadsInHand,
  QueuedJob,
  Room,
  RoomScan,
  SetAside,
  StatusChange,
} from '../room.ts';
import type { FileStatus, Ownership } from './disk.ts';
import { enqueueInto } from './enqueue.ts';
import { grouped } from './grouped.ts';
import { currentJob, type HeldJob, isDirty, isSettled } from './held.ts';
import type { JobKey, Journal, JournalRecord } from './journal.ts';
import { readPayload } from './payload.ts';
import {
  dropRequest,
  isMeant,
  type Requests,
  readRequests,
  requestFields,
  setRequestAside,
} from './requests.ts';
import { type Removal, removeJobs } from './requests-removal.ts';
import { type Draft, draft, putInPlace, type ReadyDraft, type RewriteDeps } from './rewrite.ts';
import { setAside } from './set-aside.ts';
import { type Item, NOTHING_IN_HAND, type Shelf } from './shelf.ts';
import { removeIfThere } from './temporary.ts';
import { codeOf, phraseOf, SpoolTrouble } from './trouble.ts';

/** The control messages tell the whole truth this many milliseconds after an outcome, at the latest. */
const CHECKPOINT = 1000;
/** Control messages that are made durable at the same time. */
const TOGETHER = 32;
/** How often a control message that other programs change meanwhile is tried in one checkpoint. */
const ATTEMPTS = 3;

export interface DirectoryParts extends RewriteDeps {
  readonly clock: Clock;
  readonly shelf: Shelf;
  readonly journal: Journal;
  readonly owner: Ownership;
  /** gives up the claim on the spool */
  readonly release: () => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

/** A job that is over. Its payload goes at the next checkpoint after its control message. */
interface Over {
  readonly key: JobKey;
  controlGone: boolean;
}

type Found = Omit<RoomScan, 'setAside'> & {
  readonly unreadable: readonly {
    readonly number: MessageNumber;
    readonly status: FileStatus;
    readonly reason: string;
  }[];
};

/**
 * Sort what lies on the shelf. A job of which the file lacks something is left out: its deliveries are under way, or it
 * cannot be written; unless nobody in it is waiting any more, so that it can be removed. A mail is an orphan when every
 * message that could name it was looked into.
 */
export function scanShelf(
  shelf: Shelf,
  warn: (text: string) => void,
  requests: Requests,
  inHand = NOTHING_IN_HAND,
): Found {
  const jobs: QueuedJob[] = [];
  const orphans: MessageNumber[] = [];
  const unreadable: { number: MessageNumber; status: FileStatus; reason: string }[] = [];
  const numbers = shelf.update(inHand);
  const named = shelf.named();
  const riddle = shelf.highestRiddle();
  for (const number of [...numbers].reverse()) {
    const item = shelf.get(number);
    switch (item?.kind) {
      case undefined:
      case 'unfinished':
        break;
      case 'control': {
        const job = currentJob(item);
        if (!isDirty(item) || !job.recipients.some(isPending)) {
          const asked = requestFields(requests, number, job);
          jobs.push({ control: number, job, warnings: item.warnings, ...asked });
        }
        break;
      }
      case 'payload':
        if (!named.has(number) && number > riddle) orphans.push(number);
        break;
      case 'unreadable':
        unreadable.push({ number, status: item.status, reason: item.reason });
        break;
      case 'refused':
        if (!item.told)
          warn(
            `${shelf.pathOf(number)} cannot be read: ${item.reason}. If it is a delivery list, nothing of it is delivered ` +
              'until this user can read it; it should belong to the owner of the spool.',
          );
        item.told = true;
        break;
    }
  }
  return { jobs, orphans, unreadable };
}

export class DirectoryRoom implements Room {
  readonly name: string;
  readonly enqueue: Room['enqueue'];
  readonly #parts: DirectoryParts;
  readonly #syncSpool: () => Promise<void>;
  readonly #checkpoint: () => Promise<void>;
  readonly #over = new Set<Over>();
  /** what was asked at the last scan */
  #requests: Requests = new Map();
  #timer: Timer | null = null;

  constructor(parts: DirectoryParts) {
    this.name = parts.layout.spool;
    this.#parts = parts;
    this.#syncSpool = grouped(() => parts.disk.syncDirectory(parts.layout.spool));
    this.#checkpoint = grouped(() => this.#runCheckpoint());
    this.enqueue = enqueueInto({ ...parts, syncSpool: this.#syncSpool });
  }

  async scan(inHand: PayloadsInHand = NOTHING_IN_HAND): Promise<RoomScan> {
    await this.#checkpoint().catch((error) => this.#parts.warn(phraseOf(error)));
    this.#requests = await this.#heed(inHand);
    const { shelf, warn } = this.#parts;
    const { jobs, orphans, unreadable } = scanShelf(shelf, warn, this.#requests, inHand);
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
    this.#hasTried(control);
  }

  async finish(control: MessageNumber): Promise<void> {
    const held = this.#parts.shelf.get(control);
    if (held?.kind !== 'control') return;
    if (!isSettled(held)) {
      this.#keep(control);
      return;
    }
    const { msgid } = held.base;
    const over: Over = { key: { control, msgid, payload: this.#factsOf(msgid) }, controlGone: false };
    this.#over.add(over);
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
      if (!over.controlGone) this.#over.delete(over);
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
    for (const record of records) this.#replay(record);
    for (const held of this.#parts.shelf.jobs()) if (isWritten(held)) held.changes.length = 0;
    await this.#checkpoint();
  }

  #replay(record: JournalRecord): void {
    const { shelf, disk, layout } = this.#parts;
    const { control, msgid, payload } = record;
    shelf.raise(Math.max(control, msgid));
    const held = shelf.refresh(control);
    if (held?.kind === 'refused') {
      throw new SpoolTrouble(
        `The control message ${control} in ${this.name} cannot be read: ${held.reason}. ` +
          'The journal of an interrupted run knows more of it, so nothing was sent; the next run tries again.',
      );
    }
    const isMeant = held?.kind === 'control' && held.base.msgid === msgid && this.#factsOf(msgid) === payload;
    switch (record.record) {
      case 'status':
        if (!isMeant) return;
        for (const change of record.changes) held.changes.push(change);
        held.now = record.now;
        return;
      case 'finish': {
        const isGone = held === null || isAnother(held, msgid);
        if (!isMeant && !isGone) return;
        // Somebody waits in it who was added after it ended.
        if (isMeant && hasOthersWaiting(currentJob(held), record.recipients)) return;
        if (isMeant) {
          removeIfThere(disk, layout.message(control));
          shelf.forget(control);
        }
        this.#over.add({ key: { control, msgid, payload }, controlGone: true });
      }
    }
  }

  #factsOf(msgid: MessageNumber): string | null {
    const status = this.#parts.disk.status(this.#parts.layout.message(msgid));
    return status === null ? null : factsIn(status);
  }

  /** As it was when it was read for its delivery, if it was: outcomes are many, and are about those bytes. */
  #factsAsRead(msgid: MessageNumber): string | null {
    const read = this.#parts.shelf.get(msgid);
    return read?.kind === 'payload' ? factsIn(read.status) : this.#factsOf(msgid);
  }

  /**
   * Read what is asked and remove what is to be removed. What is left is for the queue run to heed. Of a job in hand we
   * remember what was asked before, because that is what its outcomes are about.
   */
  async #heed(inHand: PayloadsInHand): Promise<Requests> {
    const { disk, layout, shelf, warn } = this.#parts;
    const { requests: found, damaged } = readRequests(disk, layout);
    const requests = new Map([...this.#requests].filter(([, { msgid }]) => inHand.has(msgid)));
    for (const [control, request] of found) if (!inHand.has(request.msgid)) requests.set(control, request);
    for (const control of damaged)
      warn(
        `A request for job ${control} makes no sense; it lies in ${setRequestAside(disk, layout, control)}.`,
      );
    if (requests.size === 0) return requests;
    shelf.update(inHand);
    const removals: Removal[] = [];
    for (const request of requests.values()) {
      if (inHand.has(request.msgid)) continue;
      const held = shelf.get(request.control);
      const isGone = held === undefined || held.kind === 'payload';
      if (isGone || (held.kind === 'control' && !isMeant(request, held.base)))
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
      await removeJobs({ ...this.#parts, syncSpool: this.#syncSpool }, removals);
      for (const { request } of removals) dropRequest(disk, layout, request);
    } catch (error) {
      if (codeOf(error) === null) throw error;
      const numbers = removals.map(({ held }) => held.control).join(', ');
      warn(`Jobs to be removed (${numbers}) stay and are not delivered: ${phraseOf(error)}.`);
    }
  }

  /** A try that was asked for is asked for once (R037). */
  #hasTried(control: MessageNumber): void {
    const { disk, layout, warn } = this.#parts;
    const request = this.#requests.get(control);
    if (request?.request !== 'retry') return;
    try {
      dropRequest(disk, layout, request);
    } catch (error) {
      if (codeOf(error) === null) throw error;
      warn(
        `${layout.requests}/${control} cannot be removed, so job ${control} is tried at every look: ${phraseOf(error)}.`,
      );
    }
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
    if (item !== null && (item.kind !== 'control' || hasStrangers(item, held) || !isSettled(item))) {
      this.#over.delete(over);
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

  async #runCheckpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    try {
      const troubles = await this.#rewrite();
      await this.#removePayloads([...this.#over].filter((job) => job.controlGone));
      await this.#parts.journal.retain(this.#needed());
      if (troubles.length > 0) throw new SpoolTrouble(troubles.join('\n'));
    } catch (error) {
      if (codeOf(error) === null) throw error;
      throw new SpoolTrouble(
        `The control messages in ${this.name} could not be brought up to date: ${phraseOf(error)}. ` +
          'What became of their recipients is kept, and written as soon as the disk takes it.',
        { cause: error },
      );
    }
  }

  /** Bring the dirty control messages up to date. Returns what hindered it, in sentences. */
  async #rewrite(): Promise<string[]> {
    const finishing = new Set([...this.#over].map(({ key }) => key.control));
    const dirty = [...this.#parts.shelf.jobs()].filter(
      (held) => isDirty(held) && !finishing.has(held.control),
    );
    const troubles: string[] = [];
    for (let from = 0; from < dirty.length; from += TOGETHER) {
      troubles.push(...(await this.#rewriteThese(dirty.slice(from, from + TOGETHER), 1)));
    }
    return troubles;
  }

  async #rewriteThese(jobs: readonly HeldJob[], attempt: number): Promise<string[]> {
    const drafts = await Promise.all(jobs.map((held) => this.#draft(held)));
    const { placed, changed, troubles } = this.#putInPlace(drafts);
    if (placed.length > 0) await this.#syncSpool();
    for (const { held, changes } of placed) held.written = changes;
    if (changed.length === 0) return troubles;
    if (attempt < ATTEMPTS) return [...troubles, ...(await this.#rewriteThese(changed, attempt + 1))];
    return [
      ...troubles,
      ...changed.map(({ control }) => stuckSentence(control, 'another program keeps changing it')),
    ];
  }

  async #draft(held: HeldJob): Promise<Draft> {
    try {
      return await draft(this.#parts, held);
    } catch (error) {
      if (codeOf(error) === null) throw error;
      return { kind: 'stuck', held, reason: phraseOf(error) };
    }
  }

  #putInPlace(drafts: readonly Draft[]) {
    const placed: ReadyDraft[] = [];
    const changed: HeldJob[] = [];
    const troubles: string[] = [];
    for (const each of drafts) {
      switch (each.kind) {
        case 'ready':
          if (putInPlace(this.#parts, each)) placed.push(each);
          else changed.push(each.held);
          break;
        case 'gone':
          this.#parts.shelf.forget(each.held.control);
          break;
        case 'stuck':
          troubles.push(stuckSentence(each.held.control, each.reason));
          break;
        case 'unsaid':
          break;
      }
    }
    return { placed, changed, troubles };
  }

  /**
   * The control messages first, durably; then the payloads that no other control message names. One that may be named
   * by a message nobody could look into stays for the next checkpoint.
   */
  async #removePayloads(over: readonly Over[]): Promise<void> {
    if (over.length === 0) return;
    const { shelf } = this.#parts;
    await this.#syncSpool();
    shelf.updateNew();
    const named = shelf.named();
    const riddle = shelf.highestRiddle();
    const done = over.filter(({ key }) => key.msgid > riddle && this.#removePayload(key, named));
    await this.#syncSpool();
    for (const job of done) this.#over.delete(job);
  }

  /** False: it could not be looked into. */
  #removePayload({ msgid, payload }: JobKey, named: ReadonlySet<MessageNumber>): boolean {
    const { shelf, disk, layout } = this.#parts;
    if (payload === null || named.has(msgid)) return true;
    const item = shelf.refresh(msgid);
    if (item?.kind === 'payload' && factsIn(item.status) === payload) {
      removeIfThere(disk, layout.message(msgid));
      shelf.forget(msgid);
    }
    return item?.kind !== 'refused';
  }

  /** What the journal still has to say. */
  #needed(): (record: JournalRecord) => boolean {
    const dirty = new Set<MessageNumber>();
    for (const held of this.#parts.shelf.jobs()) if (isDirty(held)) dirty.add(held.control);
    const over = new Set([...this.#over].map(({ key }) => key.control));
    return (record) => over.has(record.control) || (record.record === 'status' && dirty.has(record.control));
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

/** Size and time of a payload: numbers are used again, these two together are not. */
function factsIn({ size, mtimeMs }: FileStatus): string {
  return `${size}@${mtimeMs}`;
}

function stuckSentence(control: MessageNumber, reason: string): string {
  return `The control message ${control} could not be rewritten: ${reason}. What became of its recipients stays in the journal.`;
}

/** Whether the number of this mail's control message was given to another message meanwhile. */
function isAnother(item: Item, msgid: MessageNumber): boolean {
  return item.kind === 'payload' || (item.kind === 'control' && item.base.msgid !== msgid);
}

/** Whether the changes of an interrupted run were in the file already when it ended. */
function isWritten(held: HeldJob): boolean {
  const after = currentJob(held).recipients;
  const same = held.base.recipients.every(({ status }, index) => after[index]?.status === status);
  return same && held.base.attempted >= held.now;
}

/** Whether somebody waits in this control message whom the finished job did not know. */
function hasStrangers(item: HeldJob, finished: HeldJob): boolean {
  if (item === finished) return false;
  return hasOthersWaiting(
    item.base,
    finished.base.recipients.map(({ address }) => address),
  );
}

function hasOthersWaiting({ recipients }: Job, settled: readonly ByteString[]): boolean {
  const known = new Set(settled);
  return recipients.some((recipient) => isPending(recipient) && !known.has(recipient.address));
}
