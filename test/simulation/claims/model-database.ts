/**
 * A model of the database's transactions: what each statement of src/queue/postgres does, in one instant, to tables in memory. A
 * request takes time to arrive and its answer to come back; when the database dies in between, the answer is lost and the work is not.
 */
import { UnavailableError } from '../../../src/platform/system-errors.ts';
import { hashOf } from '../../../src/queue/postgres/claims/claimed-job.ts';
import type { Row, Statements } from '../../../src/queue/postgres/database/database.ts';
import type { VirtualClock } from '../../../src/replay/world/virtual-clock.ts';
import { type AskedShare, ModelShares } from './model-shares.ts';
import type { ProcessClock } from './process-clock.ts';
import { STATEMENTS, WITHOUT_EFFECT } from './statements.ts';

interface Message {
  claim: number | null;
  due: number;
  readonly bytes: Buffer;
}

export interface ModelJob {
  readonly control: number;
  readonly message: number;
  list: Buffer;
  due: number;
}

export interface Outcome {
  readonly control: number;
  readonly address: Buffer;
  readonly nth: number;
  status: number;
  text: Buffer;
  at: number;
}

export type Values = readonly unknown[];
export type Answer = readonly Row[];
/** The arguments of `unnest`. */
export type Columns = readonly (readonly never[])[];

type Heard = (text: string) => void;

interface Ear {
  readonly clock: ProcessClock;
  readonly heard: Heard;
  readonly ended: () => void;
}

export class ModelDatabase {
  readonly messages = new Map<number, Message>();
  readonly jobs = new Map<number, ModelJob>();
  readonly outcomes = new Map<string, Outcome>();
  /** end of the lease by epoch, with the name and start of its machine */
  readonly workers = new Map<number, { until: number; readonly who: string }>();
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #listening = new Set<Ear>();
  readonly shares: ModelShares;
  #ticks = 0;
  #epochs = 0;
  #deaths = 0;
  isUp = true;

  constructor(clock: VirtualClock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
    this.shares = new ModelShares({
      isAlive: (epoch) => this.isAlive(epoch),
      now: () => this.now() + ++this.#ticks / 1e6,
      notify: (text) => this.notify(text),
    });
  }

  isAlive(epoch: number): boolean {
    return (this.workers.get(epoch)?.until ?? 0) > this.now();
  }

