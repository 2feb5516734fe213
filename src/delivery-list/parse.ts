/**
 * Delivery-list text -> Job, as the C readers of both eras take it (c-module-behaviour 1 and 13): exact keywords, order
 * free, the last line of a kind wins, unknown lines ignored, surplus fields dropped. Called by the rooms and by replay.
 * Never throws, never hangs, has no length limit and takes time linear in the text.
 */

import type { ByteString } from '../platform/bytes.ts';
import { isPlainNumber, parseInt32, parseLong } from './c-numbers.ts';
import { dialectEvidence } from './dialect.ts';
import type { Dialect, Job, Recipient } from './job.ts';

/** Span of the first retry where a 2012 list does not say one, in seconds. */
export const FIRST_RETRY_INTERVAL = 300;

export interface ParseOptions {
  readonly dialect: Dialect | 'detect';
  /** taken when the bytes do not tell */
  readonly fallback: Dialect;
}

export interface Warning {
  /** line in the instruction part, from 1 */
  readonly line: number;
  readonly text: string;
}

export type ParsedList =
  | { readonly kind: 'list'; readonly job: Job; readonly warnings: readonly Warning[] }
  /** nothing in it is an instruction; `reason` is a sentence fragment for people */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** More would help nobody, and a text of a million odd lines must not become a million warnings. */
const MOST_WARNINGS = 100;

/** What the eras' readers do differently. */
interface Era {
  /** what the C reader holds when the list names no payload */
  readonly msgid: number;
  readMsgid(field: ByteString): number;
  /** the keyword to look up; 2017 compares without regard to case */
  keyword(line: ByteString, end: number): ByteString;
  /** whether a keyword without a bar behind it counts, with an empty value */
  readonly bareKeyword: boolean;
  /** value of bounceto, envelope_from, source_room: 2017 takes the bars, too */
  textAt(line: ByteString, from: number): ByteString;
  /** 2017 drops the CRs in front of a line end */
  endOfLine(text: ByteString, from: number, feed: number): number;
}

const ERAS: Readonly<Record<Dialect, Era>> = {
  '2012': {
    msgid: -1,
    readMsgid: parseInt32,
    keyword: (line, end) => line.slice(0, end),
    bareKeyword: true,
    textAt: fieldAt,
    endOfLine: (_text, _from, feed) => feed,
  },
  '2017': {
    msgid: 0,
    readMsgid: parseLong,
    keyword: (line, end) => line.slice(0, end).toLowerCase(),
    bareKeyword: false,
    textAt: (line, from) => line.slice(from),
    endOfLine: withoutCarriageReturns,
  },
};

type Draft = { -readonly [K in keyof Job]: Job[K] } & { recipients: Recipient[]; unknownLines: ByteString[] };

interface Reading {
  readonly era: Era;
  readonly job: Draft;
  /** the single-valued fields given so far */
  readonly seen: Set<keyof Job>;
  readonly warnings: Warning[];
  /** current line, from 1 */
  line: number;
}

function withoutCarriageReturns(text: ByteString, from: number, feed: number): number {
  let end = feed;
  while (end > from && text[end - 1] === '\r') end--;
  return end;
}

/** The Job of a list without a single instruction: what each era's reader starts from. */
export function emptyJob(dialect: Dialect): Job {
  return blankDraft(dialect);
}

function blankDraft(dialect: Dialect): Draft {
  return {
    dialect,
    msgid: ERAS[dialect].msgid,
    submitted: null,
    attempted: 0,
    retry: FIRST_RETRY_INTERVAL,
    bounceto: null,
    envelopeFrom: null,
    sourceRoom: null,
    recipients: [],
    unknownLines: [],
  };
}

/** The field that starts at `from`, up to the next bar. Empty when the line has no such field. */
function fieldAt(line: ByteString, from: number): ByteString {
  const bar = line.indexOf('|', from);
  return bar < 0 ? line.slice(from) : line.slice(from, bar);
}

function warn(reading: Reading, text: string): void {
  const { warnings, line } = reading;
  if (warnings.length < MOST_WARNINGS) warnings.push({ line, text });
  else if (warnings.length === MOST_WARNINGS) warnings.push({ line, text: 'further warnings are left out' });
}

type ReadNumber = (field: ByteString) => number;

/** Read a numeric field, and say so when the value is not what the field shows. */
function numberIn(reading: Reading, what: string, field: ByteString, read: ReadNumber): number {
  const value = read(field);
  if (!isPlainNumber(field, value)) warn(reading, `${what} is "${shorten(field)}", read as ${value}`);
  return value;
}

