/**
 * Problems that last, and warnings that recur: each is told when it begins, and again only when it changes or a day has
 * passed, whichever process meets it again. They are kept in `.spoolroom/alerts`, so that a run from cron does not send the
 * same mail every minute, and `check` can show those that somebody has to end. Only the holder of the queue's lock changes the
 * file. A file that is lost or damaged costs a second warning, nothing else.
 */
import { describeError } from '../platform/system-errors.ts';
import { replaceInState } from '../storage/atomic-file.ts';
import type { Disk } from '../storage/disk.ts';
import type { StateLayout } from '../storage/layout.ts';
import { readStateMap } from '../storage/state-map.ts';

export interface Alert {
  /** Unix seconds */
  readonly since: number;
  /** full sentences */
  readonly text: string;
  /** Unix seconds of the last time; null: it has not lasted long enough, or is logged elsewhere */
  readonly told: number | null;
  /** Unix seconds when it was last met, to within a minute */
  readonly met: number;
}

/** A problem was told for the first time, or one that was told is over. */
export interface AlertChange {
  readonly has: 'begun' | 'ended';
  readonly key: string;
  /** full sentences */
  readonly text: string;
  /** Unix seconds */
  readonly since: number;
}

/** The oldest are forgotten, and long texts are cut, so that the file stays below its bound. */
const MOST = 1000;
const LONGEST_TEXT = 500;
/** Seconds after which a problem that is still there is told again. */
const DAY = 86_400;

/** Keys of warnings that nothing ends but time. */
const RECURRING = 'warning: ';
/** Keys of reports to senders that wait: these end when the report is sent. */
export const REPORT = 'report ';
/** Keys of relays that do not take our mail. */
export const RELAY = 'relay ';
/** Key of the sessions that silent hosts took from others. */
export const SILENT_HOSTS = 'silent hosts';
/** Key of the name servers that do not answer. */
export const NAME_SERVERS = 'name servers';
const MAY_PASS = [RECURRING, REPORT, SILENT_HOSTS, NAME_SERVERS];
/** Seconds after which what nobody met again is no matter of now. */
export const LATELY = 900;
/** Seconds between two times that it is written that a problem was met again. */
const MINUTE = 60;

/** By key. None where there is no file, or none that can be read. */
export function readAlerts(disk: Disk, { alerts }: StateLayout): ReadonlyMap<string, Alert> {
  return readStateMap(disk, alerts, isAlert);
}

function isAlert(value: unknown): value is Alert {
  if (typeof value !== 'object' || value === null) return false;
  const { since, text, told, met } = value as { readonly [name: string]: unknown };
  const isTold = told === null || typeof told === 'number';
  return typeof since === 'number' && typeof text === 'string' && isTold && typeof met === 'number';
}

export class Alerts {
  readonly #disk: Disk;
  readonly #layout: StateLayout;
  readonly #now: () => number;
  readonly #warn: (text: string) => void;
  #alerts: Map<string, Alert>;
  /** those of this process before it held the queue; null: it does */
  #before: Map<string, Alert> | null = new Map();
  #unwritable = false;
  #listener: (change: AlertChange) => void = () => {};

  /**
   * @param now Unix seconds
   * @param warn tells at once, whatever was told before
   */
  constructor(disk: Disk, layout: StateLayout, now: () => number, warn: (text: string) => void) {
    this.#disk = disk;
    this.#layout = layout;
    this.#now = now;
    this.#warn = warn;
    this.#alerts = new Map(readAlerts(disk, layout));
  }

