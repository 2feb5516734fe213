/**
 * When a sender is told what, and that it happens once: looks at what became of a mail's recipients, leaves out what
 * was told before, has the report composed and handed over, and notes it. Called by a mail in hand when its deliveries
 * are over and written down; the mail ends only when `tell` resolves true. Reports go out one after the other.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import { prepareOutgoing } from '../message/outgoing.ts';
import type { RenderOptions } from '../message/render.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Random } from '../platform/clock.ts';
import { describeError } from '../platform/system-errors.ts';
import type { DsnStore, Notified } from '../queue/dsn-store.ts';
import type { ControlMessages } from '../queue/due.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { isDelayed } from '../queue/schedule.ts';
import type { Failure } from '../smtp/outcome.ts';
import type { composeDsn } from './compose.ts';
import type { Notice } from './notice.ts';
import { noticeFromFailure, noticeFromLine } from './notice.ts';
import type { DsnRecipient, Site } from './recipient.ts';
import { dsnRecipients } from './recipient.ts';
import type { Dsn, Original } from './report.ts';
import { suppressionReason } from './suppression.ts';
import type { DsnTransport, HandoverResult } from './transport.ts';

/** A recipient after the run. */
export interface RecipientResult {
  readonly address: ByteString;
  readonly status: number;
  /** the text of its status line */
  readonly text: ByteString;
  /** what failed in this run; null when it was not tried */
  readonly failure: Failure | null;
}

export interface FinishedMessage {
  /** the control messages that name the payload */
  readonly controlMessages: ControlMessages;
  /** of all recipients; a fresh pass each time */
  readonly results: () => Iterable<RecipientResult>;
}

export interface DsnRules {
  readonly site: Site;
  /** address in `From:` */
  readonly author: ByteString;
  readonly schedule: Schedule;
  readonly render: RenderOptions;
}

export interface DsnDeps {
  readonly room: Pick<Queue, 'readPayload'>;
  readonly reports: DsnStore;
  readonly transport: DsnTransport;
  readonly compose: typeof composeDsn;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: DsnEvents;
}

export interface DsnEvents {
  /** durable when it is told */
  sent(record: SentDsn): void;
  /** nobody may be told; `reason` is a clause */
  withheld(control: MessageNumber, recipients: readonly ByteString[], reason: string): void;
  /** the report is not safe, so the job stays; a full sentence */
  waiting(text: string): void;
}

export interface SentDsn {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  readonly to: ByteString;
  /** `left`: in a file, nobody has brought it to its reader yet */
  readonly how: 'safe' | 'left';
  /** what took it, for people */
  readonly where: string;
  readonly notices: readonly Notice[];
}

/** A larger mail comes back with its header only. Bytes. */
const LARGEST_WHOLE = 50_000;
/** As much of a header as comes back. Bytes. */
const LARGEST_HEADER = 65_536;
/** A return path that is down is left alone for so many milliseconds. */
const PAUSE = 60_000;

export class DsnSender {
  readonly #ports: DsnDeps;
  readonly #rules: DsnRules;
  /** what senders were told and the disk did not take */
  readonly #unnoted = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();
  /** monotonic milliseconds before which the return path is not tried */
  #downUntil = Number.NEGATIVE_INFINITY;

  constructor(ports: DsnDeps, rules: DsnRules) {
    this.#ports = ports;
    this.#rules = rules;
  }