function shorten(field: ByteString): string {
  return field.length > 40 ? `${field.slice(0, 40)}...` : field;
}

/** What a line does to the job; its value starts at `from`. */
type Instruction = (reading: Reading, line: ByteString, from: number) => void;

const INSTRUCTIONS: ReadonlyMap<ByteString, Instruction> = new Map<ByteString, Instruction>([
  ['remote', readRecipient],
  ['msgid', (r, line, from) => set(r, 'msgid', numberIn(r, 'msgid', fieldAt(line, from), r.era.readMsgid))],
  [
    'submitted',
    (r, line, from) => set(r, 'submitted', numberIn(r, 'submitted', line.slice(from), parseLong)),
  ],
  [
    'attempted',
    (r, line, from) => set(r, 'attempted', numberIn(r, 'attempted', fieldAt(line, from), parseLong)),
  ],
  ['retry', readRetry],
  ['bounceto', (r, line, from) => set(r, 'bounceto', r.era.textAt(line, from))],
  ['envelope_from', (r, line, from) => set(r, 'envelopeFrom', r.era.textAt(line, from))],
  ['source_room', (r, line, from) => set(r, 'sourceRoom', r.era.textAt(line, from))],
]);

/** The last line of a kind wins, also with an empty value. */
function set<K extends keyof Draft>(reading: Reading, key: K, value: Draft[K]): void {
  if (reading.seen.has(key)) warn(reading, `${key} is given again, this line counts`);
  reading.seen.add(key);
  reading.job[key] = value;
}

/** `remote|address|status|text`; one recipient for each line, duplicates included. */
function readRecipient(reading: Reading, line: ByteString, from: number): void {
  const address = fieldAt(line, from);
  const statusFrom = from + address.length + 1;
  const status = fieldAt(line, statusFrom);
  const text = fieldAt(line, statusFrom + status.length + 1);
  if (address === '') warn(reading, 'recipient without an address');
  const digit = numberIn(reading, 'status', status, parseInt32);
  reading.job.recipients.push({ address, status: digit, text });
}

/** The span is doubled on reading; 0 means "not said". Only the 2012 reader knows the line. */
function readRetry(reading: Reading, line: ByteString, from: number): void {
  const span = numberIn(reading, 'retry', fieldAt(line, from), parseInt32);
  if (reading.job.dialect === '2012') set(reading, 'retry', span === 0 ? FIRST_RETRY_INTERVAL : 2 * span);
}

function readLine(reading: Reading, line: ByteString): void {
  const { era, job } = reading;
  const bar = line.indexOf('|');
  const end = bar < 0 ? line.length : bar;
  const instruction = bar >= 0 || era.bareKeyword ? INSTRUCTIONS.get(era.keyword(line, end)) : undefined;
  if (instruction === undefined) {
    warn(reading, `not an instruction, ignored: "${shorten(line)}"`);
    job.unknownLines.push(line);
  } else if (line === 'submitted') {
    warn(reading, 'submitted without a value, ignored');
  } else {
    instruction(reading, line, end + 1);
  }
}

function readLines(reading: Reading, text: ByteString): void {
  for (let from = 0; from < text.length; reading.line++) {
    const found = text.indexOf('\n', from);
    const feed = found < 0 ? text.length : found;
    const end = reading.era.endOfLine(text, from, feed);
    if (end > from) readLine(reading, text.slice(from, end));
    from = feed + 1;
  }
}

function dialectOf(text: ByteString, { dialect, fallback }: ParseOptions): Dialect {
  if (dialect !== 'detect') return dialect;
  return dialectEvidence(text)?.dialect ?? fallback;
}

/**
 * Read the instruction part of a delivery list (header.ts takes the header off). Like a C string it ends at the first
 * NUL. Bad values are read as the C code reads them and warned about.
 */
export function parseDeliveryList(instructions: ByteString, options: ParseOptions): ParsedList {
  const nul = instructions.indexOf('\0');
  const text = nul < 0 ? instructions : instructions.slice(0, nul);
  const dialect = dialectOf(text, options);
  const reading: Reading = {
    era: ERAS[dialect],
    job: blankDraft(dialect),
    seen: new Set(),
    warnings: [],
    line: 1,
  };
  readLines(reading, text);
  const { job, seen, warnings } = reading;
  if (seen.size === 0 && job.recipients.length === 0) {
    return { kind: 'unreadable', reason: 'it holds no delivery-list instruction at all' };
  }
  if (nul >= 0) warn(reading, 'a NUL byte: everything behind it is ignored');
  if (!seen.has('msgid')) warn(reading, 'no msgid line: the list names no payload');
  return { kind: 'list', job, warnings };
}