  /** The queue is ours: what other processes wrote meanwhile counts, and what was told so far is written. */
  hold(): void {
    const own = [...(this.#before ?? [])];
    this.#alerts = new Map([...readAlerts(this.#disk, this.#layout), ...own]);
    this.#before = null;
    if (own.length > 0) this.#write();
  }

  /** What happens from now on with problems, warnings that recur not among them. */
  listen(listener: (change: AlertChange) => void): void {
    this.#listener = listener;
  }

  /** Whether the problem was there when it was last looked for. */
  has(key: string): boolean {
    return this.#alerts.has(key);
  }

  /** Whether any problem with such a key was there. */
  some(isMeant: (key: string) => boolean): boolean {
    return [...this.#alerts.keys()].some(isMeant);
  }

  /** The problem is there. It is told when it has lasted `after` seconds. */
  raise(key: string, text: string, after = 0): void {
    const since = this.#alerts.get(key)?.since ?? this.#now();
    const isNews = this.#now() - since >= after && this.#isNews(key);
    const isFirst = isNews && (this.#alerts.get(key)?.told ?? null) === null;
    if (isNews || this.#isDueToWrite(key)) this.#put(key, text, isNews ? this.#now() : null, since);
    if (isNews) this.#warn(text);
    // Written before: a process that ends now does not tell it again.
    if (isFirst) this.#listener({ has: 'begun', key, text: text.slice(0, LONGEST_TEXT), since });
  }

  /** The problem is there, and is told elsewhere. What was not met lately begins anew. */
  note(key: string, text: string): void {
    const known = this.#alerts.get(key);
    const goesOn = known !== undefined && this.#now() - known.met <= LATELY;
    this.#put(key, text, null, goesOn ? known.since : this.#now());
  }

  /** Whether this warning is to be told now. What changes makes another one of it. */
  isNews(warning: string): boolean {
    const key = `${RECURRING}${warning.slice(0, LONGEST_TEXT)}`;
    if (!this.#isNews(key)) return false;
    this.#put(key, '', this.#now());
    return true;
  }

  /** The problems with these keys are over. */
  clear(isOver: (key: string) => boolean): void {
    const over: [string, Alert][] = [];
    for (const each of this.#alerts) if (isOver(each[0])) over.push(each);
    for (const [key] of over) this.#alerts.delete(key);
    if (over.length > 0) this.#write();
    for (const [key, { text, since, told }] of over)
      if (told !== null) this.#listener({ has: 'ended', key, text, since });
  }

  /** A time that lies ahead was told by a clock that was wrong. */
  #isNews(key: string): boolean {
    const told = this.#alerts.get(key)?.told ?? null;
    return told === null || told > this.#now() || this.#now() - told >= DAY;
  }

  #isDueToWrite(key: string): boolean {
    const known = this.#alerts.get(key);
    return known === undefined || Math.abs(this.#now() - known.met) >= MINUTE;
  }

  #put(
    key: string,
    text: string,
    told: number | null,
    since = this.#alerts.get(key)?.since ?? this.#now(),
  ): void {
    const before = this.#alerts.get(key)?.told ?? null;
    this.#alerts.delete(key);
    const alert = {
      since,
      text: text.slice(0, LONGEST_TEXT),
      told: told ?? before,
      met: this.#now(),
    };
    this.#alerts.set(key, alert);
    this.#before?.set(key, alert);
    const [oldest = ''] = this.#alerts.size > MOST ? this.#alerts.keys() : [];
    this.#alerts.delete(oldest);
    this.#write();
  }

  /** What nobody has met again for two days is over, though nobody saw it end. */
  #isPast([key, { met }]: readonly [string, Alert]): boolean {
    const mayPass = MAY_PASS.some((begin) => key.startsWith(begin));
    return mayPass && this.#now() - met > 2 * DAY;
  }

  #write(): void {
    const { alerts } = this.#layout;
    try {
      if (this.#before !== null) return;
      const kept = [...this.#alerts].filter((entry) => !this.#isPast(entry));
      replaceInState(this.#disk, this.#layout, alerts, `${JSON.stringify(Object.fromEntries(kept))}\n`);
    } catch (error) {
      if (this.#unwritable) return;
      this.#unwritable = true;
      this.#warn(`${alerts} cannot be written, so warnings may be repeated: ${describeError(error)}.`);
    }
  }
}
