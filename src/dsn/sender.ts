/**
 * Decides which notices are due after a run, and sends each of them once: notices already reported are left out, the rest
 * are composed into one report, handed over, and recorded. A report ends in one of two ways: a server takes it, or it is
 * kept for the postmaster. The outcomes must be on disk before `report` is called, and a job may end only when `report`
 * resolves true. Reports are sent one at a time.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import { signedMessage } from '../dkim/sign.ts';
import type { Signer } from '../dkim/signer.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import { outgoingFrom, prepareOutgoing } from '../message/outgoing.ts';
import type { RenderOptions } from '../message/render.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Random } from '../platform/clock.ts';
import { describeError, isOperationalError, UnavailableError } from '../platform/system-errors.ts';
import type { DsnStore, JobKey, Notified } from '../queue/dsn-store.ts';
import type { ControlMessages } from '../queue/due.ts';
import { type MessageFacts, messageIdOf } from '../queue/message-facts.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { isDelayed, lastAttempt } from '../queue/schedule.ts';
import { type DsnRequest, textOfXtext, wants } from '../smtp/dsn-request.ts';
import type { Acceptance, Failure } from '../smtp/outcome.ts';
import { type composeDsn, isReport } from './compose.ts';
import type { Dsn, Original } from './dsn.ts';
import type { Notice } from './notice.ts';
import { noticeFromFailure, noticeFromLine, noticeOfRelay } from './notice.ts';
import type { Site } from './recipient.ts';
import { dsnRecipients } from './recipient.ts';
import { suppressionReason } from './suppression.ts';
import type { DsnTransport, HandoverResult } from './transport.ts';

/** A recipient after the run. */
export interface RecipientResult {
  readonly address: ByteString;
  readonly status: number;
  /** text of its status line */
  readonly text: ByteString;
  /** the failure in this run; null when there was none */
  readonly failure: Failure | null;
  /** accepted in this run by a server that reports no success; null: it was not */
  readonly relayed: Acceptance | null;
}

export interface FinishedMessage {
  /** the control messages that name the payload */
  readonly controlMessages: ControlMessages;
  readonly message: MessageFacts;
  /** what its sender asked for; null: nothing */
  readonly dsn: DsnRequest | null;
  /** of all recipients; a fresh pass each time */
  readonly results: () => Iterable<RecipientResult>;
}

export interface DsnRules {
  readonly site: Site;
  /** address in `From:` */
  readonly author: ByteString;
  readonly schedule: Schedule;
  readonly render: RenderOptions;
  /** null: nothing is signed */
  readonly signer: Signer | null;
}

export interface DsnDeps {
  readonly queue: Pick<Queue, 'readPayload'>;
  readonly store: DsnStore;
  /** null: no server takes reports */
  readonly transport: DsnTransport | null;
  readonly compose: typeof composeDsn;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: DsnEvents;
}

export interface DsnEvents {
  /** the report is handed over or kept for the postmaster, and this is recorded on disk */
  sent(dsn: SentDsn): void;
  /** no report is sent about these recipients */
  suppressed(dsn: SuppressedDsn): void;
  /** the report could not be handed over, so the job stays */
  waiting(report: WaitingDsn): void;
}

export interface WaitingDsn {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  /** no report at all can be handed over at the moment */
  readonly isPath: boolean;
  /** a clause */
  readonly why: ByteString;
}

/** Which message a report is about. */
interface AboutMessage {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  readonly message: MessageFacts;
}

export interface SuppressedDsn extends AboutMessage {
  readonly recipients: readonly ByteString[];
  /** a clause */
  readonly reason: string;
}

export interface SentDsn extends AboutMessage {
  readonly to: ByteString;
  /** `left`: kept as a file for the postmaster */
  readonly how: 'safe' | 'left';
  /** the server or file that has it now, for people */
  readonly where: string;
  /** why it was kept, a clause for people; null: a server has it */
  readonly why: string | null;
  readonly notices: readonly Notice[];
}

