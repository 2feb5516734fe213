/**
 * The queue at a glance: one line for each job, cut to the width of the terminal, many that are alike as one; or its
 * destinations by age. Pure.
 */
import { isPending, isSettled } from '../delivery-list/job.ts';
import { type ByteString, bytesOf } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';
import type { JobFacts } from './queue-facts.ts';
import { columns } from './queue-facts.ts';
import { plural, wholeDuration } from './text.ts';

export interface ListedJob extends JobFacts {
  /** bytes of the stored message; null: it is missing; absent: nobody looked */
  readonly size?: number | null;
}

export interface ListOptions {
  /** columns of the terminal; null: nothing is cut */
  readonly width: number | null;
  /** Unix seconds */
  readonly now: number;
  /** jobs that wait for the same reason are told as one, where there are many */
  readonly grouped: boolean;
}

const HEAD = ['job', 'age', 'size', 'next', 'sender', 'recipient', 'why'];
const SIZE = HEAD.indexOf('size');
/** The last ones, which are cut. */
const FLEXIBLE = 3;

export function queueList(jobs: readonly ListedJob[], options: ListOptions): string {
  const { now, width } = options;
  const hasSizes = jobs.some(({ size }) => size !== undefined);
  const row = (cells: readonly string[]): readonly string[] =>
    cells.filter((_, at) => hasSizes || at !== SIZE);
  const all = jobs.map((job) => row(cellsOf(job, now)));
  const lines = options.grouped ? grouped(all) : all;
  const head = row(HEAD);
  const widths = widthsFor([head, ...lines.filter((line) => typeof line !== 'string')], width);
  const fitted = (line: Line): string => {
    const text = typeof line === 'string' ? line : aligned(line, widths);
    return width === null ? text : cut(text, width);
  };
  return [head, ...lines].map(fitted).join('\n');
}

/** A row, or the words for many. */
type Line = readonly string[] | string;

/** Number, age, size, next attempt, sender, recipient, and why it is still there. */
export function cellsOf(
  job: ListedJob,
  now: number,
): readonly [string, string, string, string, string, string, string] {
  const { size, age, sender } = job;
  return [
    String(job.job),
    age === null ? '?' : wholeDuration(age),
    typeof size === 'number' ? sizeText(size) : '-',
    nextOf(job, now),
    sender === null ? '-' : sender || '<>',
    recipientOf(job),
    reasonOf(job),
  ];
}

/** `4.1 KB`: three digits at most, in units of 1000. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function nextOf({ due, next, recipients, refused, request }: JobFacts, now: number): string {
  if (request?.request === 'hold') return 'held';
  if (request?.request === 'remove') return 'leaves';
  if (due) return 'now';
  if (recipients.length > 0 && recipients.every(isSettled)) return refused > 0 ? 'report' : 'ends';
  return next === null ? '-' : wholeDuration(Math.max(0, Math.floor(Date.parse(next) / 1000) - now));
}

/** The first one that is still pending, and how many more there are. */
function recipientOf({ recipients }: JobFacts): string {
  const first = recipients.find(isPending) ?? recipients[0];
  if (first === undefined) return '-';
  return recipients.length === 1 ? first.address : `${first.address} +${recipients.length - 1}`;
}

/** Why it is still there, in the words of the last reply where there is one. */
function reasonOf({ recipients, request, throttled, due, next, why }: JobFacts): string {
  if (request?.request === 'hold') return `held by ${request.by}`;
  if (throttled !== null) return why;
  const answer = recipients.find((each) => isPending(each) && each.text !== '')?.text ?? '';
  return answer !== '' || due || next !== null ? answer : why;
}

/** Narrower than these nothing can be told. */
const NARROWEST = { sender: 8, recipient: 12 };

/** Sender and recipient give way to the reason, which tells jobs apart. */
function widthsFor(rows: readonly (readonly string[])[], width: number | null): readonly number[] {
  const count = rows[0]?.length ?? 0;
  const widest = Array.from({ length: count }, (_, at) =>
    rows.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), 0),
  );
  if (width === null) return widest;
  const fixed = widest.slice(0, -FLEXIBLE);
  const left = width - fixed.reduce((sum, each) => sum + each, 0) - 2 * (count - 1);
  const [sender = 0, recipient = 0] = widest.slice(-FLEXIBLE);
  const forSender = Math.min(sender, Math.max(NARROWEST.sender, Math.floor(left * 0.25)));
  const forRecipient = Math.min(recipient, Math.max(NARROWEST.recipient, Math.floor(left * 0.35)));
  return [...fixed, forSender, forRecipient];
}

/** The last cell is cut with its line. */
function aligned(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, at) => {
      const width = at === cells.length - 1 ? undefined : widths[at];
      return width === undefined ? cell : cutCell(cell, width).padEnd(width);
    })
    .join('  ')
    .trimEnd();
}

