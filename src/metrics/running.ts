/**
 * The metrics of a process that delivers or listens: counts while it works, keeps the counters for the next process, and gives
 * their text at any time. Nothing here stops mail: what cannot be written is told once.
 */
import type { Observer } from '../delivery/trace.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { Log } from '../output/log/log.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import type { QueueScan, QueueState } from '../queue/queue.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import type { Alerts } from '../runner/alerts.ts';
import type { DeliveryEvents } from '../runner/deliveries.ts';
import { readThrottled } from '../runner/throttling/throttle-store.ts';
import type { Settings } from '../settings/table.ts';
import type { Disk } from '../storage/disk.ts';
import { layoutOf } from '../storage/layout.ts';
import { countLine, outcomeCounter, traceCounter } from './counting.ts';
import { type CounterStore, counterStore, replaceTextFile, timedDisk } from './files.ts';
import { type CountedScan, type PayloadFiles, queueState } from './queue-state.ts';
import { Recent } from './recent.ts';
import type { Part } from './table.ts';
import { hasThresholds, judge } from './thresholds.ts';
import { type Format, Metrics } from './values.ts';

export interface RunningDeps {
  /** the spool or state directory */
  readonly home: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
  /** how many control messages are set aside */
  readonly quarantined: () => number;
  readonly parts: readonly Part[];
  /** for node_exporter; null: none */
  readonly file: string | null;
  /** what is too much */
  readonly settings: Settings;
  /** the payloads are files of that directory */
  readonly isSpool: boolean;
}

/** Milliseconds from one file to the next while a process runs. */
const INTERVAL = 60_000;

/** Milliseconds for which an answer of the queue is used again. */
const FRESH = 5000;

/** When the counters of a part began. */
const SINCE_METRICS = {
  queue: 'spoolroom_counters_start_timestamp_seconds',
  intake: 'spoolroom_smtpd_counters_start_timestamp_seconds',
} as const;

export class RunningMetrics {
  readonly #deps: RunningDeps;
  readonly #stores: readonly (readonly [Part, CounterStore])[];
  readonly #metrics = new Metrics();
  readonly #recent: Recent;
  #alerts: Alerts | null = null;
  /** of the payloads in the queue when they were last looked at: they do not change */
  #sizes: ReadonlyMap<MessageNumber, number> = new Map();
  /** of the directory that was opened */
  #inode: number | null = null;
  #scan: QueueScan | null = null;
  /** null: scans say it */
  #ask: ((now: number) => Promise<QueueState>) | null = null;
  #asked: { readonly at: number; readonly state: QueueState } | null = null;
  #timer: Timer | null = null;
  #warned = false;

  constructor(deps: RunningDeps) {
    this.#deps = deps;
    const { disk, home, parts, settings } = deps;
    this.#recent = new Recent(Math.ceil(settings['alert.window'] / 1000));
    this.#stores = parts.map((part) => [part, counterStore(disk, home, part)]);
  }