/** Of a larger message only the header is returned. Bytes. */
const MAX_FULL = 50_000;
/** The most that is returned of a header. Bytes. */
const MAX_HEADER = 65_536;
/** How long an unavailable return path is left alone, milliseconds. */
const PATH_PAUSE = 60_000;
/** How long a report that was not taken is left alone: doubled each time, so that others get their turn. Milliseconds. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 1_800_000;

/** What a report may contain, the most first: where it is refused in one form, the next one is tried. */
type Form = Original['ret'] | 'text';

/** The notices of one report, and what it returns. */
interface DueReport {
  readonly message: FinishedMessage;
  readonly notices: readonly Notice[];
  /** null: it cannot be read */
  readonly original: OutgoingMessage | null;
}

export class DsnSender {
  readonly #deps: DsnDeps;
  readonly #rules: DsnRules;
  /** keys of notices that were sent but could not be recorded yet */
  readonly #unrecorded = new Set<string>();
  #previous: Promise<unknown> = Promise.resolve();
  /** monotonic milliseconds before which the return path is not tried */
  #unavailableUntil = Number.NEGATIVE_INFINITY;
  /** by payload: reports that were not taken. Monotonic milliseconds. */
  readonly #pauses = new Map<MessageNumber, { readonly until: number; readonly pause: number }>();

  constructor(deps: DsnDeps, rules: DsnRules) {
    this.#deps = deps;
    this.#rules = rules;
  }

  /** Resolves true when nothing is left to report. After `signal` no further report is begun. */
  async report(message: FinishedMessage, signal: AbortSignal): Promise<boolean> {
    const notices = this.#noticesFor(message);
    if (notices.length === 0) return true;
    const done = this.#previous.then(() => (signal.aborted ? false : this.#reportNow(message, notices)));
    this.#previous = done.catch(() => {});
    return done;
  }

  /** Before the jobs of a scan are delivered. */
  refresh(): void {
    this.#deps.store.refresh();
  }

  /** What the sender of a job asked for; null: nothing. */
  request(queued: QueuedJob): DsnRequest | null {
    return this.#deps.store.request(jobKeyOf(queued));
  }

  /**
   * When a job that is old enough to be given up was first tried, in Unix seconds. The first time that is now, and durable on
   * return. Null: it was tried before it was old, and its age counts from its submission.
   */
  async firstAttempt(queued: QueuedJob): Promise<number | null> {
    const { store } = this.#deps;
    const { job } = queued;
    const key = jobKeyOf(queued);
    if (job.attempted !== 0) return store.firstAttempt(key);
    const now = this.#now();
    await store.recordFirstAttempt(key, now);
    return now;
  }

  /** Removes the records of a message whose job ends. */
  async forget({ controlMessages }: FinishedMessage): Promise<void> {
    this.#pauses.delete(controlMessages[0].job.msgid);
    for (const job of controlMessages) await this.#deps.store.forget(jobKeyOf(job));
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }

  #noticesFor({ controlMessages: [{ job }], results, dsn }: FinishedMessage): readonly Notice[] {
    const delayed = isDelayed(job, this.#now(), this.#rules.schedule);
    const notices: Notice[] = [];
    for (const { address, status, text, failure, relayed } of results()) {
      const asked = dsn?.recipients.get(address);
      if (relayed !== null && asked !== undefined && wants(asked, 'SUCCESS') === true)
        notices.push(noticeOfRelay(address, relayed));
      if (status === 5 && failure === null) notices.push(noticeFromLine({ address, status, text }));
      else if (failure === null) continue;
      else if (status === 5)
        notices.push(noticeFromFailure(failure.permanent ? 'failed' : 'gave-up', address, failure));
      else if (status === 4 && delayed) notices.push(noticeFromFailure('delayed', address, failure));
    }
    return notices;
  }

  async #reportNow(finished: FinishedMessage, notices: readonly Notice[]): Promise<boolean> {
    const [{ job }] = finished.controlMessages;
    try {
      const due = await this.#unreported(finished, notices);
      if (due.length === 0) return true;
      const original = await this.#loadOriginal(job.msgid);
      const message = withFacts(finished, original);
      if (original !== null && isReport(original.headers) && due.some(isFailure))
        return await this.#keepReturned(message, due, original);
      const allowed = await this.#suppress(message, due, original);
      return allowed.length === 0 || (await this.#send({ message, notices: allowed, original }));
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      this.#pause(job.msgid, 'deferred');
      this.#wait(finished, describeError(error).replace(/\.$/, ''), false);
      return false;
    }
  }

