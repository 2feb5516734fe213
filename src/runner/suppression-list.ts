/**
 * `.spoolroom/suppressed/`: addresses to which nothing is sent for a time, one file each, so that the command and a running
 * watcher can change the list at once. An address comes there by hand, or after several hard bounces in a row where the setting
 * `suppress.after` says so. A message for it is refused at once, and its sender told: nothing vanishes. A file that is damaged
 * counts for nothing.
 */
import type { ByteString } from '../platform/bytes.ts';
import { errorCode, isOperationalError } from '../platform/system-errors.ts';
import type { Failure } from '../smtp/outcome.ts';
import { removeIfExists, replaceInState } from '../storage/atomic-file.ts';
import { crc32 } from '../storage/crc32.ts';
import type { DirectoryEntry, Disk } from '../storage/disk.ts';
import { ensureFolder } from '../storage/folder.ts';
import type { StateLayout } from '../storage/layout.ts';

export interface SuppressedAddress {
  readonly address: ByteString;
  /** Unix seconds */
  readonly since: number;
  /** Unix seconds; until then it counts */
  readonly until: number;
  /** hard bounces in a row; 0: put there by hand */
  readonly bounces: number;
  /** a clause: who put it there, or the last reply */
  readonly why: ByteString;
}

/** As a delivery asks it, wherever it is kept. */
export interface Suppressions {
  /** No address is there, and no bounce was counted: there is nothing to find, and nothing that a delivery would end. */
  readonly isEmpty: boolean;
  /** Looks what is there: before the jobs of a scan are delivered. */
  refresh(): void;
  /** Null: mail for it is sent. */
  find(address: ByteString): SuppressedAddress | null;
  /** A server refused the address for good. */
  bounced(address: ByteString, failure: Failure): void;
  /** A server took a message for it: its bounces are forgotten. */
  delivered(address: ByteString): void;
}

export interface SuppressionRules {
  /** hard bounces in a row after which an address is suppressed; 0: never */
  readonly after: number;
  /** seconds for which it is */
  readonly age: number;
}

const LONGEST = 16 * 1024;
export const LONGEST_WHY = 300;
/** Files at each look. */
const LOOKED_AT = 20;

export class SuppressionList implements Suppressions {
  readonly #disk: Disk;
  readonly #layout: StateLayout;
  readonly #rules: SuppressionRules;
  readonly #now: () => number;
  /** names of files, as of the last `refresh` */
  #names = new Set<string>();

  /** @param now Unix seconds */
  constructor(disk: Disk, layout: StateLayout, rules: SuppressionRules, now: () => number) {
    this.#disk = disk;
    this.#layout = layout;
    this.#rules = rules;
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  /** Looks what is there: before the jobs of a scan are delivered. */
  refresh(): void {
    const files = this.#files().filter(({ name, kind }) => kind === 'file' && !name.endsWith('~'));
    this.#names = new Set(files.map(({ name }) => name));
    this.#removeSomeOfThePast(files);
  }

  /** What is no folder of ours, or closed to this user, counts as empty. */
  #files(): readonly DirectoryEntry[] {
    const { suppressed } = this.#layout;
    try {
      return this.#disk.status(suppressed)?.kind === 'directory' ? this.#disk.list(suppressed) : [];
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      return [];
    }
  }

