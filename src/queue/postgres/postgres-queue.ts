/**
 * A queue in PostgreSQL. Any number of processes on any number of machines take jobs from it; what one has claimed is its own
 * until it gives it back or its lease ends. An outcome is durable when its transaction is committed; there is no journal beside.
 */
import type { MessageNumber, StatusChange } from '../../delivery-list/job.ts';
import { oneField } from '../../delivery-list/serialise.ts';
import { isOperationalError, QueueError } from '../../platform/system-errors.ts';
import type { Claim } from '../../storage/lock.ts';
import { currentJob, hasNoPendingRecipients } from '../pending-job.ts';
import type {
  ActivePayloads,
  Look,
  PayloadResult,
  Queue,
  QueuedJob,
  QueueScan,
  QueueState,
  Recorded,
  Requester,
  SharedValues,
} from '../queue.ts';
import type { Schedule } from '../schedule.ts';
import { readBody } from './bodies.ts';
import type { ClaimedJob } from './claims/claimed-job.ts';
import { Claims, type ClaimsDeps } from './claims/claims.ts';
import { fold } from './claims/fold.ts';
import { Batch } from './database/batch.ts';
import { Notices } from './database/notices.ts';
import { dsnNotes } from './dsn-notes.ts';
import { createEnqueue } from './enqueue.ts';
import { Limits } from './limits/limits.ts';
import { throttledRows } from './limits/throttled.ts';
import { lookAround } from './look.ts';
import { stateOf } from './state.ts';
import { Unreadable } from './unreadable.ts';

export interface PostgresQueueDeps extends ClaimsDeps {
  /** the lock on the state directory */
  readonly claim: Claim;
  /** milliseconds of the lease */
  readonly length: number;
  /** this machine */
  readonly host: string;
}

export class PostgresQueue implements Queue {
  readonly name: string;
  readonly enqueue: Queue['enqueue'];
  readonly notes: ReturnType<typeof dsnNotes>;
  readonly limits: Limits;
  readonly throttled: SharedValues;
  readonly #deps: PostgresQueueDeps;
  readonly #claims: Claims;
  readonly #unreadable: Unreadable;
  readonly #notices: Notices;
  readonly #finish: Batch<ClaimedJob, boolean>;
  #isListening = false;
  #isClosed = false;