  /** Resolves true when nothing is left to tell. After `signal` nothing more is begun. */
  async tell(mail: FinishedMessage, signal: AbortSignal): Promise<boolean> {
    const notices = this.#noticesOf(mail);
    if (notices.length === 0) return true;
    const turn = this.#turn.then(() => (signal.aborted ? false : this.#tellNow(mail, notices)));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** The mail is over: what is known of it goes. */
  async forget({ controlMessages }: FinishedMessage): Promise<void> {
    for (const numbers of numbersOf(controlMessages)) await this.#ports.reports.forget(numbers);
  }

  #now(): number {
    return Math.floor(this.#ports.clock.now() / 1000);
  }

  #noticesOf({ controlMessages: [{ job }], results }: FinishedMessage): readonly Notice[] {
    const late = isDelayed(job, this.#now(), this.#rules.schedule);
    const notices: Notice[] = [];
    for (const { address, status, text, failure } of results()) {
      if (status === 5 && failure === null) notices.push(noticeFromLine({ address, status, text }));
      else if (failure === null) continue;
      else if (status === 5)
        notices.push(noticeFromFailure(failure.permanent ? 'failed' : 'gave-up', address, failure));
      else if (status === 4 && late) notices.push(noticeFromFailure('delayed', address, failure));
    }
    return notices;
  }

  async #tellNow(mail: FinishedMessage, notices: readonly Notice[]): Promise<boolean> {
    try {
      const untold = await this.#untold(mail, notices);
      if (untold.length === 0) return true;
      const message = await this.#load(mail.controlMessages[0].job.msgid);
      const permitted = await this.#withhold(mail, untold, message);
      return permitted.length === 0 || (await this.#send(mail, permitted, message));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      this.#wait(mail, describeError(error));
      return false;
    }
  }

  async #untold(mail: FinishedMessage, notices: readonly Notice[]): Promise<readonly Notice[]> {
    const told: Notified[] = [];
    for (const numbers of numbersOf(mail.controlMessages))
      told.push(...(await this.#ports.reports.notified(numbers)));
    const known = new Set(told.map(({ address, what }) => `${what} ${address}`));
    const untold = notices.filter((notice) => !known.has(`${whatOf(notice)} ${notice.recipient}`));
    const sent = untold.filter((notice) => this.#unnoted.has(keyOf(mail, notice)));
    if (sent.length > 0) await this.#noteSent(mail, sent);
    return untold.filter((notice) => !sent.includes(notice));
  }

  /** Remembered until the disk takes the note: a full one must not have the report sent at every look. */
  async #noteSent(mail: FinishedMessage, notices: readonly Notice[]): Promise<void> {
    const keys = notices.map((notice) => keyOf(mail, notice));
    for (const key of keys) this.#unnoted.add(key);
    await this.#note(mail, notices);
    for (const key of keys) this.#unnoted.delete(key);
  }

  async #note({ controlMessages }: FinishedMessage, notices: readonly Notice[]): Promise<void> {
    const told = notices.map((notice) => ({ address: notice.recipient, what: whatOf(notice) }));
    for (const numbers of numbersOf(controlMessages)) await this.#ports.reports.recordNotified(numbers, told);
  }

  /** Null when there is nothing any more that could be sent. */
  async #load(msgid: MessageNumber): Promise<OutgoingMessage | null> {
    const read = await this.#ports.room.readPayload(msgid);
    if (read.kind !== 'found') return null;
    const prepared = await prepareOutgoing(read.message, this.#rules.render);
    return prepared.kind === 'outgoing' ? prepared : null;
  }

  /** What nobody may be told counts as told. Returns the rest. */
  async #withhold(
    mail: FinishedMessage,
    notices: readonly Notice[],
    message: OutgoingMessage | null,
  ): Promise<readonly Notice[]> {
    const [{ control, job }] = mail.controlMessages;
    const facts = { envelopeFrom: job.envelopeFrom, headers: message?.headers ?? null };
    const permitted: Notice[] = [];
    const withheld = new Map<string, Notice[]>();
    for (const notice of notices) {
      const reason = suppressionReason(notice.kind, facts);
      if (reason === null) permitted.push(notice);
      else withheld.set(reason, [...(withheld.get(reason) ?? []), notice]);
    }
    for (const [reason, each] of withheld) {
      await this.#note(mail, each);
      const recipients = each.map(({ recipient }) => recipient);
      this.#ports.events.withheld(control, recipients, reason);
    }
    return permitted;
  }

