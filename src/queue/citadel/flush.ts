/**
 * Brings the control messages on the server up to what the ledger knows: new ones posted, then old ones deleted, then the
 * ledger shortened (techdoc/beside-citadel.md, "What happens to a job"). Called by the live room a second after an outcome
 * and whenever it has to be exact. There is no atomic replacing, so each step can be repeated; what the server refuses for
 * one job holds up no other.
 */

import { rewrittenText } from '../../delivery-list/apply.ts';
import type { Dialect, MessageNumber } from '../../delivery-list/job.ts';
import type { RetryIntervals } from '../../delivery-list/serialise.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { QueueError } from '../../platform/system-errors.ts';
import type { Journal, JournalRecord } from '../journal.ts';
import { currentJob, isDirty } from '../pending-job.ts';
import { COMMANDS, numbersIn } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import { ConnectionLost } from './client/session.ts';
import { type PendingLiveJob, statusRecord } from './item.ts';
import { type RoomIndex, refusalText } from './room-index.ts';

/** DELE takes a list of up to 4095 characters. */
const TOGETHER = 200;

export interface LiveFlusherDeps {
  readonly server: CitadelServer;
  readonly journal: Journal;
  readonly inventory: RoomIndex;
  readonly dialect: Dialect;
  readonly spans: RetryIntervals;
  /** called before anything in the room is changed; what it rejects with stops the change */
  readonly beforeChange: () => Promise<void>;
  /** a payload is over */
  readonly dropPayload: (payload: MessageNumber) => void;
}

export class LiveFlusher {
  readonly #parts: LiveFlusherDeps;

  constructor(parts: LiveFlusherDeps) {
    this.#parts = parts;
  }

  /** Rejects when something could not be written; the rest is done all the same. */
  async run(): Promise<void> {
    const { inventory, journal } = this.#parts;
    const dirty = [...inventory.jobs()].filter(isDirty);
    // What somebody removed must not be posted again, and what was posted without an answer can be seen.
    if (dirty.length > 0 || inventory.over.size > 0) await inventory.update();
    const refusals: string[] = [];
    const orTell = async (work: Promise<void>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        if (!(error instanceof QueueError) || error instanceof ConnectionLost) throw error;
        refusals.push(error.message);
      }
    };
    for (const held of inventory.jobs())
      if (isDirty(held) && !inventory.over.has(held.control)) await orTell(this.#rewrite(held));
    await orTell(this.#removeAll());
    await journal.retain((record) => this.#isNeeded(record));
    if (refusals.length > 0) throw new QueueError(refusals.join(' '));
  }

  /** Post a control message; gives its number. */
  async post(text: ByteString): Promise<MessageNumber> {
    const { server, beforeChange } = this.#parts;
    await beforeChange();
    const answer = await server.change({ line: COMMANDS.post, text });
    const [number] = numbersIn(answer.body);
    if (answer.code !== 800 || number === undefined)
      throw new QueueError(refusalText(server.name, 'take a control message', answer));
    return number;
  }

  async #rewrite(held: PendingLiveJob): Promise<void> {
    const { inventory, dialect, spans } = this.#parts;
    const changes = held.changes.length;
    const text = rewrittenText(currentJob(held), dialect, held.now, spans);
    // 2017 has no words for "all delivered"; the job is about to be removed.
    if (text === null) return;
    if (held.posting !== null) inventory.givenUp.add(held.posting.text);
    held.posting = { text, changes };
    inventory.replaced(held, await this.post(text));
  }

  /** The ledger has what came while a list was posted under the old number only, of which it will not speak any more. */
  async #noteLate(): Promise<void> {
    const { inventory, journal } = this.#parts;
    for (const held of inventory.jobs()) {
      if (!held.isLate) continue;
      await journal.append(statusRecord(held, held.changes.slice(held.written)));
      held.isLate = false;
    }
  }

  /** Control messages first; a payload only when no other control message names it, nor may a message not seen yet. */
  async #removeAll(): Promise<void> {
    const { inventory, dropPayload } = this.#parts;
    const over = [...inventory.over];
    for (const [control] of over) if (inventory.items.has(control)) inventory.discard(control);
    await this.removeDiscarded();
    const named = inventory.named();
    const unseen = [...inventory.unseen.keys()].reduce((highest, number) => Math.max(highest, number), 0);
    const settled = over.filter(([, msgid]) => named.has(msgid) || msgid > unseen);
    for (const [, msgid] of settled) {
      if (named.has(msgid)) continue;
      if (inventory.items.get(msgid)?.kind === 'payload') inventory.discard(msgid);
      dropPayload(msgid);
    }
    await this.removeDiscarded();
    for (const [control] of settled) inventory.over.delete(control);
  }

  /** The older ones first: no list may outlive the one that took its place. */
  async removeDiscarded(): Promise<void> {
    const { server, inventory, beforeChange } = this.#parts;
    const stale = [...inventory.items].filter(([, { kind }]) => kind === 'stale').map(([number]) => number);
    stale.sort((a, b) => a - b);
    if (stale.length === 0) return;
    await this.#noteLate();
    await beforeChange();
    for (let from = 0; from < stale.length; from += TOGETHER) {
      const line = COMMANDS.remove(stale.slice(from, from + TOGETHER));
      const answer = await server.change({ line });
      // 575: they are gone already
      if (answer.code !== 200 && answer.code !== 575)
        throw new QueueError(refusalText(server.name, 'delete finished messages', answer));
    }
    // Only the server's own list says that they are gone; until then they are never read again.
    inventory.forgetAbsent(new Set(await inventory.list()));
  }

  /** Whether the ledger still has to say it. */
  #isNeeded({ record, control }: JournalRecord): boolean {
    const { items, over } = this.#parts.inventory;
    const item = items.get(control);
    if (over.has(control) || item?.kind === 'stale') return true;
    return record === 'status' && item?.kind === 'control' && isDirty(item);
  }
}