  die(): void {
    this.isUp = false;
    this.#deaths++;
    for (const { clock, ended } of this.#listening) clock.deliver(ended);
    this.#listening.clear();
  }

  /** Some never arrive. */
  notify(text: string): void {
    for (const { clock, heard } of this.#listening)
      if (this.#random() < 0.8) this.#clock.after(this.#delay(), () => clock.deliver(() => heard(text)));
  }

  /** As a process sees it. */
  connection(clock: ProcessClock) {
    const send = <T>(work: () => T | Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        const lost = (): void => reject(new UnavailableError('The database is away.'));
        const arrive = async (): Promise<void> => {
          if (!this.isUp) {
            clock.after(this.#delay(), lost);
            return;
          }
          const deaths = this.#deaths;
          const done = await work();
          clock.after(this.#delay(), () => (deaths === this.#deaths ? resolve(done) : lost()));
        };
        this.#clock.after(this.#delay(), () => void arrive().catch(reject));
      });
    const query: Statements['query'] = (text, values = []) => send(() => this.#perform(text, values));
    const repeatable: Statements['query'] = (text, values) =>
      query(text, values).catch(() => query(text, values));
    const inside: Statements = { query: async (text, values = []) => this.#perform(text, values) };
    const transaction = <T>(work: (statements: Statements) => Promise<T>): Promise<T> =>
      send(() => work(inside));
    const listen = async (_: string, heard: Heard, ended: () => void): Promise<void> => {
      await query('LISTEN');
      this.#listening.add({ clock, heard, ended });
    };
    return { name: 'model', query, repeatable, transaction, listen, close: async () => {} };
  }

  put(message: number, control: number, list: Buffer, bytes: Buffer): void {
    this.messages.set(message, { claim: null, due: 0, bytes });
    this.jobs.set(control, { control, message, list, due: 0 });
  }

  #delay(): number {
    return 1 + 40 * this.#random();
  }

  /** Unix seconds */
  now(): number {
    return this.#clock.now() / 1000;
  }

  #perform(text: string, values: Values): Answer {
    if (WITHOUT_EFFECT.test(text)) return [];
    const found = STATEMENTS.find(([pattern]) => text.includes(pattern));
    if (found === undefined) throw new Error(`the model has no statement: ${text}`);
    return found[1](this, ...values);
  }

  endWorkers(ended: ReadonlySet<number>): void {
    for (const epoch of ended) this.workers.delete(epoch);
    this.shares.end(ended);
    this.putBack(
      [...this.messages].flatMap(([id, { claim }]) => (claim !== null && ended.has(claim) ? [id] : [])),
    );
  }

  enter(who: string, seconds: number): number {
    this.endWorkers(
      new Set([...this.workers].flatMap(([epoch, known]) => (known.who === who ? [epoch] : []))),
    );
    this.workers.set(++this.#epochs, { until: this.now() + seconds, who });
    return this.#epochs;
  }

  renew(epoch: number, seconds: number): boolean {
    const worker = this.workers.get(epoch);
    if (worker === undefined || worker.until <= this.now()) return false;
    worker.until = this.now() + seconds;
    return true;
  }

  share(epoch: number, request: number, seconds: number, columns: Columns): Answer {
    const [places = [], limits = [], keeps = [], needs = [], aheads = []] = columns;
    const asked = places.map(
      (place, at): AskedShare => ({
        ...{ place, limit: limits[at] ?? 0, keep: keeps[at] ?? 0, need: needs[at] ?? 0 },
        ahead: aheads[at] ?? 0,
      }),
    );
    const granted = this.shares.share(epoch, request, seconds, asked);
    return [
      { granted: granted?.map(([grant]) => grant) ?? null, contested: granted?.map(([, is]) => is) ?? null },
    ];
  }

  reap(): Answer {
    this.endWorkers(
      new Set([...this.workers].flatMap(([epoch, { until }]) => (until < this.now() ? [epoch] : []))),
    );
    return [];
  }

  putBack(ids: readonly number[]): Answer {
    for (const id of ids) {
      const message = this.messages.get(id);
      if (message === undefined) continue;
      message.claim = null;
      message.due = Math.max(...this.jobsOf(id).map(({ due }) => due));
    }
    return [];
  }

  claim(epoch: number, most: number, unwanted: readonly number[]): { taken: number[] | null; more: boolean } {
    const worker = this.workers.get(epoch);
    if (worker === undefined || worker.until <= this.now()) return { taken: null, more: false };
    const due = [...this.messages].filter(
      ([id, { claim, due: at }]) => claim === null && at <= this.now() && !unwanted.includes(id),
    );
    const taken = due.slice(0, most).map(([id]) => id);
    for (const id of taken) (this.messages.get(id) as Message).claim = epoch;
    return { taken, more: due.length > most };
  }

  jobsOf(message: number): readonly ModelJob[] {
    return [...this.jobs.values()].filter((job) => job.message === message);
  }

  isMine(control: number, epoch: number): boolean {
    const job = this.jobs.get(control);
    return job !== undefined && this.messages.get(job.message)?.claim === epoch;
  }

  upsert(rows: readonly Outcome[]): Answer {
    for (const row of rows) {
      const key = keyOf(row);
      if ((this.outcomes.get(key)?.status ?? 4) === 4) this.outcomes.set(key, row);
    }
    return [];
  }

  fold(epoch: number, columns: Columns): number[] {
    const [
      controls = [],
      hashes = [],
      lists = [],
      dues = [],
      of = [],
      addresses = [],
      nths = [],
      statuses = [],
    ] = columns;
    const written: number[] = [];
    for (const [at, control] of controls.entries()) {
      const job = this.jobs.get(control);
      if (job === undefined || !this.isMine(control, epoch) || hashOf(job.list) !== hashes[at]) continue;
      Object.assign(job, { list: lists[at], due: dues[at] });
      written.push(control);
    }
    for (const [at, control] of of.entries()) {
      const key = keyOf({ control, address: addresses[at] ?? Buffer.alloc(0), nth: nths[at] ?? 0 });
      if (written.includes(control) && this.outcomes.get(key)?.status === statuses[at])
        this.outcomes.delete(key);
    }
    return written;
  }

  finish(epoch: number, controls: readonly number[], hashes: readonly string[]): number[] {
    const over = controls.filter((control, at) => {
      const job = this.jobs.get(control);
      return job !== undefined && this.isMine(control, epoch) && hashOf(job.list) === hashes[at];
    });
    for (const control of over) {
      const { message } = this.jobs.get(control) as ModelJob;
      this.jobs.delete(control);
      for (const [key, row] of this.outcomes) if (row.control === control) this.outcomes.delete(key);
      if (this.jobsOf(message).length === 0) this.messages.delete(message);
    }
    return over;
  }
}

function keyOf({ control, address, nth }: Pick<Outcome, 'control' | 'address' | 'nth'>): string {
  return `${control} ${nth} ${address.toString('latin1')}`;
}
