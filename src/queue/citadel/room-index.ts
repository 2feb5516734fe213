/**
 * What lies in the queue room, as far as we have looked: each message is read once, because the messages of a server never
 * change and their numbers are never used again. Called by the live room and the files it is made of. Only reads; what has
 * to be deleted is marked here and deleted by the checkpoint.
 */
import { DELIVERY_LIST_TYPE } from '../../delivery-list/header.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { DELIVERY_LIST_HEADER } from '../../delivery-list/serialise.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { isDirty } from '../pending-job.ts';
import type { QueueScan } from '../queue.ts';
import { COMMANDS, isAbsence, numbersIn, partType } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import type { CommandResult } from './client/session.ts';
import { classifyMessage, isControl, type PendingLiveJob, type RoomEntry } from './item.ts';
import type { ProbeKind } from './rival/probe.ts';

export interface RoomIndexDeps {
  readonly server: CitadelServer;
  readonly options: ParseOptions;
  /** id of our state directory */
  readonly owner: string;
}

/** What a look at one message showed. */
type Sight =
  | { readonly kind: 'list'; readonly text: ByteString }
  | { readonly kind: 'mail' | 'gone' }
  /** the server did not show it now */
  | { readonly kind: 'unseen'; readonly why: string };

/** The server said no to something; the sentence says to what. */
export function refusalText(name: string, what: string, { code, text }: CommandResult): string {
  return `The Citadel server at ${name} did not ${what}: ${code} ${text}. The mail stays in its queue.`;
}

export class RoomIndex {
  readonly items = new Map<MessageNumber, RoomEntry>();
  /** messages the server did not show at the last look, with its reason; they are looked at again */
  readonly unseen = new Map<MessageNumber, string>();
  /** jobs that are over: control message -> payload */
  readonly over = new Map<MessageNumber, MessageNumber>();
  /** payloads whose control messages something else deleted, while they lie there */
  readonly #bereft = new Set<MessageNumber>();
  /** texts posted without an answer and posted again since: a server that hung may take them yet, and they say too little */
  readonly givenUp = new Set<ByteString>();
  /** what something else did since the tripwire last asked, as the rest of a sentence */
  readonly evidence = { deleted: false, replaced: null as string | null };
  readonly #parts: RoomIndexDeps;

  constructor(parts: RoomIndexDeps) {
    this.#parts = parts;
  }

  /** See what lies in the room now. */
  async update(): Promise<void> {
    const numbers = await this.list();
    // Before what is gone is forgotten: what was posted without an answer may stand for it.
    const unanswered = [...this.jobs()].filter(({ posting }) => posting !== null);
    this.forgetAbsent(new Set(numbers));
    this.unseen.clear();
    for (const number of numbers) if (!this.items.has(number)) await this.#meet(number, unanswered);
  }

  /** Numbers of all messages, ascending. */
  async list(): Promise<MessageNumber[]> {
    const { server } = this.#parts;
    const listing = await server.read({ line: COMMANDS.list });
    if (listing.code !== 100) throw new QueueError(refusalText(server.name, 'list its queue', listing));
    return numbersIn(listing.body).sort((a, b) => a - b);
  }

  /**
   * Forget what is not there any more. What we delete is marked before; a control message that is not, also one whose job is
   * over, was deleted by a queue run, or by a person.
   */
  forgetAbsent(present: ReadonlySet<MessageNumber>): void {
    for (const [number, item] of [...this.items]) {
      if (present.has(number)) continue;
      this.items.delete(number);
      if (item.kind === 'control') this.noteExternalDelete(item.base.msgid);
    }
    for (const msgid of this.#bereft) if (!present.has(msgid)) this.#bereft.delete(msgid);
  }

  /** Something else deleted a control message of this mail. */
  noteExternalDelete(msgid: MessageNumber): void {
    this.#bereft.add(msgid);
    this.evidence.deleted = true;
  }

  /** The trial begins from the start: what something else did before is no evidence any more. */
  resetEvidence(): void {
    this.#bereft.clear();
    Object.assign(this.evidence, { deleted: false, replaced: null });
  }

  async #meet(number: MessageNumber, unanswered: readonly PendingLiveJob[]): Promise<void> {
    const sight = await this.#look(number);
    switch (sight.kind) {
      case 'gone':
        return;
      case 'unseen':
        this.unseen.set(number, sight.why);
        return;
      case 'mail':
        this.items.set(number, { kind: 'payload' });
        return;
      case 'list': {
        const poster = unanswered.find(({ posting }) => posting?.text === sight.text);
        if (poster !== undefined) this.replaced(poster, number);
        else if (this.givenUp.has(sight.text)) this.discard(number);
        else this.#add(number, sight.text);
      }
    }
  }

