/**
 * Problems that last: each is told once when it begins, whichever process meets it again, and forgotten when it is over. They
 * are kept in `.spoolroom/alerts`, so that a run from cron does not send the same mail every minute, and `check` can show them.
 * Only the holder of the queue's lock changes the file. A file that is lost or damaged costs a second warning, nothing else.
 */
import { describeError } from '../platform/system-errors.ts';
import { removeIfExists } from '../storage/atomic-file.ts';
import type { Disk } from '../storage/disk.ts';
import type { StateLayout } from '../storage/layout.ts';

export interface Alert {
  /** Unix seconds */
  readonly since: number;
  /** full sentences */
  readonly text: string;
  readonly told: boolean;
}

const LARGEST = 1024 * 1024;

/** By key. None where there is no file, or none that can be read. */
export function readAlerts(disk: Disk, { alerts }: StateLayout): ReadonlyMap<string, Alert> {
  try {
    if (disk.status(alerts) === null) return new Map();
    const value: unknown = JSON.parse(disk.read(alerts, LARGEST).bytes.toString('utf8'));
    return new Map(
      Object.entries(value ?? {}).filter((entry): entry is [string, Alert] => isAlert(entry[1])),
    );
  } catch {
    return new Map();
  }
}

function isAlert(value: unknown): value is Alert {
  if (typeof value !== 'object' || value === null) return false;
  const { since, text, told } = value as { readonly [name: string]: unknown };
  return typeof since === 'number' && typeof text === 'string' && typeof told === 'boolean';
}

export class Alerts {
  readonly #disk: Disk;
  readonly #layout: StateLayout;
  readonly #now: () => number;
  readonly #warn: (text: string) => void;
  readonly #alerts: Map<string, Alert>;

  /** @param now Unix seconds */
  constructor(disk: Disk, layout: StateLayout, now: () => number, warn: (text: string) => void) {
    this.#disk = disk;
    this.#layout = layout;
    this.#now = now;
    this.#warn = warn;
    this.#alerts = new Map(readAlerts(disk, layout));
  }

  /** The problem is there. It is told when it has lasted `after` seconds. */
  raise(key: string, text: string, after = 0): void {
    const known = this.#alerts.get(key);
    const since = known?.since ?? this.#now();
    const isNew = known?.told !== true && this.#now() - since >= after;
    if (known !== undefined && !isNew) return;
    this.#alerts.set(key, { since, text, told: isNew });
    if (isNew) this.#warn(text);
    this.#write();
  }

  /** The problems with these keys are over. */
  clear(isOver: (key: string) => boolean): void {
    const over = [...this.#alerts.keys()].filter(isOver);
    for (const key of over) this.#alerts.delete(key);
    if (over.length > 0) this.#write();
  }

  /** Readable and writable for whom the state folder is. */
  #write(): void {
    const { alerts, state } = this.#layout;
    try {
      const folder = this.#disk.status(state);
      if (folder === null) return;
      const { mode, uid, gid } = folder;
      const temporary = `${alerts}.new`;
      removeIfExists(this.#disk, temporary);
      const file = this.#disk.create(temporary, { mode: mode & 0o666, uid, gid });
      file.write(Buffer.from(`${JSON.stringify(Object.fromEntries(this.#alerts))}\n`));
      file.close();
      this.#disk.rename(temporary, alerts);
    } catch (error) {
      this.#warn(`${alerts} cannot be written, so warnings may be repeated: ${describeError(error)}.`);
    }
  }
}
