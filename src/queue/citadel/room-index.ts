/**
 * The contents of the queue room. Each message is read once, because the messages of a server never change and their numbers
 * are never used again. Only reads from the server; what has to be deleted is marked here and deleted by the writer.
 */
import { DELIVERY_LIST_TYPE } from '../../delivery-list/header.ts';
import type { Dialect, MessageNumber } from '../../delivery-list/job.ts';
import { DELIVERY_LIST_HEADER } from '../../delivery-list/serialise.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { controlsOf, type FinishedJob, isDirty } from '../pending-job.ts';
import type { QueueScan } from '../queue.ts';
import { COMMANDS, isAbsence, numbersIn, partType } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import type { CommandResult } from './client/session.ts';
import type { ProbeKind } from './rival/probe.ts';
import { classifyMessage, isControl, type RoomEntry, type RoomJob } from './room-message.ts';

export interface RoomIndexDeps {
  readonly server: CitadelServer;
  /** of lists whose contents do not show it */
  readonly dialect: { readonly value: Dialect };
  /** id of our state directory */
  readonly owner: string;
  /** as in `ParseOptions` */
  readonly longestList?: number | undefined;
}

/** One message as the server shows it. */
type ShownMessage =
  | { readonly kind: 'control'; readonly text: ByteString }
  | { readonly kind: 'payload' | 'gone' }
  /** the server refused to show it now */
  | { readonly kind: 'unread'; readonly why: string };

/** `what` completes "The Citadel server at HOST did not". */
export function refusalText(name: string, what: string, { code, text }: CommandResult): string {
  return `The Citadel server at ${name} did not ${what}: ${code} ${text}.`;
}

export class RoomIndex {
  readonly entries = new Map<MessageNumber, RoomEntry>();
  /** messages the server did not show at the last update, with its reason; they are read again */
  readonly unread = new Map<MessageNumber, string>();
  readonly finished = new Set<FinishedJob>();
  /** existing payloads whose control messages were deleted by something else */
  readonly #lostControl = new Set<MessageNumber>();
  /** texts posted without an answer and posted anew since: a server that hung may still accept them, and they are outdated */
  readonly abandonedTexts = new Set<ByteString>();
  /** what something else did since the rival detector last checked; `replaced` completes "Something else ..." */
  readonly evidence = { deleted: false, replaced: null as string | null };
  readonly #deps: RoomIndexDeps;

  constructor(deps: RoomIndexDeps) {
    this.#deps = deps;
  }

  /** Read what is new in the room, and forget what is gone. */
  async update(): Promise<void> {
    const numbers = await this.list();
    // Before what is gone is forgotten: a control message that was posted without an answer may be its successor.
    const unanswered = [...this.jobs()].filter(({ posting }) => posting !== null);
    this.forgetAbsent(new Set(numbers));
    this.unread.clear();
    for (const number of numbers) if (!this.entries.has(number)) await this.#load(number, unanswered);
  }

  /** Numbers of all messages, ascending. */
  async list(): Promise<MessageNumber[]> {
    const { server } = this.#deps;
    const listing = await server.read({ line: COMMANDS.list });
    if (listing.code !== 100)
      throw new QueueError(
        `${refusalText(server.name, 'list its queue', listing)} Its messages stay in its queue.`,
      );
    return numbersIn(listing.body).sort((a, b) => a - b);
  }

  /**
   * Forget what is not there any more. What we delete is marked before; a control message that is not marked, even one of a
   * finished job, was deleted by another queue run, or by a person.
   */
  forgetAbsent(present: ReadonlySet<MessageNumber>): void {
    for (const [number, entry] of [...this.entries]) {
      if (present.has(number)) continue;
      this.entries.delete(number);
      if (entry.kind === 'control') this.noteExternalDelete(entry.base.msgid);
    }
    for (const msgid of this.#lostControl) if (!present.has(msgid)) this.#lostControl.delete(msgid);
  }

  /** Something else deleted a control message of this payload. */
  noteExternalDelete(msgid: MessageNumber): void {
    this.#lostControl.add(msgid);
    this.evidence.deleted = true;
  }

  /** A new probe period begins: what something else did before does not count. */
  resetEvidence(): void {
    this.#lostControl.clear();
    Object.assign(this.evidence, { deleted: false, replaced: null });
  }

  async #load(number: MessageNumber, unanswered: readonly RoomJob[]): Promise<void> {
    const shown = await this.#read(number);
    switch (shown.kind) {
      case 'gone':
        return;
      case 'unread':
        this.unread.set(number, shown.why);
        return;
      case 'payload':
        this.entries.set(number, { kind: 'payload' });
        return;
      case 'control': {
        const job = unanswered.find(({ posting }) => posting?.text === shown.text);
        if (job !== undefined) this.replaced(job, number);
        else if (this.abandonedTexts.has(shown.text)) this.discard(number);
        else this.#add(number, shown.text);
      }
    }
  }

