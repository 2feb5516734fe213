/**
 * The queue room of a running Citadel server as a room (techdoc/beside-citadel.md). Made by open.ts; called by the queue
 * run. Outcomes go to a ledger on our own disk first. A second later at most a checkpoint posts the rewritten control
 * message and only then deletes the old one; the ledger speaks for the old one as long as it exists, so that a crash
 * between any two commands neither loses nor repeats anything. Messages of a server never change and their numbers are
 * never used again, so what was read once is never read again.
 */
import { DELIVERY_LIST_TYPE } from '../../control/header.ts';
import { type ByteString, type Dialect, isPending } from '../../control/job.ts';
import type { ParseOptions } from '../../control/parse.ts';
import { LIST_HEADER, type RetrySpans } from '../../control/serialise.ts';
import type { Clock, Timer } from '../../delivery/ports.ts';
import { rewrittenText } from '../../outcome/apply.ts';
import { grouped } from '../directory/grouped.ts';
import type { Journal, JournalRecord } from '../directory/journal.ts';
import { phraseOf, SpoolTrouble } from '../directory/trouble.ts';
import type { MessageNumber, PayloadRead, QueuedJob, Room, RoomScan, StatusChange } from '../room.ts';
import { currentJob, type Held, type Item, isDirty, itemOf, statusRecord } from './item.ts';
import type { PayloadShelf } from './payload.ts';
import { COMMANDS, isSendable, numbersIn, partType } from './protocol.ts';
import type { CitadelServer } from './server.ts';
import { PATIENCE, type Trial, trialText } from './trial.ts';

/** The control messages tell the whole truth this many milliseconds after an outcome, at the latest. */
const CHECKPOINT = 1000;
/** DELE takes a list of up to 4095 characters. */
const TOGETHER = 200;

export interface LiveParts {
  readonly server: CitadelServer;
  readonly journal: Journal;
  readonly payloads: PayloadShelf;
  readonly clock: Clock;
  readonly options: ParseOptions;
  readonly dialect: Dialect;
  readonly spans: RetrySpans;
  /** the trial is remembered between runs; `write` resolves when it is durable */
  readonly trial: { read(): Trial | null; write(trial: Trial): Promise<void> };
  readonly release: () => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

export class LiveRoom implements Room {
  readonly name: string;
  readonly #parts: LiveParts;
  readonly #checkpoint: () => Promise<void>;
  readonly #items = new Map<MessageNumber, Item>();
  /** jobs by the number the last scan gave them */
  #scanned: ReadonlyMap<MessageNumber, Held> = new Map();
  /** jobs that are over: control message -> payload */
  readonly #over = new Map<MessageNumber, MessageNumber>();
  #timer: Timer | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #told = '';
  #intruder: string | null = null;

  constructor(parts: LiveParts) {
    this.name = parts.server.name;
    this.#parts = parts;
    this.#checkpoint = grouped(() => this.#inTurn(() => this.#runCheckpoint()));
  }

  async scan(): Promise<RoomScan> {
    await this.#checkpoint();
    return this.#inTurn(() => this.#runScan());
  }

  async readPayload(payload: MessageNumber): Promise<PayloadRead> {
    // Servers before 2018 hand out deleted messages as well.
    if (this.#items.has(payload)) return this.#parts.payloads.read(payload);
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
  async #writeWithoutLedger(held: Held, error: unknown): Promise<void> {
    await this.#checkpoint().catch((second) => this.#parts.warn(phraseOf(second)));
    if (!isDirty(held)) return;
    throw new SpoolTrouble(
      `What became of recipients of job ${held.control} could not be written: ${phraseOf(error)}. It is kept in memory ` +
        'and written as soon as the disk or the server takes it; if this process ends before, they may get the mail a second time.',
      { cause: error },
    );
  }

  async finish(control: MessageNumber): Promise<void> {
    const held = this.#scanned.get(control);
    if (held === undefined) return;
    const { msgid } = held.base;
    this.#over.set(held.control, msgid);
    this.#checkpointSoon();
    await this.#parts.journal.append({
      record: 'finish',
      control: held.control,
      msgid,
      payload: null,
      recipients: held.base.recipients.map(({ address }) => address),
    });
  }

  async settle(): Promise<void> {
    await this.#checkpoint();
  }

