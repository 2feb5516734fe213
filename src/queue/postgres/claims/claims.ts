/**
 * What this process has claimed, and how it claims more. A message that is claimed and not in hand any more goes back, with its
 * control messages up to date. Where a lease has ended, everything under it is lost at once: its attempts end without an outcome,
 * and what a server accepted meanwhile is recorded late.
 */

import { applyChanges } from '../../../delivery-list/apply.ts';
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import { controlTextOf } from '../../../message/stored.ts';
import type { Clock } from '../../../platform/clock.ts';
import { classifyContents } from '../../control-message.ts';
import type { ActivePayloads } from '../../queue.ts';
import type { Row } from '../database/database.ts';
import { type ClaimedJob, claimedJob, JOB_COLUMNS } from './claimed-job.ts';
import { type FoldDeps, fold } from './fold.ts';
import { applyRows, OUTCOME_COLUMNS, type Outcomes } from './outcomes.ts';

export interface ClaimsDeps extends FoldDeps {
  readonly outcomes: Outcomes;
  readonly clock: Clock;
  readonly options: ParseOptions;
  /** gets full sentences for people */
  readonly warn: (text: string) => void;
  /** Unix seconds that count as the present; null: the database's clock */
  readonly present: () => number | null;
}

export interface Claimed {
  readonly jobs: readonly ClaimedJob[];
  /** more may be due than was claimed */
  readonly more: boolean;
}

const CLAIMED = 'taken::float8[] AS taken, more';

/** Milliseconds. */
const HOUR = 3_600_000;

type Message = readonly ClaimedJob[];