  async #send(
    mail: FinishedMessage,
    notices: readonly Notice[],
    message: OutgoingMessage | null,
  ): Promise<boolean> {
    const { clock, transport, events } = this.#ports;
    if (clock.monotonic() < this.#downUntil) return false;
    const [{ control, job }] = mail.controlMessages;
    const refusals: string[] = [];
    for (const to of dsnRecipients(job, this.#rules.site)) {
      const handover = await this.#handOver(mail, notices, message, to);
      if (handover.kind === 'safe' || handover.kind === 'left') {
        await this.#noteSent(mail, notices);
        const { kind: how, where } = handover;
        events.sent({ control, msgid: job.msgid, to: to.address, how, where, notices });
        return true;
      }
      refusals.push(`${to.address}: ${handover.why}`);
      if (handover.kind === 'down') {
        this.#downUntil = clock.monotonic() + PAUSE;
        break;
      }
    }
    this.#wait(mail, `${transport.name} did not take the report: ${refusals.join('; ')}`);
    return false;
  }

  #wait({ controlMessages: [{ control }] }: FinishedMessage, why: string): void {
    this.#ports.events.waiting(
      `The sender of job ${control} could not be told what became of the mail: ${why}. ` +
        'The job stays in the spool and the report is tried again.',
    );
  }

  async #handOver(
    mail: FinishedMessage,
    notices: readonly Notice[],
    message: OutgoingMessage | null,
    to: DsnRecipient,
  ): Promise<HandoverResult> {
    const { transport } = this.#ports;
    const whole =
      message !== null && message.size <= LARGEST_WHOLE && (transport.eightBit || !message.eightBit);
    const send = async (original: Original | null): Promise<HandoverResult> => {
      const unique = this.#unique();
      const report = await this.#compose(mail, notices, original, to, unique);
      return transport.send(report, to, unique);
    };
    const handover = await send(message === null ? null : await originalOf(message, whole));
    return handover.kind === 'eight-bit' && message !== null && whole
      ? send(await originalOf(message, false))
      : handover;
  }

  #compose(
    { controlMessages: [{ control, job }] }: FinishedMessage,
    notices: readonly Notice[],
    original: Original | null,
    to: DsnRecipient,
    unique: string,
  ): Promise<Buffer> {
    const { site, author, schedule, render } = this.#rules;
    const { sourceRoom, submitted } = job;
    const now = this.#now();
    const report: Dsn = {
      to: to.address,
      notices,
      job: control,
      sourceRoom,
      submitted,
      lastTry: now,
      triedUntil: submitted === null ? null : submitted + schedule.giveUpAfter,
      original,
    };
    return this.#ports.compose(report, { fqdn: site.fqdn, author, now, unique, legacy: render.legacy });
  }

  #unique(): string {
    const part = (): string => Math.floor(this.#ports.random() * 2 ** 48).toString(36);
    return `${this.#now()}-${part()}-${part()}`;
  }
}

/** By the payload: in a live room a control message gets a new number whenever it is written. */
function keyOf({ controlMessages: [{ job }] }: FinishedMessage, notice: Notice): string {
  return `${job.msgid} ${whatOf(notice)} ${notice.recipient}`;
}

function whatOf({ kind }: Notice): Notified['what'] {
  return kind === 'delayed' ? 'delay' : 'failure';
}

function numbersOf(lists: readonly QueuedJob[]) {
  return lists.map(({ control, job }) => ({ control, msgid: job.msgid }));
}

async function originalOf(message: OutgoingMessage, whole: boolean): Promise<Original> {
  const { messageId } = message.headers;
  const limit = whole ? message.size : LARGEST_HEADER;
  let text = '';
  for await (const chunk of message.chunks()) {
    text += chunk.toString('latin1', 0, limit - text.length);
    if (text.length >= limit) break;
  }
  return { text: whole ? text : headerOf(text), whole, messageId };
}

/** Up to the empty line; of a longer header its complete lines. */
function headerOf(text: ByteString): ByteString {
  if (text.startsWith('\r\n')) return '';
  const end = text.indexOf('\r\n\r\n');
  return text.slice(0, (end < 0 ? text.lastIndexOf('\r\n') : end) + 2);
}