  async enqueue(): ReturnType<Room['enqueue']> {
    throw new SpoolTrouble(
      `${this.name} is the queue of a running Citadel server, which makes its jobs itself. ` +
        'Hand the message to the server by LMTP or SMTP; nothing was queued.',
    );
  }

  async close(): Promise<void> {
    try {
      await this.settle();
    } finally {
      this.#timer?.cancel();
      this.#parts.payloads.clear();
      await this.#parts.server.close();
      this.#parts.journal.close();
      this.#parts.release();
    }
  }

  /** Do what the ledger of an interrupted run says, once, before anything else. */
  async recover(records: readonly JournalRecord[]): Promise<void> {
    await this.#inTurn(() => this.#update());
    for (const record of records) {
      const item = this.#items.get(record.control);
      if (item?.kind !== 'control' || item.base.msgid !== record.msgid) {
        // Its control message is gone already; its payload may not be.
        if (record.record === 'finish' && item === undefined) this.#over.set(record.control, record.msgid);
        continue;
      }
      if (record.record === 'finish') {
        this.#over.set(record.control, record.msgid);
        continue;
      }
      for (const change of record.changes) item.changes.push(change);
      item.now = record.now;
    }
    this.#dropTwins();
    await this.#checkpoint();
  }

  /** Control messages whose successor was posted before the crash: only the deletion is missing. */
  #dropTwins(): void {
    const texts = new Map([...this.#jobs()].map((held) => [held.text, held]));
    for (const held of this.#jobs()) {
      const twin = isDirty(held) ? texts.get(this.#rewritten(held) ?? '') : undefined;
      if (twin !== undefined) this.#items.set(held.control, { kind: 'stale' });
    }
  }

  #rewritten(held: Held): ByteString | null {
    return rewrittenText(currentJob(held), this.#parts.dialect, held.now, this.#parts.spans);
  }

  /** One after the other: a scan, a checkpoint. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #checkpointSoon(): void {
    this.#timer ??= this.#parts.clock.after(CHECKPOINT, () => {
      this.#timer = null;
      this.#checkpoint().then(
        () => {
          this.#told = '';
        },
        (error) => {
          this.#warnOnce(phraseOf(error));
          this.#checkpointSoon();
        },
      );
    });
  }

  /** A server that is away for an hour is one line in the log, not 3600. */
  #warnOnce(text: string): void {
    if (text !== this.#told) this.#parts.warn(text);
    this.#told = text;
  }

  async #runScan(): Promise<RoomScan> {
    await this.#update();
    const trouble = await this.#guard();
    if (this.#intruder !== null) throw new SpoolTrouble(this.#intruder);
    if (trouble !== null) {
      this.#warnOnce(trouble);
      return { jobs: [], orphans: [], setAside: [] };
    }
    const scanned = new Map<MessageNumber, Held>();
    const jobs: QueuedJob[] = [];
    for (const held of this.#jobs()) {
      const fresh = this.#reread(held);
      if (this.#over.has(fresh.control)) continue;
      scanned.set(fresh.control, fresh);
      const job = currentJob(fresh);
      if (!isDirty(fresh) || !job.recipients.some(isPending))
        jobs.push({ control: fresh.control, job, warnings: fresh.warnings });
    }
    this.#scanned = scanned;
    jobs.sort((a, b) => a.control - b.control);
    return { jobs, orphans: this.#orphans(), setAside: this.#unreadable() };
  }

  *#jobs(): Generator<Held> {
    for (const item of [...this.#items.values()]) if (item.kind === 'control') yield item;
  }

  #named(): Set<MessageNumber> {
    const named = new Set<MessageNumber>();
    for (const held of this.#jobs()) if (!this.#over.has(held.control)) named.add(held.base.msgid);
    return named;
  }

  #orphans(): MessageNumber[] {
    const named = this.#named();
    const orphans: MessageNumber[] = [];
    for (const [number, { kind }] of this.#items) {
      if (kind === 'payload' && !named.has(number)) orphans.push(number);
    }
    return orphans.sort((a, b) => a - b);
  }

  /** A server's queue room has no place to set a message aside: it is told once and left alone. */
  #unreadable(): RoomScan['setAside'] {
    const found: { number: MessageNumber; reason: string }[] = [];
    for (const [number, item] of this.#items) {
      if (item.kind !== 'unreadable' || item.told) continue;
      item.told = true;
      found.push({ number, reason: item.reason });
    }
    return found;
  }

  /** A job whose control message we rewrote has to be seen as its next reader will see it. */
  #reread(held: Held): Held {
    if (held.changes.length === 0 || isDirty(held)) return held;
    const item = itemOf(held.control, held.text, this.#parts.options);
    this.#items.set(held.control, item);
    return item.kind === 'control' ? item : held;
  }

  /** See what lies in the room now. Newest first: a control message saves the look at the payload it names. */
  async #update(): Promise<void> {
    const numbers = await this.#list();
    const vanished = this.#forgetAbsent(new Set(numbers));
    const unanswered = [...this.#jobs()].filter(({ posting }) => posting !== null);
    const named = new Set([...this.#jobs()].map(({ base }) => base.msgid));
    for (const number of numbers) {
      if (this.#items.has(number)) continue;
      if (named.has(number)) {
        this.#items.set(number, { kind: 'payload' });
        continue;
      }
      const text = await this.#listText(number);
      const poster = unanswered.find(({ posting }) => posting !== null && posting.text === text);
      if (poster !== undefined) {
        this.#replaced(poster, number);
        continue;
      }
      const item: Item = text === null ? { kind: 'payload' } : itemOf(number, text, this.#parts.options);
      this.#items.set(number, item);
      if (item.kind !== 'control') continue;
      named.add(item.base.msgid);
      if (vanished.has(item.base.msgid))
        this.#alarm(`replaced the control message of mail ${item.base.msgid}`);
    }
  }

  /** Numbers of all messages, newest first. */
  async #list(): Promise<MessageNumber[]> {
    const listing = await this.#parts.server.read({ line: COMMANDS.list });
    if (listing.code !== 100) throw new SpoolTrouble(this.#refusal('list its queue', listing));
    return numbersIn(listing.body).sort((a, b) => b - a);
  }

  /** Payloads whose control messages somebody else has deleted. */
  #forgetAbsent(present: ReadonlySet<MessageNumber>): Set<MessageNumber> {
    const vanished = new Set<MessageNumber>();
    for (const [number, item] of [...this.#items]) {
      if (present.has(number)) continue;
      this.#items.delete(number);
      if (item.kind === 'control' && !this.#over.has(number)) vanished.add(item.base.msgid);
    }
    return vanished;
  }

  /** The delivery list in a message, with its one header line; null when it is something else. */
  async #listText(number: MessageNumber): Promise<ByteString | null> {
    const pieces: Buffer[] = [];
    const sink = (bytes: Buffer, status: ByteString): void => {
      if (partType(status) === DELIVERY_LIST_TYPE) pieces.push(Buffer.from(bytes));
    };
    const again = (): void => {
      pieces.length = 0;
    };
    const answer = await this.#parts.server.read({ line: COMMANDS.part(number), sink }, again);
    if (answer.code !== 600 || partType(answer.text) !== DELIVERY_LIST_TYPE) return null;
    return LIST_HEADER + Buffer.concat(pieces).toString('latin1');
  }

  /** The message `number` stands for the job from now on. */
  #replaced(held: Held, number: MessageNumber): void {
    if (held.posting === null) return;
    if (this.#over.has(held.control)) this.#over.set(number, held.base.msgid);
    this.#items.set(held.control, { kind: 'stale' });
    this.#items.set(number, held);
    held.control = number;
    held.text = held.posting.text;
    held.written = held.posting.changes;
    held.posting = null;
  }

  /** Why no job may be taken yet; null when all is well. */
  async #guard(): Promise<string | null> {
    const now = Math.floor(this.#parts.clock.now() / 1000);
    const known = this.#parts.trial.read();
    const trial = known ?? (await this.#postTrial(now));
    for (const [number, { kind }] of [...this.#items]) {
      if (kind === 'trial' && number !== trial.number) this.#items.set(number, { kind: 'stale' });
    }
    if (this.#items.get(trial.number)?.kind !== 'trial') {
      this.#alarm(`removed the trial message ${trial.number}`);
      return null;
    }
    if (Math.abs(now - trial.posted) * 1000 >= PATIENCE) return null;
    return (
      `The trial message ${trial.number} lies in the queue room of ${this.name}. Mail is taken when it has lain there ` +
      `untouched for ${PATIENCE / 1000} seconds, which shows that the server runs no queue of its own.`
    );
  }

  async #postTrial(now: number): Promise<Trial> {
    const trial = { number: await this.#post(trialText(now)), posted: now };
    this.#items.set(trial.number, { kind: 'trial' });
    await this.#parts.trial.write(trial);
    return trial;
  }

  #alarm(what: string): void {
    this.#intruder =
      `Something else works on the queue of ${this.name}: it ${what}. Two queue runs would send mail twice, so ` +
      'none is taken any more. Use the intake with this server, or switch its own queue run off and remove the file ' +
      '"trial" in the state directory.';
  }

  /** Post a control message; gives its number. */
  async #post(text: ByteString): Promise<MessageNumber> {
    const answer = await this.#parts.server.change({ line: COMMANDS.post, text });
    const [number] = numbersIn(answer.body);
    if (answer.code !== 800 || number === undefined)
      throw new SpoolTrouble(this.#refusal('take a control message', answer));
    return number;
  }

  #refusal(what: string, answer: { readonly code: number; readonly text: string }): string {
    return `The Citadel server at ${this.name} did not ${what}: ${answer.code} ${answer.text}. The mail stays in its queue.`;
  }

  /** Post what is new, then delete what it replaces, then shorten the ledger. */
  async #runCheckpoint(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    // An answer was lost: what it would have said can be seen.
    if ([...this.#jobs()].some(({ posting }) => posting !== null)) await this.#update();
    for (const held of this.#jobs()) {
      if (isDirty(held) && !this.#over.has(held.control)) await this.#rewrite(held);
    }
    if (this.#over.size > 0) await this.#update();
    await this.#removeAll();
    await this.#parts.journal.retain((record) => this.#isNeeded(record));
  }

  async #rewrite(held: Held): Promise<void> {
    const changes = held.changes.length;
    const text = this.#rewritten(held);
    // 2017 has no words for "all delivered"; the job is about to be removed.
    if (text === null) return;
    if (!isSendable(text)) {
      this.#warnOnce(
        `The control message ${held.control} cannot be rewritten: the server would not take its text whole. ` +
          'What became of its recipients stays in the ledger.',
      );
      return;
    }
    held.posting = { text, changes };
    const number = await this.#post(text);
    this.#replaced(held, number);
    // The ledger has these under the old number only, of which it will not speak any more.
    if (isDirty(held)) await this.#parts.journal.append(statusRecord(held, held.changes.slice(held.written)));
  }

  /** Control messages first; a payload only when no other control message names it. */
  async #removeAll(): Promise<void> {
    const over = [...this.#over];
    for (const [control] of over) if (this.#items.has(control)) this.#items.set(control, { kind: 'stale' });
    await this.#removeStale();
    const named = this.#named();
    for (const [, msgid] of over) {
      if (named.has(msgid)) continue;
      if (this.#items.get(msgid)?.kind === 'payload') this.#items.set(msgid, { kind: 'stale' });
      this.#parts.payloads.drop(msgid);
    }
    await this.#removeStale();
    for (const [control] of over) this.#over.delete(control);
  }

  async #removeStale(): Promise<void> {
    const stale = [...this.#items].filter(([, { kind }]) => kind === 'stale').map(([number]) => number);
    for (let from = 0; from < stale.length; from += TOGETHER) {
      const line = COMMANDS.remove(stale.slice(from, from + TOGETHER));
      const answer = await this.#parts.server.change({ line });
      // 575: they are gone already
      if (answer.code !== 200 && answer.code !== 575)
        throw new SpoolTrouble(this.#refusal('delete finished messages', answer));
    }
    // Only the server's own list says that they are gone; until then they stay stale and are never read again.
    if (stale.length > 0) this.#forgetAbsent(new Set(await this.#list()));
  }

  /** Whether the ledger still has to say it. */
  #isNeeded({ record, control }: JournalRecord): boolean {
    const item = this.#items.get(control);
    if (this.#over.has(control) || item?.kind === 'stale') return true;
    return record === 'status' && item?.kind === 'control' && isDirty(item);
  }
}