/** A count behind an address stays. */
function cutCell(cell: string, width: number): string {
  const count = / \+\d+$/.exec(cell)?.[0] ?? '';
  return `${cut(cell.slice(0, cell.length - count.length), width - count.length)}${count}`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1)).trimEnd()}…`;
}

/** Lists up to this length are shown whole. */
const WHOLE = 20;
/** So many alike are shown, and the rest is counted. */
const SHOWN = 2;
/** A group with fewer more is shown whole. */
const FEW = 3;

function grouped(rows: readonly (readonly string[])[]): readonly Line[] {
  if (rows.length <= WHOLE) return rows;
  const groups = new Map<string, (readonly string[])[]>();
  for (const row of rows) {
    const key = alikeKey(row);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()].flatMap((group): readonly Line[] => {
    if (group.length <= SHOWN + FEW) return group;
    const reason = group[0]?.at(-1) ?? '';
    const more = `  … and ${plural(group.length - SHOWN, 'job')} more like these${reason === '' ? '' : `: ${reason}`}`;
    return [...group.slice(0, SHOWN), more];
  });
}

/** What waits for the same reason, whatever numbers, names and addresses the reply has. */
function alikeKey(row: readonly string[]): string {
  const next = row.at(-FLEXIBLE - 1) ?? '';
  const state = /\d/.test(next) ? 'waits' : next;
  return `${state} ${(row.at(-1) ?? '').replace(/<?\S+@\S+/g, '@').replace(/[0-9a-f:.]*\d[\w:.-]*/gi, '#')}`;
}

/** Minutes; what is older comes last. */
export const AGES = [5, 10, 20, 40, 80, 160, 320, 640, 1280] as const;

export interface DestinationAges {
  /** '' for entries that are no address */
  readonly destination: string;
  /** pending recipients */
  readonly total: number;
  /** of these, how many of each age: up to 5 minutes, up to 10, ..., older than 1280, unknown */
  readonly ages: readonly number[];
}

/** Pending recipients by domain, the most first. */
export function destinationAges(jobs: readonly JobFacts[]): readonly DestinationAges[] {
  const counter = new AgeCounter();
  for (const { age, recipients } of jobs)
    for (const { address } of recipients.filter(isPending)) counter.add(bytesOf(address), age);
  return counter.destinations();
}

/** Counts recipients by domain and age. */
export class AgeCounter {
  readonly #byDomain = new Map<string, number[]>();

  /** @param age seconds; null: unknown */
  add(address: ByteString, age: number | null): void {
    const read = recipientAddress(address);
    const domain = read.kind === 'address' ? read.domain.toLowerCase() : '';
    const ages = this.#byDomain.get(domain) ?? new Array<number>(AGES.length + 2).fill(0);
    this.#byDomain.set(domain, ages);
    const at = ageColumn(age);
    ages[at] = (ages[at] ?? 0) + 1;
  }

  /** The most first. */
  destinations(): readonly DestinationAges[] {
    return sortedByTotal(this.#byDomain);
  }
}

function sortedByTotal(byDomain: ReadonlyMap<string, readonly number[]>): readonly DestinationAges[] {
  const sum = (ages: readonly number[]): number => ages.reduce((all, each) => all + each, 0);
  return [...byDomain]
    .map(([destination, ages]) => ({ destination, total: sum(ages), ages }))
    .sort((a, b) => b.total - a.total || (a.destination < b.destination ? -1 : 1));
}

function ageColumn(age: number | null): number {
  if (age === null) return AGES.length + 1;
  const at = AGES.findIndex((minutes) => age <= minutes * 60);
  return at < 0 ? AGES.length : at;
}

/** As qshape prints it: a line for each destination, a column for each age in minutes. */
export function summaryTable(destinations: readonly DestinationAges[]): string {
  const hasUnknown = destinations.some(({ ages }) => (ages.at(-1) ?? 0) > 0);
  const shown = (ages: readonly number[]): readonly number[] => (hasUnknown ? ages : ages.slice(0, -1));
  const totals = destinations.reduce<readonly number[]>(
    (sums, { ages }) => ages.map((each, at) => each + (sums[at] ?? 0)),
    [],
  );
  const head = ['', 'T', ...AGES.map(String), '1280+', ...(hasUnknown ? ['?'] : [])];
  const line = (name: string, total: number, ages: readonly number[]): readonly string[] => [
    name,
    ...[total, ...shown(ages)].map(String),
  ];
  const all = destinations.reduce((sum, { total }) => sum + total, 0);
  const rows = [
    head,
    line('TOTAL', all, totals),
    ...destinations.map(({ destination, total, ages }) => line(destination || '(no address)', total, ages)),
  ];
  const widths = head.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return columns(
    rows.map((row) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0))),
    ),
  );
}

type Order = (a: ListedJob, b: ListedJob) => number;

/** Unknown comes last. */
function by(value: (job: ListedJob) => number | string | null): Order {
  return (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return a.job - b.job;
    if (x === null || y === null) return x === null ? 1 : -1;
    return x < y ? -1 : 1;
  };
}

/** For the option `--sort`. */
export const ORDERS = {
  job: by(({ job }) => job),
  /** the oldest first */
  age: by(({ age }) => (age === null ? null : -age)),
  /** the largest first */
  size: by(({ size = null }) => (size === null ? null : -size)),
  next: by(({ next, due }) => (due ? '' : next)),
  sender: by(({ sender }) => sender?.toLowerCase() ?? null),
  recipient: by((job) => recipientOf(job).toLowerCase()),
} as const satisfies { readonly [name: string]: Order };