export class Claims {
  readonly #deps: ClaimsDeps;
  /** by payload */
  readonly #messages = new Map<MessageNumber, Message>();
  readonly #jobs = new Map<MessageNumber, ClaimedJob>();
  /** by payload: claimed under a lease that has ended, and still in hand */
  readonly #lost = new Map<MessageNumber, Message>();
  /** A claim may have been made whose answer did not come. */
  #isUncertain = false;
  /** monotonic milliseconds */
  #purgeAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ClaimsDeps) {
    this.#deps = deps;
  }

  /** Whether it is ours for as long as the end of a message takes. */
  isSafe(payload: MessageNumber): boolean {
    return this.#messages.has(payload) && this.#deps.lease.isSafe;
  }

  job(control: MessageNumber): ClaimedJob | undefined {
    return this.#jobs.get(control);
  }

  /** A job that was claimed under a lease that has ended. */
  lostJob(control: MessageNumber): ClaimedJob | undefined {
    for (const message of this.#lost.values())
      for (const job of message) if (job.control === control) return job;
    return undefined;
  }

  get jobs(): Iterable<ClaimedJob> {
    return this.#jobs.values();
  }

  /** The database says that somebody else has it, or that it is gone. */
  lose(payload: MessageNumber): void {
    const message = this.#messages.get(payload);
    if (message === undefined) return;
    this.#lost.set(payload, message);
    this.#forget(payload);
  }

  /** One of its jobs has ended. The message may have another one since, and goes back for that. */
  end({ control, message: payload }: ClaimedJob): void {
    this.#jobs.delete(control);
    const left = this.#messages.get(payload)?.filter((job) => job.control !== control) ?? [];
    this.#messages.set(payload, left);
  }

  /** `all`: whatever its time says. */
  async claim(most: number, inHand: ActivePayloads, all: boolean): Promise<Claimed> {
    const { database, lease, present } = this.#deps;
    const before = lease.epoch;
    const epoch = await lease.hold();
    if (epoch !== before) this.#loseAll();
    await this.saveLate();
    for (const payload of this.#lost.keys()) if (!inHand.has(payload)) this.#lost.delete(payload);
    await this.#putBack([...this.#messages.keys()].filter((payload) => !inHand.has(payload)));
    await this.#putBackUnknown(epoch);
    this.#isUncertain = true;
    await database.query('SELECT spoolroom.reap($1)', [present()]);
    await this.#purge();
    const unwanted = [...this.#lost.keys()];
    const [answer] = all
      ? await database.query(`SELECT ${CLAIMED} FROM spoolroom.claim_all($1, $2, $3)`, [
          epoch,
          most,
          unwanted,
        ])
      : await database.query(`SELECT ${CLAIMED} FROM spoolroom.claim($1, $2, $3, $4)`, [
          ...[epoch, most, present(), unwanted],
        ]);
    const taken = answer?.taken as readonly MessageNumber[] | null;
    if (taken === null) {
      lease.lost(epoch);
      this.#loseAll();
      return { jobs: [], more: true };
    }
    const jobs = await this.#read(taken);
    this.#isUncertain = false;
    return { jobs, more: answer?.more === true };
  }

  /** Everything goes back. */
  async close(): Promise<void> {
    await this.saveLate();
    if (this.#deps.lease.epoch !== null) await this.#putBack([...this.#messages.keys()]);
  }

  /** Outcomes of what was lost: those that are facts. */
  async saveLate(): Promise<void> {
    for (const message of this.#lost.values())
      for (const job of message) if (job.unsaved.length > 0) await this.saveJobLate(job);
  }

  /** True: all that servers accepted is recorded. */
  async saveJobLate(job: ClaimedJob): Promise<boolean> {
    const { outcomes, warn } = this.#deps;
    const twice = await outcomes.saveLate(job);
    if (twice.length > 0)
      warn(
        `Job ${job.control} was delivered twice to ${twice.length === 1 ? 'a recipient' : `${twice.length} recipients`}: the claim of this process ` +
          'had ended while a server took the message, and another process had sent it as well.',
      );
    return twice.length === 0;
  }

  #loseAll(): void {
    for (const payload of [...this.#messages.keys()]) this.lose(payload);
  }

  #forget(payload: MessageNumber): void {
    for (const { control } of this.#messages.get(payload) ?? []) this.#jobs.delete(control);
    this.#messages.delete(payload);
  }

  async #putBack(payloads: readonly MessageNumber[]): Promise<void> {
    if (payloads.length === 0) return;
    const { database, present, outcomes, lease } = this.#deps;
    const jobs = payloads.flatMap((payload) => this.#messages.get(payload) ?? []);
    const saved = await Promise.all(jobs.map(async (job) => [job, await outcomes.save(job)] as const));
    for (const [{ message }, isSaved] of saved) if (!isSaved) this.lose(message);
    await this.saveLate();
    const ours = payloads.filter((payload) => this.#messages.has(payload));
    await fold(
      this.#deps,
      ours.flatMap((payload) => this.#messages.get(payload) ?? []),
    );
    await database.repeatable(
      'SELECT spoolroom.put_back(ARRAY(SELECT id FROM spoolroom.message WHERE id = ANY ($1) AND claim = $2 FOR UPDATE), $3)',
      [ours, lease.epoch ?? 0, present()],
    );
    for (const payload of ours) this.#forget(payload);
  }

  async #purge(): Promise<void> {
    const { clock, database } = this.#deps;
    if (clock.monotonic() < this.#purgeAt) return;
    this.#purgeAt = clock.monotonic() + HOUR;
    await database.query('SELECT spoolroom.purge()');
  }

  async #putBackUnknown(epoch: number): Promise<void> {
    if (!this.#isUncertain) return;
    const { database, present } = this.#deps;
    await database.repeatable(
      'SELECT spoolroom.put_back(ARRAY(SELECT id FROM spoolroom.message WHERE claim = $1 AND id <> ALL ($2) FOR UPDATE), $3)',
      [epoch, [...this.#messages.keys()], present()],
    );
    this.#isUncertain = false;
  }

  /** After the claim: what others wrote before it is in there. */
  async #read(payloads: readonly MessageNumber[]): Promise<readonly ClaimedJob[]> {
    if (payloads.length === 0) return [];
    const { database, options, warn } = this.#deps;
    const rows = await database.repeatable(
      `SELECT ${JOB_COLUMNS} FROM spoolroom.job WHERE message = ANY ($1) AND request IS DISTINCT FROM 'remove' ORDER BY control`,
      [payloads],
    );
    const jobs = rows.flatMap((row) => {
      const job = claimedJob(row, options);
      if (typeof job !== 'string') return [job];
      warn(`Job ${row.control} in ${database.name} cannot be read: ${job}. It is left as it is.`);
      return [];
    });
    await this.#applyKnown(jobs);
    for (const job of jobs) {
      this.#jobs.set(job.control, job);
      this.#messages.set(job.message, [...(this.#messages.get(job.message) ?? []), job]);
    }
    return jobs;
  }

  /** Outcomes that a process left when it died are written first, as if it had done so, and the lists read again. */
  async #applyKnown(jobs: readonly ClaimedJob[]): Promise<void> {
    const { database, options } = this.#deps;
    const known = await database.repeatable(
      `SELECT ${OUTCOME_COLUMNS} FROM spoolroom.outcome WHERE control = ANY ($1)`,
      [jobs.map(({ control }) => control)],
    );
    if (known.length === 0) return;
    const byControl = new Map<unknown, Row[]>();
    for (const row of known) byControl.set(row.control, [...(byControl.get(row.control) ?? []), row]);
    const behind = jobs.filter((job) => byControl.has(job.control));
    for (const job of behind) applyRows(job, byControl.get(job.control) ?? []);
    await fold(this.#deps, behind);
    for (const job of behind) begin(job, options);
  }
}

/** From here on: what was known before belongs to the list. */
function begin(job: ClaimedJob, options: ParseOptions): void {
  const isWritten = job.written === job.changes.length;
  const read = classifyContents(job.list, true, options);
  if (isWritten && read.kind === 'control' && controlTextOf(job.list) !== null)
    Object.assign(job, { base: read.job });
  else Object.assign(job, { base: applyChanges(job.base, job.changes) });
  job.changes.length = 0;
  job.written = 0;
}