  #classify(number: MessageNumber, text: ByteString): ReturnType<typeof classifyMessage> {
    const { dialect, owner, longestList } = this.#deps;
    const options = { dialect: 'detect', fallback: dialect.value, longestList } as const;
    return classifyMessage(number, text, options, owner);
  }

  #add(number: MessageNumber, text: ByteString): void {
    const entry = this.#classify(number, text);
    this.entries.set(number, entry);
    if (entry.kind === 'control') this.checkReplacement(entry);
  }

  /** A foreign control message for a payload whose own one was deleted by something else: that was a replacement. */
  checkReplacement({ base: { msgid } }: RoomJob): void {
    if (this.#lostControl.has(msgid))
      this.evidence.replaced = `replaced the control message for message ${msgid}`;
  }

  async #read(number: MessageNumber): Promise<ShownMessage> {
    const { server } = this.#deps;
    const fields = await server.read({ line: COMMANDS.fields(number), guarded: true });
    if (isAbsence(fields.code)) return { kind: 'gone' };
    const unread = (answer: CommandResult): ShownMessage => ({
      kind: 'unread',
      why: refusalText(server.name, `show the message ${number}`, answer),
    });
    if (fields.code !== 100) return unread(fields);
    if (!isControl(fields.body)) return { kind: 'payload' };
    const part = await server.read({ line: COMMANDS.part(number) });
    if (isAbsence(part.code)) return { kind: 'gone' };
    if (part.code !== 600) return unread(part);
    if (partType(part.text) !== DELIVERY_LIST_TYPE) return { kind: 'payload' };
    return { kind: 'control', text: DELIVERY_LIST_HEADER + part.body };
  }

  /** The message `number` is the control message of the job from now on. */
  replaced(job: RoomJob, number: MessageNumber): void {
    if (job.posting === null) return;
    for (const { key, removable } of [...this.finished])
      if (key.control === job.control) this.finished.add({ key: { ...key, control: number }, removable });
    this.entries.set(job.control, { kind: 'stale' });
    this.entries.set(number, job);
    job.former.push(job.control);
    job.control = number;
    job.text = job.posting.text;
    job.written = job.posting.changes;
    job.posting = null;
    job.hasLateChanges = isDirty(job);
    this.#lostControl.delete(job.base.msgid);
  }

  /** A job whose control message we rewrote, as the next reader of that message will see it. */
  reread(job: RoomJob): RoomJob {
    const entry = this.#classify(job.control, job.text);
    this.entries.set(job.control, entry);
    return entry.kind === 'control' ? entry : job;
  }

  *jobs(): Generator<RoomJob> {
    for (const entry of [...this.entries.values()]) if (entry.kind === 'control') yield entry;
  }

  /** Probe messages of this kind, ascending. */
  probes(kind: ProbeKind): MessageNumber[] {
    const found: MessageNumber[] = [];
    for (const [number, entry] of this.entries)
      if (entry.kind === 'probe' && entry.probe === kind) found.push(number);
    return found.sort((a, b) => a - b);
  }

  finishedControls(): ReadonlySet<MessageNumber> {
    return controlsOf(this.finished);
  }

  /** The highest number that the server did not show; 0: there is none. It may be a control message that names a payload below. */
  highestUnread(): MessageNumber {
    return [...this.unread.keys()].reduce((highest, number) => Math.max(highest, number), 0);
  }

  /** Marks a message for deletion. */
  discard(number: MessageNumber): void {
    this.entries.set(number, { kind: 'stale' });
  }

  /** Payloads that the control message of an unfinished job names, or an unreadable one. */
  namedPayloads(): Set<MessageNumber> {
    const named = new Set<MessageNumber>();
    const finished = this.finishedControls();
    for (const [number, entry] of this.entries) {
      if (entry.kind === 'control' && !finished.has(number)) named.add(entry.base.msgid);
      if (entry.kind === 'unreadable') for (const payload of entry.payloads) named.add(payload);
    }
    return named;
  }

  orphans(): MessageNumber[] {
    const named = this.namedPayloads();
    const orphans: MessageNumber[] = [];
    for (const [number, { kind }] of this.entries)
      if (kind === 'payload' && !named.has(number)) orphans.push(number);
    return orphans.sort((a, b) => a - b);
  }

  /** There is nowhere on the server to move an unreadable message to: it is reported once and stays. */
  unreadable(): QueueScan['quarantined'] {
    const found: { number: MessageNumber; reason: string }[] = [];
    for (const [number, entry] of this.entries) {
      if (entry.kind !== 'unreadable' || entry.reported) continue;
      entry.reported = true;
      found.push({ number, reason: entry.reason });
    }
    return found.sort((a, b) => a.number - b.number);
  }
}
