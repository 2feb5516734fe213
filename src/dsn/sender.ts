/**
 * Decides which notices are due after a run, and sends each of them once: notices already reported are left out, the rest
 * are composed into one report, handed over, and recorded. A report ends in one of two ways: a server takes it, or it is
 * kept for the postmaster. The outcomes must be on disk before `report` is called, and a job may end only when `report`
 * resolves true. Reports are sent one at a time.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Signer } from '../dkim/signer.ts';
import { type OutgoingMessage, prepareOutgoing } from '../message/outgoing.ts';
import type { RenderOptions } from '../message/render.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock, Random } from '../platform/clock.ts';
import { describeError, isOperationalError, UnavailableError } from '../platform/system-errors.ts';
import type { DsnStore, JobKey } from '../queue/dsn-store.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import { lastAttempt, type Schedule } from '../queue/schedule.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';
import { type composeDsn, isReport } from './compose.ts';
import { isFailure, noticesFor, notWanted, whatOf } from './due-notices.ts';
import { type AboutMessage, aboutMessage, type FinishedMessage, withFacts } from './finished-message.ts';
import type { Notice } from './notice.ts';
import { dsnRecipients, type Site } from './recipient.ts';
import { type DueReport, type Form, formsOf, ReportComposer } from './report-message.ts';
import { suppressionReason } from './suppression.ts';
import type { DsnTransport, HandoverResult } from './transport.ts';

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

/** How long an unavailable return path is left alone, milliseconds. */
const PATH_PAUSE = 60_000;
/** How long a report that was not taken is left alone: doubled each time, so that others get their turn. Milliseconds. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 1_800_000;

/** Recipients in one report. Those of a very long list are told in several, so that none takes all memory. */
const NOTICES_A_REPORT = 10_000;

export class DsnSender {
  readonly #deps: DsnDeps;
  readonly #rules: DsnRules;
  readonly #composer: ReportComposer;
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
    this.#composer = new ReportComposer(deps, rules);
  }

  /** Resolves true when nothing is left to report. After `signal` no further report is begun. */
  async report(message: FinishedMessage, signal: AbortSignal): Promise<boolean> {
    const parts = noticesFor(message, this.#now(), this.#rules.schedule, NOTICES_A_REPORT);
    const first = parts.next();
    if (first.done === true) return true;
    const done = this.#previous.then(() => this.#reportAll(message, first.value, parts, signal));
    this.#previous = done.catch(() => {});
    return done;
  }

  async #reportAll(
    message: FinishedMessage,
    first: readonly Notice[],
    others: Iterable<readonly Notice[]>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const reported = lazily(() => this.#reported(message));
    if (signal.aborted || !(await this.#reportNow(message, first, reported))) return false;
    for (const part of others)
      if (signal.aborted || !(await this.#reportNow(message, part, reported))) return false;
    return true;
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

  async #reportNow(
    finished: FinishedMessage,
    notices: readonly Notice[],
    reported: () => Promise<ReadonlySet<string>>,
  ): Promise<boolean> {
    const [{ job }] = finished.controlMessages;
    try {
      const due = await this.#unreported(finished, notices, await reported());
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

  /** What earlier runs have recorded. */
  async #reported({ controlMessages }: FinishedMessage): Promise<ReadonlySet<string>> {
    const known = new Set<string>();
    for (const job of controlMessages)
      for (const { address, what } of await this.#deps.store.notified(jobKeyOf(job)))
        known.add(`${what} ${address}`);
    return known;
  }

  async #unreported(
    message: FinishedMessage,
    notices: readonly Notice[],
    known: ReadonlySet<string>,
  ): Promise<readonly Notice[]> {
    const due = notices.filter((notice) => !known.has(`${whatOf(notice)} ${notice.recipient}`));
    const sent = new Set(due.filter((notice) => this.#unrecorded.has(keyOf(message, notice))));
    if (sent.size > 0) await this.#recordSent(message, [...sent]);
    return due.filter((notice) => !sent.has(notice));
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
      return this.#keep(due, await this.#composer.message(due, to, formsOf(due)[0]), to, why);
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
    const requireTls = due.message.dsn?.requireTls === true;
    const send = async (form: Form): Promise<HandoverResult> =>
      transport.send(await this.#composer.message(due, to, form), to, requireTls);
    let handover = await send(fullest);
    for (const form of lesser) {
      if (handover.kind !== 'refused' || handover.what === 'recipient') break;
      handover = await send(form);
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
    const where = await this.#deps.store.saveForPickup(Buffer.concat(pieces), this.#composer.unique());
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
}

/** Asked once, when the answer is first needed. */
function lazily<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null;
  return () => (answer ??= ask());
}

/** By payload, because Citadel gives a control message a new number whenever it is rewritten. */
function keyOf({ controlMessages: [{ job }] }: FinishedMessage, notice: Notice): string {
  return `${job.msgid} ${whatOf(notice)} ${notice.recipient}`;
}

function jobKeyOf({ control, job: { msgid, submitted } }: QueuedJob): JobKey {
  return { control, msgid, submitted };
}
