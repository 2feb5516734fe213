/**
 * Writes outcomes into the control messages, removes the payloads of finished jobs, and drops what the journal need not say
 * any more. Called by the room, a second after an outcome and whenever it has to be exact. The order of its steps is that
 * of techdoc/spool-states.md; nothing is removed before the journal says durably that it may be.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { describeError, errorCode, QueueError } from '../../platform/system-errors.ts';
import { removeIfExists } from '../../storage/atomic-file.ts';
import type { Journal, JournalKey, JournalRecord } from '../journal.ts';
import { isDirty, type PendingJob } from '../pending-job.ts';
import { fingerprintOf } from './fingerprint.ts';
import {
  commitRewrite,
  prepareRewrite,
  type ReadyRewrite,
  type Rewrite,
  type RewriteDeps,
} from './rewrite.ts';
import type { SpoolIndex } from './spool-index.ts';

/** Control messages that are made durable at the same time. */
const TOGETHER = 32;
/** How often a control message that other programs change meanwhile is tried in one checkpoint. */
const ATTEMPTS = 3;

/** A job that is over. Its payload goes at the next checkpoint after its control message. */
export interface FinishedJob {
  readonly key: JournalKey;
  controlGone: boolean;
}

export interface FlusherDeps extends RewriteDeps {
  readonly shelf: SpoolIndex;
  readonly journal: Journal;
  /** resolves when all names in the spool directory are durable */
  readonly syncSpool: () => Promise<void>;
}

export class Flusher {
  /** jobs whose payloads have to go */
  readonly over = new Set<FinishedJob>();
  readonly #parts: FlusherDeps;

  constructor(parts: FlusherDeps) {
    this.#parts = parts;
  }

  /** Rejects when something could not be written, with what that means; it is kept, and the next checkpoint tries again. */
  async run(): Promise<void> {
    try {
      const troubles = await this.#rewrite();
      await this.#removePayloads([...this.over].filter((job) => job.controlGone));
      await this.#parts.journal.retain(this.#needed());
      if (troubles.length > 0) throw new QueueError(troubles.join('\n'));
    } catch (error) {
      if (errorCode(error) === null) throw error;
      throw new QueueError(
        `The control messages in ${this.#parts.layout.spool} could not be brought up to date: ${describeError(error)}. ` +
          'What became of their recipients is kept, and written as soon as the disk takes it.',
        { cause: error },
      );
    }
  }

  /** Bring the dirty control messages up to date. Returns what hindered it, in sentences. */
  async #rewrite(): Promise<string[]> {
    const finishing = new Set([...this.over].map(({ key }) => key.control));
    const dirty = [...this.#parts.shelf.jobs()].filter(
      (held) => isDirty(held) && !finishing.has(held.control),
    );
    const troubles: string[] = [];
    for (let from = 0; from < dirty.length; from += TOGETHER) {
      troubles.push(...(await this.#rewriteThese(dirty.slice(from, from + TOGETHER), 1)));
    }
    return troubles;
  }

  async #rewriteThese(jobs: readonly PendingJob[], attempt: number): Promise<string[]> {
    const drafts = await Promise.all(jobs.map((held) => this.#draft(held)));
    const { placed, changed, troubles } = this.#putInPlace(drafts);
    if (placed.length > 0) await this.#parts.syncSpool();
    for (const { held, changes } of placed) held.written = changes;
    if (changed.length === 0) return troubles;
    if (attempt < ATTEMPTS) return [...troubles, ...(await this.#rewriteThese(changed, attempt + 1))];
    return [
      ...troubles,
      ...changed.map(({ control }) => stuckSentence(control, 'another program keeps changing it')),
    ];
  }

  async #draft(held: PendingJob): Promise<Rewrite> {
    try {
      return await prepareRewrite(this.#parts, held);
    } catch (error) {
      if (errorCode(error) === null) throw error;
      return { kind: 'stuck', held, reason: describeError(error) };
    }
  }

  #putInPlace(drafts: readonly Rewrite[]) {
    const placed: ReadyRewrite[] = [];
    const changed: PendingJob[] = [];
    const troubles: string[] = [];
    for (const each of drafts) {
      switch (each.kind) {
        case 'ready':
          if (commitRewrite(this.#parts, each)) placed.push(each);
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
  async #removePayloads(over: readonly FinishedJob[]): Promise<void> {
    if (over.length === 0) return;
    const { shelf } = this.#parts;
    await this.#parts.syncSpool();
    shelf.updateNew();
    const named = shelf.named();
    const riddle = shelf.highestUnreadable();
    const done = over.filter(({ key }) => key.msgid > riddle && this.#removePayload(key, named));
    await this.#parts.syncSpool();
    for (const job of done) this.over.delete(job);
  }

  /** False: it could not be looked into. */
  #removePayload({ msgid, payload }: JournalKey, named: ReadonlySet<MessageNumber>): boolean {
    const { shelf, disk, layout } = this.#parts;
    if (payload === null || named.has(msgid)) return true;
    const item = shelf.refresh(msgid);
    if (item?.kind === 'payload' && fingerprintOf(item.status) === payload) {
      removeIfExists(disk, layout.message(msgid));
      shelf.forget(msgid);
    }
    return item?.kind !== 'refused';
  }

  /** What the journal still has to say. */
  #needed(): (record: JournalRecord) => boolean {
    const dirty = new Set<MessageNumber>();
    for (const held of this.#parts.shelf.jobs()) if (isDirty(held)) dirty.add(held.control);
    const over = new Set([...this.over].map(({ key }) => key.control));
    return (record) => over.has(record.control) || (record.record === 'status' && dirty.has(record.control));
  }
}

function stuckSentence(control: MessageNumber, reason: string): string {
  return `The control message ${control} could not be rewritten: ${reason}. What became of its recipients stays in the journal.`;
}