  async #unreported(message: FinishedMessage, notices: readonly Notice[]): Promise<readonly Notice[]> {
    const recorded: Notified[] = [];
    for (const job of message.controlMessages)
      recorded.push(...(await this.#deps.store.notified(jobKeyOf(job))));
    const known = new Set(recorded.map(({ address, what }) => `${what} ${address}`));
    const due = notices.filter((notice) => !known.has(`${whatOf(notice)} ${notice.recipient}`));
    const sent = due.filter((notice) => this.#unrecorded.has(keyOf(message, notice)));
    if (sent.length > 0) await this.#recordSent(message, sent);
    return due.filter((notice) => !sent.includes(notice));
  }

  /** Kept in memory until the disk takes it: a full disk must not repeat the report at every scan. */
  async #recordSent(message: FinishedMessage, notices: readonly Notice[]): Promise<void> {
    const keys = notices.map((notice) => keyOf(message, notice));
    for (const key of keys) this.#unrecorded.add(key);
    await this.#record(message, notices);
    for (const key of keys) this.#unrecorded.delete(key);
  }

  async #record({ controlMessages }: FinishedMessage, notices: readonly Notice[]): Promise<void> {
    const records = notices.map((notice) => ({ address: notice.recipient, what: whatOf(notice) }));
    for (const job of controlMessages) await this.#deps.store.recordNotified(jobKeyOf(job), records);
  }

  /** Null when the message is gone or cannot be sent. */
  async #loadOriginal(msgid: MessageNumber): Promise<OutgoingMessage | null> {
    const read = await this.#deps.queue.readPayload(msgid);
    // Whether a report may be sent depends on its header.
    if (read.kind === 'unavailable') throw new UnavailableError(read.reason);
    if (read.kind !== 'found') return null;
    const prepared = await prepareOutgoing(read.message, this.#rules.render);
    return prepared.kind === 'outgoing' ? prepared : null;
  }