  /** The queue is ours: what other processes counted before is part of it. `alerts`: what is too much becomes one of them. */
  hold(alerts: Alerts | null): void {
    this.#alerts = alerts;
    this.#inode = this.#inodeNow();
    for (const [part, store] of this.#stores) {
      const before = store.read();
      this.#metrics.restore(part, before);
      if (part === 'queue') this.#recent.restore(before);
      const began = SINCE_METRICS[part];
      if (!this.#metrics.has(began)) this.#metrics.set(began, this.#seconds(), {});
    }
  }

  /** Of a run. */
  get counter(): Pick<DeliveryEvents, 'outcome'> & { readonly observer: Observer } {
    const count = outcomeCounter(this.#metrics);
    const outcome = (record: OutcomeRecord): void => {
      const now = this.#seconds();
      count(record, now);
      if (record.status !== 4) this.#recent.add(record.status === 5, now);
    };
    return { outcome, observer: traceCounter(this.#metrics) };
  }

  /** A log, counted. */
  counted(log: Log): Log {
    return {
      ...log,
      write: (line) => {
        countLine(this.#metrics, line);
        log.write(line);
      },
    };
  }

  /** For the journal. */
  get journalDisk(): Disk {
    const { disk, clock } = this.#deps;
    const observe = this.#metrics.histogram('spoolroom_journal_sync_duration_seconds', {});
    return timedDisk(disk, clock.monotonic, (milliseconds) => observe(milliseconds / 1000));
  }

  readonly scanned = (scan: QueueScan): void => {
    this.#scan = scan;
  };

  /** The queue itself says what is in it, where no scan finds all of that. */
  askQueue(ask: (now: number) => Promise<QueueState>): void {
    this.#ask = ask;
  }

  /** What the queue says now, or said a few seconds ago. That it cannot be asked is told by those who deliver from it. */
  async refresh(): Promise<void> {
    const at = this.#deps.clock.monotonic();
    if (this.#ask === null || (this.#asked !== null && at - this.#asked.at < FRESH)) return;
    try {
      this.#asked = { at, state: await this.#ask(this.#seconds()) };
    } catch (error) {
      if (!isOperationalError(error)) throw error;
    }
  }

  /** The same, after a run. That it cannot be read now is told by the next one. */
  async lookAgain(scan: () => Promise<QueueScan>): Promise<void> {
    try {
      this.scanned(await scan());
    } catch (error) {
      if (!isOperationalError(error)) throw error;
    }
  }

  /** The queue was read, and what was due is done or in progress. */
  succeeded(): void {
    this.#metrics.set('spoolroom_run_last_success_timestamp_seconds', this.#seconds(), {});
  }

  /** `milliseconds`: of the queue run */
  runEnded(milliseconds: number): void {
    this.#metrics.set('spoolroom_run_duration_seconds', milliseconds / 1000, {});
    this.succeeded();
  }

  /** As of the last scan or answer; null: there was none. */
  queueState(): QueueState | null {
    if (this.#ask !== null) return this.#asked?.state ?? null;
    if (this.#scan === null) return null;
    const { disk, home, isSpool } = this.#deps;
    if (!isSpool) return queueState(this.#scan, this.#seconds(), null);
    const sizes = new Map<MessageNumber, number>();
    const state = queueState(this.#scan, this.#seconds(), payloadFiles(disk, home, this.#sizes, sizes));
    this.#sizes = sizes;
    return state;
  }

  text(format: Format): string {
    const { parts } = this.#deps;
    if (parts.includes('queue')) setState(this.#metrics, this.queueState(), this.#deps);
    return this.#metrics.text(parts, format);
  }

  /** Saves once in a minute, until `close`. Only the holder of the queue does. */
  start(): void {
    this.#timer = this.#deps.clock.after(INTERVAL, () => {
      this.start();
      if (this.#ask === null) this.#tick();
      else void this.refresh().then(() => this.#tick());
    });
  }

  #tick(): void {
    if (this.#timer === null) return;
    this.#judge();
    this.save();
  }

  /** The counters are kept, and the file is written. While the queue is ours. */
  save(): void {
    const { file } = this.#deps;
    // What took its place has counters of its own.
    if (this.#inodeNow() === this.#inode) this.#store();
    if (file === null) return;
    try {
      replaceTextFile(file, this.text('prometheus'));
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      if (this.#warned) return;
      this.#warned = true;
      this.#deps.warn(
        `The metrics cannot be written to ${file}: ${describeError(error)}. Mail is delivered nevertheless.`,
      );
    }
  }

  /** `isStopping`: there is no time to tell of what is too much, and the next process does */
  close(isStopping = false): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (!isStopping) this.#judge();
    this.save();
  }

  #store(): void {
    for (const [part, store] of this.#stores) {
      const recent = part === 'queue' ? this.#recent.entries() : [];
      store.write(new Map([...this.#metrics.entries(part), ...recent]));
    }
  }

  #inodeNow(): number | null {
    const { disk, home } = this.#deps;
    return disk.status(`${home}/.`)?.ino ?? null;
  }

  #judge(): void {
    const { home, settings } = this.#deps;
    if (this.#alerts === null || !hasThresholds(settings)) return;
    const share = this.#recent.share(this.#seconds());
    judge(settings, { home, state: this.queueState(), share }, this.#alerts);
  }

  #seconds(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}

/** For a process that only looks on: the counters that others keep, and the state of the queue as it was found. */
export function metricsBeside(
  state: StateDeps,
  found: CountedScan | QueueState,
  /** Unix seconds */
  now: number,
  format: Format,
): string {
  const { disk, home } = state;
  const parts = ['queue', 'intake'] as const;
  const metrics = new Metrics();
  for (const part of parts) metrics.restore(part, counterStore(disk, home, part).read());
  const seen = 'jobs' in found ? queueState(found, now, payloadFiles(disk, home)) : found;
  setState(metrics, seen, state);
  return metrics.text(parts, format);
}

type StateDeps = Pick<RunningDeps, 'disk' | 'home' | 'quarantined'>;

function setState(metrics: Metrics, state: QueueState | null, { disk, home, quarantined }: StateDeps): void {
  metrics.set('spoolroom_queue_quarantined_jobs', quarantined() + (state?.unreadable ?? 0), {});
  const throttled = state?.throttled ?? readThrottled(disk, layoutOf(home)).size;
  metrics.set('spoolroom_queue_throttled_groups', throttled, {});
  if (state === null) return;
  for (const status of ['new', 'deferred', 'held'] as const)
    metrics.set('spoolroom_queue_jobs', state[status], { status });
  metrics.set('spoolroom_queue_oldest_age_seconds', state.oldest, {});
  if (state.bytes !== null) metrics.set('spoolroom_queue_size_bytes', state.bytes, {});
}

/** What is `known` is not looked at again; `seen` gets what was asked for. */
function payloadFiles(
  disk: Disk,
  home: string,
  known: ReadonlyMap<MessageNumber, number> = new Map(),
  seen = new Map<MessageNumber, number>(),
): PayloadFiles {
  const { message } = layoutOf(home);
  const fileOf = (payload: MessageNumber) => disk.status(message(payload));
  return {
    sizeOf: (payload) => {
      const size = known.get(payload) ?? fileOf(payload)?.size ?? 0;
      seen.set(payload, size);
      return size;
    },
    timeOf: (payload) => {
      const file = fileOf(payload);
      return file === null ? null : Math.floor(file.mtimeMs / 1000);
    },
  };
}
