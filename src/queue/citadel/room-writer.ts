/**
 * Changes the queue room: posts control messages and deletes what is stale or finished (techdoc/live-room.md). A server
 * replaces nothing in one step: the new control message is posted, then the old one deleted. Each step can be repeated; what
 * the server refuses for one job does not hold up another.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { QueueError } from '../../platform/system-errors.ts';
import type { ControlSettings } from '../control-message.ts';
import type { Journal } from '../journal.ts';
import { currentJob, type FinishedJob } from '../pending-job.ts';
import { COMMANDS, numbersIn } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import { ConnectionLost } from './client/session.ts';
import type { RoomDialect } from './room-dialect.ts';
import { type RoomIndex, refusalText } from './room-index.ts';
import { type RoomJob, roomJobKey } from './room-message.ts';

/** DELE takes a list of up to 4095 characters. */
const BATCH = 200;

export interface RoomWriterDeps extends Pick<ControlSettings, 'spans'> {
  readonly dialect: Pick<RoomDialect, 'write'>;
  readonly server: CitadelServer;
  readonly journal: Journal;
  readonly index: RoomIndex;
  /** called before anything in the room is changed; what it rejects with stops the change */
  readonly beforeChange: () => Promise<void>;
  /** a payload is not needed any more */
  readonly dropPayload: (payload: MessageNumber) => void;
}

export class RoomWriter {
  readonly #deps: RoomWriterDeps;

  constructor(deps: RoomWriterDeps) {
    this.#deps = deps;
  }

  /** Post a control message; resolves to its number. */
  async post(text: ByteString): Promise<MessageNumber> {
    const { server, beforeChange } = this.#deps;
    await beforeChange();
    const answer = await server.change({ line: COMMANDS.post, text });
    const [number] = numbersIn(answer.body);
    if (answer.code !== 800 || number === undefined)
      throw new QueueError(
        `${refusalText(server.name, 'accept a control message', answer)} It is kept and posted again.`,
      );
    return number;
  }

  /** Resolves to a sentence for each job that the server refused; rejects when the connection is lost. */
  async rewrite(jobs: readonly RoomJob[]): Promise<readonly string[]> {
    const refusals: string[] = [];
    for (const job of jobs) refusals.push(...(await refusalsOf(this.#rewrite(job))));
    return refusals;
  }

  async #rewrite(job: RoomJob): Promise<void> {
    const { index, dialect, spans } = this.#deps;
    const changes = job.changes.length;
    const text = dialect.write(currentJob(job), job.now, spans);
    // 2017 cannot express "all delivered"; the job is about to be removed.
    if (text === null) return;
    if (job.posting !== null) index.abandonedTexts.add(job.posting.text);
    job.posting = { text, changes };
    index.replaced(job, await this.post(text));
  }

  /** As `rewrite`. Control messages first; a payload only when no other control message, read or unread, may name it. */
  remove(): Promise<readonly string[]> {
    return refusalsOf(this.#remove());
  }

  async #remove(): Promise<void> {
    const { index, dropPayload } = this.#deps;
    const removable = [...index.finished].filter((job) => job.removable);
    for (const { key } of removable) if (index.entries.has(key.control)) index.discard(key.control);
    await this.removeDiscarded();
    const named = index.namedPayloads();
    const highestUnread = index.highestUnread();
    const isDone = ({ key: { msgid } }: FinishedJob): boolean => named.has(msgid) || msgid > highestUnread;
    const done = removable.filter(isDone);
    for (const { key } of done) {
      if (named.has(key.msgid)) continue;
      if (index.entries.get(key.msgid)?.kind === 'payload') index.discard(key.msgid);
      dropPayload(key.msgid);
    }
    await this.removeDiscarded();
    for (const job of done) index.finished.delete(job);
  }

  /** Delete what was discarded, lowest number first: no control message may outlive the one that replaced it. */
  async removeDiscarded(): Promise<void> {
    const { server, index, beforeChange } = this.#deps;
    const stale = [...index.entries].filter(([, { kind }]) => kind === 'stale').map(([number]) => number);
    stale.sort((a, b) => a - b);
    if (stale.length === 0) return;
    await this.#journalLateChanges();
    await beforeChange();
    for (let from = 0; from < stale.length; from += BATCH) {
      const line = COMMANDS.remove(stale.slice(from, from + BATCH));
      const answer = await server.change({ line });
      // 575: they are gone already
      if (answer.code !== 200 && answer.code !== 575)
        throw new QueueError(
          `${refusalText(server.name, 'delete finished messages', answer)} This is tried again.`,
        );
    }
    // Only the server's own list says that they are gone; until then they are never read again.
    index.forgetAbsent(new Set(await index.list()));
  }

  /**
   * Outcomes that came while a control message was being posted are in the journal under its former number only, whose
   * records are dropped once that message is deleted.
   */
  async #journalLateChanges(): Promise<void> {
    const { index, journal } = this.#deps;
    for (const job of index.jobs()) {
      if (!job.hasLateChanges) continue;
      const changes = job.changes.slice(job.written);
      await journal.append({ record: 'status', ...roomJobKey(job), now: job.now, changes });
      job.hasLateChanges = false;
    }
  }
}

/** What the server refused becomes a sentence; a lost connection, a full disk and bugs stay errors. */
async function refusalsOf(work: Promise<void>): Promise<readonly string[]> {
  try {
    await work;
    return [];
  } catch (error) {
    if (!(error instanceof QueueError) || error instanceof ConnectionLost) throw error;
    return [error.message];
  }
}