  constructor(deps: PostgresQueueDeps) {
    const { database, clock, present } = deps;
    this.name = database.name;
    this.enqueue = createEnqueue(database, clock, present);
    this.#deps = deps;
    this.#claims = new Claims(deps);
    this.notes = dsnNotes(database, (control) => this.#claims.job(control));
    this.#unreadable = new Unreadable(database);
    this.#notices = new Notices(database);
    this.throttled = throttledRows(database, this.#notices);
    this.limits = new Limits({ ...deps, notices: this.#notices });
    this.#finish = new Batch((jobs) => this.#finishAll(jobs));
  }

  listen(changed: () => void): void {
    this.#isListening = true;
    this.#notices.on('due', changed);
  }

  /** Without a schedule: everything that nobody else has and that is not held, whatever its time says. */
  async claim(most: number, active: ActivePayloads, schedule?: Schedule): Promise<QueueScan> {
    const all = schedule === undefined;
    const { jobs, more } = await this.#claims.claim(most, active, all);
    if (this.#isListening) this.#notices.attend();
    return {
      jobs: jobs.map(queuedJob).sort((a, b) => a.control - b.control),
      orphans: all ? await this.#unreadable.orphans() : [],
      quarantined: await this.#unreadable.news(),
      more,
    };
  }

  async retryAll({ by, at }: Requester): Promise<void> {
    const { database, present } = this.#deps;
    await database.repeatable(
      `SELECT spoolroom.ask(ARRAY(SELECT control FROM spoolroom.job WHERE message IS NOT NULL AND request IS NULL), 'retry', $1, $2, $3)`,
      [by, at, present()],
    );
  }

  /** What is there, for people: changes nothing and claims nothing. */
  scan(): Promise<QueueScan> {
    return this.look({});
  }

  look(wanted: Look): Promise<QueueScan> {
    return lookAround(this.#deps, wanted, this.#unreadable);
  }

  state(now: number): Promise<QueueState> {
    return stateOf(this.#deps.database, now);
  }

  mayDeliver(payload: MessageNumber): boolean {
    return this.#claims.isSafe(payload);
  }

  async readPayload(payload: MessageNumber): Promise<PayloadResult> {
    if (this.#isClosed) return { kind: 'unavailable', reason: 'the queue is closed' };
    return readBody(this.#deps.database, payload);
  }

  async record(control: MessageNumber, changes: readonly StatusChange[], now: number): Promise<Recorded> {
    const job = this.#claims.job(control);
    const lost = job === undefined ? this.#claims.lostJob(control) : undefined;
    if (job === undefined && lost === undefined) return 'lost';
    for (const change of changes) note(job ?? lost, change, now);
    try {
      if (job !== undefined && (await this.#deps.outcomes.save(job))) return 'recorded';
      if (job !== undefined) this.#claims.lose(job.message);
      const left = this.#claims.lostJob(control);
      const isFact = changes.every(({ status }) => status === 2);
      return left !== undefined && (await this.#claims.saveJobLate(left)) && isFact ? 'recorded' : 'lost';
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      throw new QueueError(
        `The outcomes for recipients of job ${control} could not be written: ${(error as Error).message} They are kept in memory ` +
          'and written as soon as that is possible; if this process ends before, these recipients may get the message a second time.',
        { cause: error },
      );
    }
  }

  async finish(control: MessageNumber): Promise<void> {
    const job = this.#claims.job(control);
    if (job === undefined || !hasNoPendingRecipients(job)) return;
    if (await this.#finish.add(job)) {
      this.#claims.end(job);
      return;
    }
    // Somebody changed its list by hand: what is in there now counts.
    await fold(this.#deps, [touched(job)]);
    if (hasNoPendingRecipients(job) && (await this.#finish.add(job))) this.#claims.end(job);
    else
      this.#deps.warn(
        `Job ${control} was changed during its delivery, or is not this process's any more. It stays in the queue.`,
      );
  }

  async #finishAll(jobs: readonly ClaimedJob[]): Promise<readonly boolean[]> {
    const { database, lease } = this.#deps;
    const [answer] = await database.query('SELECT spoolroom.finish($1, $2, $3)::float8[] AS over', [
      lease.epoch ?? 0,
      jobs.map(({ control }) => control),
      jobs.map(({ hash }) => hash),
    ]);
    const over = new Set(answer?.over as number[]);
    return jobs.map(({ control }) => over.has(control));
  }

  async flush(): Promise<void> {
    const { outcomes } = this.#deps;
    const jobs = [...this.#claims.jobs];
    const saved = await Promise.all(jobs.map((job) => outcomes.save(job)));
    for (const [index, job] of jobs.entries()) if (saved[index] === false) this.#claims.lose(job.message);
    await this.#claims.saveLate();
    await fold(this.#deps, this.#claims.jobs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.limits.close();
    const { database, lease, claim, present } = this.#deps;
    try {
      await this.#claims.close();
      if (lease.epoch !== null)
        await database.query('SELECT spoolroom.end_workers($1, $2)', [[lease.epoch], present()]);
    } finally {
      lease.stop();
      await database.close();
      claim.release();
    }
  }
}

function note(job: ClaimedJob | undefined, change: StatusChange, now: number): void {
  if (job === undefined) return;
  const told = { ...change, text: oneField(change.text) };
  job.changes.push(told);
  job.unsaved.push(told);
  job.now = now;
}

/** Its list is written once more. */
function touched(job: ClaimedJob): ClaimedJob {
  job.written = 0;
  return job;
}

function queuedJob(job: ClaimedJob): QueuedJob {
  const { control, warnings, asked } = job;
  return { control, job: currentJob(job), warnings, ...asked };
}