  /** A few at each look, others each minute: nobody else removes what bounced once and never again. */
  #removeSomeOfThePast(files: readonly DirectoryEntry[]): void {
    const now = this.#now();
    const from = (Math.floor(now / 60) * LOOKED_AT) % Math.max(1, files.length);
    for (const { name } of files.slice(from, from + LOOKED_AT)) {
      const entry = this.#readFile(name);
      if (entry !== null && entry.until < now) this.#forget(name);
    }
  }

  /** A file that cannot be removed goes on to count, and stops no outcome. */
  #forget(name: string): void {
    try {
      removeIfExists(this.#disk, `${this.#layout.suppressed}/${name}`);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
    }
  }

  /** Null: mail for it is sent. */
  find(address: ByteString): SuppressedAddress | null {
    const entry = this.#read(address);
    return entry === null || !this.#counts(entry) ? null : entry;
  }

  /** Those that count now, by address. */
  all(): readonly SuppressedAddress[] {
    const entries = [...this.#names].flatMap((name) => this.#readFile(name) ?? []);
    return entries.filter((entry) => this.#counts(entry)).sort((a, b) => (a.address < b.address ? -1 : 1));
  }

  /** By hand. Throws where the disk does not take it. */
  add(address: ByteString, given: ByteString, seconds = this.#rules.age): SuppressedAddress {
    const since = this.#now();
    const why = given.slice(0, LONGEST_WHY);
    return this.#write({ address: folded(address), since, until: since + seconds, bounces: 0, why });
  }

  /** False: it was not there. */
  remove(address: ByteString): boolean {
    const isThere = this.find(address) !== null;
    if (this.#read(address) !== null) removeIfExists(this.#disk, this.#path(address));
    return isThere;
  }

  /** A server refused the address for good. */
  bounced(address: ByteString, failure: Failure): void {
    if (this.#rules.after === 0 || !isHardBounce(failure)) return;
    const known = this.#read(address);
    if (known !== null && this.#counts(known)) return;
    const since = this.#now();
    const isPast = known === null || known.until <= since;
    const bounces = (isPast ? 0 : known.bounces) + 1;
    try {
      const why = failure.text.slice(0, LONGEST_WHY);
      this.#write({ address: folded(address), since, until: since + this.#rules.age, bounces, why });
    } catch (error) {
      // One bounce more or less: the next one is counted.
      if (!isOperationalError(error)) throw error;
    }
  }

  /** A server took a message for it: its bounces are forgotten. */
  delivered(address: ByteString): void {
    if (this.#read(address) !== null) this.#forget(nameOf(address));
  }

  #counts({ bounces, until }: SuppressedAddress): boolean {
    const isMeant = bounces === 0 || (this.#rules.after > 0 && bounces >= this.#rules.after);
    return isMeant && this.#now() < until;
  }

  #read(address: ByteString): SuppressedAddress | null {
    const name = nameOf(address);
    const entry = this.#names.has(name) ? this.#readFile(name) : null;
    return entry?.address === folded(address) ? entry : null;
  }

  #readFile(name: string): SuppressedAddress | null {
    try {
      const path = `${this.#layout.suppressed}/${name}`;
      const value: unknown = JSON.parse(this.#disk.read(path, LONGEST).bytes.toString('latin1'));
      return isEntry(value) ? value : null;
    } catch (error) {
      if (error instanceof SyntaxError || errorCode(error) !== null) return null;
      throw error;
    }
  }

  #write(entry: SuppressedAddress): SuppressedAddress {
    const { suppressed, state } = this.#layout;
    const { mode, uid, gid } = this.#disk.status(state) ?? { mode: 0o700, uid: 0, gid: 0 };
    ensureFolder(this.#disk, suppressed, { mode: mode & 0o2770, uid, gid });
    const path = this.#path(entry.address);
    replaceInState(this.#disk, this.#layout, path, Buffer.from(`${JSON.stringify(entry)}\n`, 'latin1'));
    this.#names.add(nameOf(entry.address));
    return entry;
  }

  #path(address: ByteString): string {
    return `${this.#layout.suppressed}/${nameOf(address)}`;
  }
}

/** RFC 3463: no such mailbox or domain, or one that is closed for good. */
export function isHardBounce({ permanent, stage, code, enhanced }: Failure): boolean {
  return permanent && stage === 'rcpt' && code !== null && /^5\.(?:1\.[1236]|2\.1)$/.test(enhanced);
}

/** Addresses compare without case: who is suppressed as Bob is not written to as bob. */
export function folded(address: ByteString): ByteString {
  return address.toLowerCase();
}

/** Readable, of bounded length, and different for different addresses as far as that matters. */
function nameOf(address: ByteString): string {
  const name = folded(address);
  return `${name.replace(/[^a-z0-9@_-]/g, '.').slice(0, 100)}.${crc32(name).toString(16)}`;
}

function isEntry(value: unknown): value is SuppressedAddress {
  if (typeof value !== 'object' || value === null) return false;
  const { address, why, ...numbers } = value as { readonly [name: string]: unknown };
  const isNumber = (name: string): boolean => Number.isFinite(numbers[name]);
  return (
    typeof address === 'string' && typeof why === 'string' && ['since', 'until', 'bounces'].every(isNumber)
  );
}

/** RFC 3463 5.7.1: delivery is not authorised, here by our own rules. */
export function suppressedFailure({ bounces, why }: SuppressedAddress, until: string): Failure {
  const cause = bounces === 0 ? why : `${bounces} hard bounces, the last: ${why}`;
  return {
    scope: 'recipient',
    stage: 'routing',
    permanent: true,
    code: null,
    enhanced: '5.7.1',
    text: `the address is on the suppression list of this site until ${until} (${cause}), so the message was not sent`,
    peer: null,
    maybeDelivered: false,
  };
}