  /** Records suppressed notices as if they had been sent. Returns the others. */
  async #suppress(
    message: FinishedMessage,
    notices: readonly Notice[],
    original: OutgoingMessage | null,
  ): Promise<readonly Notice[]> {
    const [{ job }] = message.controlMessages;
    const input = { envelopeFrom: job.envelopeFrom, headers: original?.headers ?? null };
    const allowed: Notice[] = [];
    const suppressed = new Map<string, Notice[]>();
    for (const notice of notices) {
      const reason = notWanted(notice, message.dsn) ?? suppressionReason(notice.kind, input);
      if (reason === null) allowed.push(notice);
      else suppressed.set(reason, [...(suppressed.get(reason) ?? []), notice]);
    }
    for (const [reason, each] of suppressed) {
      await this.#record(message, each);
      const recipients = each.map(({ recipient }) => recipient);
      this.#deps.events.suppressed({ ...aboutMessage(message), recipients, reason });
    }
    return allowed;
  }

  /** A report that came back into the queue and failed there: nobody is told of its failure, so it is kept itself. */
  #keepReturned(
    message: FinishedMessage,
    notices: readonly Notice[],
    report: OutgoingMessage,
  ): Promise<true> {
    const to = notices.find(isFailure)?.recipient ?? '';
    return this.#keep({ message, notices }, report, to, 'it is a report and could not be delivered');
  }

  async #send(due: DueReport): Promise<boolean> {
    const { transport } = this.#deps;
    const [{ job }] = due.message.controlMessages;
    if (this.#isPaused(job.msgid)) return false;
    const recipients = dsnRecipients(job, this.#rules.site);
    const keep = async (why: string): Promise<true> => {
      const to = recipients[0] ?? this.#rules.author;
      return this.#keep(due, await this.#prepare(due, to, formsOf(due)[0]), to, why);
    };
    if (transport === null) return keep('no server takes reports (setting return)');
    const refusals: string[] = [];
    const why = (): string => `${transport.name} did not accept it: ${refusals.join('; ')}`;
    for (const to of recipients) {
      const handover = await this.#handOver(transport, due, to);
      if (handover.kind === 'safe') {
        await this.#finish(due, { to, how: 'safe', where: handover.where, why: null });
        return true;
      }
      refusals.push(`${to}: ${handover.why}`);
      if (handover.kind === 'refused') continue;
      this.#pause(job.msgid, handover.kind);
      if (await this.#isOverdue(due.message)) return keep(why());
      this.#wait(due.message, why(), handover.kind === 'unavailable');
      return false;
    }
    return keep(why());
  }

  /** In each form in turn, until one is not refused for what it contains. */
  async #handOver(transport: DsnTransport, due: DueReport, to: ByteString): Promise<HandoverResult> {
    const [fullest, ...lesser] = formsOf(due);
    let handover = await transport.send(await this.#prepare(due, to, fullest), to);
    for (const form of lesser) {
      if (handover.kind !== 'refused' || handover.what === 'recipient') break;
      handover = await transport.send(await this.#prepare(due, to, form), to);
    }
    return handover;
  }

  #isPaused(msgid: MessageNumber): boolean {
    const until = Math.max(this.#unavailableUntil, this.#pauses.get(msgid)?.until ?? 0);
    return this.#deps.clock.monotonic() < until;
  }

  #pause(msgid: MessageNumber, why: 'deferred' | 'unavailable'): void {
    const now = this.#deps.clock.monotonic();
    const pause = Math.min((this.#pauses.get(msgid)?.pause ?? FIRST_PAUSE / 2) * 2, LONGEST_PAUSE);
    this.#pauses.set(msgid, { until: now + pause, pause });
    if (why === 'unavailable') this.#unavailableUntil = now + PATH_PAUSE;
  }

  /** A report has as long as its message: after that it has waited long enough for the return path. */
  async #isOverdue({ controlMessages: [queued] }: FinishedMessage): Promise<boolean> {
    const { job } = queued;
    const recorded = await this.#deps.store.firstAttempt(jobKeyOf(queued));
    const since = recorded ?? job.submitted ?? lastAttempt(job);
    return since !== null && this.#now() - since > 2 * this.#rules.schedule.giveUpAfter;
  }

  async #keep(
    due: Omit<DueReport, 'original'>,
    report: OutgoingMessage,
    to: ByteString,
    why: string,
  ): Promise<true> {
    const pieces: Buffer[] = [];
    for await (const piece of report.chunks()) pieces.push(piece);
    const where = await this.#deps.store.saveForPickup(Buffer.concat(pieces), this.#unique());
    await this.#finish(due, { to, how: 'left', where, why });
    return true;
  }

  async #finish(
    { message, notices }: Omit<DueReport, 'original'>,
    ended: Pick<SentDsn, 'to' | 'how' | 'where' | 'why'>,
  ): Promise<void> {
    const about = aboutMessage(message);
    this.#pauses.delete(about.msgid);
    await this.#recordSent(message, notices);
    this.#deps.events.sent({ ...about, notices, ...ended });
  }

  #wait({ controlMessages: [{ control, job }] }: FinishedMessage, why: ByteString, isPath: boolean): void {
    this.#deps.events.waiting({ control, msgid: job.msgid, isPath, why });
  }

  /** Composed and signed. */
  async #prepare(due: DueReport, to: ByteString, form: Form): Promise<OutgoingMessage> {
    const report = outgoingFrom(await this.#compose(due, to, form));
    const { signer } = this.#rules;
    return signer === null ? report : signedMessage(report, (each) => signer.sign(each, this.#now()));
  }

  async #compose({ message, notices, original }: DueReport, to: ByteString, form: Form): Promise<Buffer> {
    const { site, author, schedule, render } = this.#rules;
    const [{ control, job }] = message.controlMessages;
    const { sourceRoom, submitted } = job;
    const envid = message.dsn?.envid ?? null;
    const now = this.#now();
    const dsn: Dsn = {
      to,
      notices,
      envid: envid === null ? null : textOfXtext(envid),
      originals: originalRecipients(message.dsn),
      job: control,
      sourceRoom,
      submitted,
      lastAttempt: now,
      willRetryUntil: submitted === null ? null : submitted + schedule.giveUpAfter,
      original: original === null || form === 'text' ? null : await returnedPart(original, form),
      plain: form === 'text',
    };
    const stamp = { fqdn: site.fqdn, author, now, unique: this.#unique(), legacy: render.legacy };
    return this.#deps.compose(dsn, stamp);
  }

  #unique(): string {
    const part = (): string => Math.floor(this.#deps.random() * 2 ** 48).toString(36);
    return `${this.#now()}-${part()}-${part()}`;
  }
}

/** By payload, because Citadel gives a control message a new number whenever it is rewritten. */
function keyOf({ controlMessages: [{ job }] }: FinishedMessage, notice: Notice): string {
  return `${job.msgid} ${whatOf(notice)} ${notice.recipient}`;
}

/** A message of which every recipient failed at once, or before a crash, was not read for its delivery. */
function withFacts(finished: FinishedMessage, original: OutgoingMessage | null): FinishedMessage {
  const { message } = finished;
  if (original === null || message.size !== null) return finished;
  const { size, headers } = original;
  return { ...finished, message: { ...message, size, messageId: messageIdOf(headers) } };
}

function aboutMessage({ controlMessages: [{ control, job }], message }: FinishedMessage): AboutMessage {
  return { control, msgid: job.msgid, message };
}

function isFailure({ kind }: Notice): boolean {
  return whatOf({ kind }) === 'failure';
}

/** RFC 3461 4.1: why no report is sent, as a clause; null when the sender asked for it, or said nothing. */
function notWanted({ kind, recipient }: Notice, dsn: DsnRequest | null): string | null {
  const asked = dsn?.recipients.get(recipient);
  if (asked === undefined || wants(asked, NOTIFY[whatOf({ kind })]) !== false) return null;
  return `its sender asked for none (NOTIFY=${asked.notify})`;
}

const NOTIFY = { failure: 'FAILURE', delay: 'DELAY', success: 'SUCCESS' } as const;

function formsOf({ original, notices, message: { dsn } }: DueReport): readonly [Form, ...Form[]] {
  // RFC 3461 4.3: only a report of a failure returns the message.
  const isAsked = dsn?.ret !== 'HDRS' && notices.some((notice) => notice.kind !== 'relayed');
  const mayBeFull = isAsked && original !== null && original.size <= MAX_FULL;
  return mayBeFull ? ['full', 'hdrs', 'text'] : ['hdrs', 'text'];
}

function whatOf({ kind }: Pick<Notice, 'kind'>): Notified['what'] {
  return WHAT[kind];
}

const WHAT = { failed: 'failure', 'gave-up': 'failure', delayed: 'delay', relayed: 'success' } as const;

function jobKeyOf({ control, job: { msgid, submitted } }: QueuedJob): JobKey {
  return { control, msgid, submitted };
}

/** RFC 3464 2.3.1: `rfc822; address`, decoded. */
function originalRecipients(dsn: DsnRequest | null): ReadonlyMap<ByteString, ByteString> {
  const given = [...(dsn?.recipients ?? [])].flatMap(([address, { orcpt }]) => {
    const at = orcpt?.indexOf(';') ?? -1;
    if (orcpt === null || at < 0) return [];
    return [[address, `${orcpt.slice(0, at)}; ${textOfXtext(orcpt.slice(at + 1))}`] as const];
  });
  return new Map(given);
}

async function returnedPart(message: OutgoingMessage, ret: Original['ret']): Promise<Original> {
  const { messageId } = message.headers;
  const limit = ret === 'full' ? message.size : MAX_HEADER;
  let text = '';
  for await (const chunk of message.chunks()) {
    text += chunk.toString('latin1', 0, limit - text.length);
    if (text.length >= limit) break;
  }
  return { text: ret === 'full' ? text : headerOf(text), ret, messageId };
}

/** Up to the empty line; of a header that was cut off, its complete lines. */
function headerOf(text: ByteString): ByteString {
  if (text.startsWith('\r\n')) return '';
  const end = text.indexOf('\r\n\r\n');
  return text.slice(0, (end < 0 ? text.lastIndexOf('\r\n') : end) + 2);
}