  #add(number: MessageNumber, text: ByteString): void {
    const item = classifyMessage(number, text, this.#parts.options, this.#parts.owner);
    this.items.set(number, item);
    if (item.kind === 'control') this.checkReplacement(item);
  }

  /** A control message that is not ours, for a mail whose own one something else deleted: that was a replacement. */
  checkReplacement({ base: { msgid } }: PendingLiveJob): void {
    if (this.#bereft.has(msgid)) this.evidence.replaced = `replaced the control message of mail ${msgid}`;
  }

  async #look(number: MessageNumber): Promise<Sight> {
    const { server } = this.#parts;
    const fields = await server.read({ line: COMMANDS.fields(number), guarded: true });
    if (isAbsence(fields.code)) return { kind: 'gone' };
    const unseen = (answer: CommandResult): Sight => ({
      kind: 'unseen',
      why: refusalText(server.name, `show the message ${number}`, answer),
    });
    if (fields.code !== 100) return unseen(fields);
    if (!isControl(fields.body)) return { kind: 'mail' };
    const part = await server.read({ line: COMMANDS.part(number) });
    if (isAbsence(part.code)) return { kind: 'gone' };
    if (part.code !== 600) return unseen(part);
    if (partType(part.text) !== DELIVERY_LIST_TYPE) return { kind: 'mail' };
    return { kind: 'list', text: DELIVERY_LIST_HEADER + part.body };
  }

  /** The message `number` stands for the job from now on. */
  replaced(held: PendingLiveJob, number: MessageNumber): void {
    if (held.posting === null) return;
    if (this.over.has(held.control)) this.over.set(number, held.base.msgid);
    this.items.set(held.control, { kind: 'stale' });
    this.items.set(number, held);
    held.former.push(held.control);
    held.control = number;
    held.text = held.posting.text;
    held.written = held.posting.changes;
    held.posting = null;
    held.isLate = isDirty(held);
    this.#bereft.delete(held.base.msgid);
  }

  /** A job whose control message we rewrote has to be seen as its next reader will see it. */
  reread(held: PendingLiveJob): PendingLiveJob {
    const item = classifyMessage(held.control, held.text, this.#parts.options, this.#parts.owner);
    this.items.set(held.control, item);
    return item.kind === 'control' ? item : held;
  }

  /** Whether the room alone says all we know of this job: a list that was replaced says less as long as it lies there. */
  tells(held: PendingLiveJob): boolean {
    return !isDirty(held) && !held.former.some((number) => this.items.has(number));
  }

  *jobs(): Generator<PendingLiveJob> {
    for (const item of [...this.items.values()]) if (item.kind === 'control') yield item;
  }

  /** Our messages of this kind, ascending. */
  trials(kind: ProbeKind): MessageNumber[] {
    const found: MessageNumber[] = [];
    for (const [number, item] of this.items)
      if (item.kind === 'trial' && item.trial === kind) found.push(number);
    return found.sort((a, b) => a - b);
  }

  /** Marks a message for deletion. */
  discard(number: MessageNumber): void {
    this.items.set(number, { kind: 'stale' });
  }

  /** Payloads that a control message names, also one that nobody can read. */
  named(): Set<MessageNumber> {
    const named = new Set<MessageNumber>();
    for (const [number, item] of this.items) {
      if (item.kind === 'control' && !this.over.has(number)) named.add(item.base.msgid);
      if (item.kind === 'unreadable') for (const name of item.names) named.add(name);
    }
    return named;
  }

  orphans(): MessageNumber[] {
    const named = this.named();
    const orphans: MessageNumber[] = [];
    for (const [number, { kind }] of this.items)
      if (kind === 'payload' && !named.has(number)) orphans.push(number);
    return orphans.sort((a, b) => a - b);
  }

  /** A server's queue room has no place to set a message aside: it is told once and left alone. */
  unreadable(): QueueScan['quarantined'] {
    const found: { number: MessageNumber; reason: string }[] = [];
    for (const [number, item] of this.items) {
      if (item.kind !== 'unreadable' || item.told) continue;
      item.told = true;
      found.push({ number, reason: item.reason });
    }
    return found.sort((a, b) => a.number - b.number);
  }
}
