/**
 * Parses a delivery list as the C readers of both dialects do (techdoc/delivery-list.md, techdoc/c-module.md): order is free,
 * the last line of a kind counts, unknown lines are ignored, surplus fields are dropped. Never throws; takes time linear in
 * the text, which may be of any length.
 */

import type { ByteString } from '../platform/bytes.ts';
import { parseInt32, parseLong, plainNumber } from './c-numbers.ts';
import { dialectEvidence } from './dialect.ts';
import type { Dialect, Job, Recipient } from './job.ts';

/** First retry interval where a 2012 list has none, seconds. */
export const FIRST_RETRY_INTERVAL = 300;

export interface ParseOptions {
  readonly dialect: Dialect | 'detect';
  /** used when the dialect cannot be detected */
  readonly fallback: Dialect;
  /** bytes of the longest control message that is read, for queue/control-message.ts; default: 8 MiB */
  readonly longestList?: number | undefined;
}

export interface Warning {
  /** line of the instruction part, from 1 */
  readonly line: number;
  readonly text: string;
}

export type ParsedList =
  | { readonly kind: 'list'; readonly job: Job; readonly warnings: readonly Warning[] }
  /** it has no instruction; `reason` is a clause for people */
  | { readonly kind: 'unreadable'; readonly reason: string };

/** A text of a million bad lines must not give a million warnings. */
const MAX_WARNINGS = 100;

/** How the readers of the two dialects differ. */
interface DialectRules {
  /** `msgid` when the list has none */
  readonly msgid: number;
  readMsgid(field: ByteString): number;
  /** keywords in capitals count, too */
  readonly anyCase: boolean;
  /** whether a keyword without a bar counts, with an empty value */
  readonly bareKeyword: boolean;
  /** value of bounceto, envelope_from, source_room: 2017 includes bars */
  textAt(line: ByteString, from: number): ByteString;
  /** CRs before a line end do not belong to the line */
  readonly crlf: boolean;
}

const RULES: Readonly<Record<Dialect, DialectRules>> = {
  '2012': {
    msgid: -1,
    readMsgid: parseInt32,
    anyCase: false,
    bareKeyword: true,
    textAt: fieldAt,
    crlf: false,
  },
  '2017': {
    msgid: 0,
    readMsgid: parseLong,
    anyCase: true,
    bareKeyword: false,
    textAt: (line, from) => line.slice(from),
    crlf: true,
  },
};

type MutableJob = { -readonly [K in keyof Job]: Job[K] } & {
  recipients: Recipient[];
  unknownLines: ByteString[];
};

interface ParseState {
  readonly rules: DialectRules;
  readonly job: MutableJob;
  /** the single-valued fields given so far */
  readonly seen: Set<keyof Job>;
  readonly warnings: Warning[];
  /** current line, from 1 */
  line: number;
}

/** The values of a list without instructions. */
function emptyJob(dialect: Dialect): MutableJob {
  return {
    dialect,
    msgid: RULES[dialect].msgid,
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

function warn(state: ParseState, text: string): void {
  const { warnings, line } = state;
  if (warnings.length < MAX_WARNINGS) warnings.push({ line, text });
  else if (warnings.length === MAX_WARNINGS) warnings.push({ line, text: 'further warnings are not shown' });
}

type ReadNumber = (field: ByteString) => number;

/** Reads a numeric field, with a warning when the field is not exactly that number. */
function numberIn(state: ParseState, what: string, field: ByteString, read: ReadNumber): number {
  const plain = plainNumber(field);
  if (!Number.isNaN(plain)) return plain;
  const value = read(field);
  if (field !== '' && field !== String(value))
    warn(state, `${what} is "${shorten(field)}", read as ${value}`);
  return value;
}

function shorten(field: ByteString): string {
  return field.length > 40 ? `${field.slice(0, 40)}...` : field;
}

/** Applies a line to the job; its value starts at `from`. */
type Instruction = (state: ParseState, line: ByteString, from: number) => void;

const INSTRUCTIONS: ReadonlyMap<ByteString, Instruction> = new Map<ByteString, Instruction>([
  ['remote', readRecipient],
  ['msgid', (s, line, from) => set(s, 'msgid', numberIn(s, 'msgid', fieldAt(line, from), s.rules.readMsgid))],
  [
    'submitted',
    (s, line, from) => set(s, 'submitted', numberIn(s, 'submitted', line.slice(from), parseLong)),
  ],
  [
    'attempted',
    (s, line, from) => set(s, 'attempted', numberIn(s, 'attempted', fieldAt(line, from), parseLong)),
  ],
  ['retry', readRetry],
  ['bounceto', (s, line, from) => set(s, 'bounceto', s.rules.textAt(line, from))],
  ['envelope_from', (s, line, from) => set(s, 'envelopeFrom', s.rules.textAt(line, from))],
  ['source_room', (s, line, from) => set(s, 'sourceRoom', s.rules.textAt(line, from))],
]);

/** The last line of a kind counts, even with an empty value. */
function set<K extends keyof MutableJob>(state: ParseState, key: K, value: MutableJob[K]): void {
  if (state.seen.has(key)) warn(state, `${key} is given more than once, this line counts`);
  state.seen.add(key);
  state.job[key] = value;
}

/** `remote|address|status|text`; one recipient for each line, duplicates included. */
function readRecipient(state: ParseState, line: ByteString, from: number): void {
  const address = fieldAt(line, from);
  const statusFrom = from + address.length + 1;
  const status = fieldAt(line, statusFrom);
  const text = fieldAt(line, statusFrom + status.length + 1);
  if (address === '') warn(state, 'recipient without an address');
  const digit = numberIn(state, 'status', status, parseInt32);
  state.job.recipients.push({ address, status: digit, text });
}

/** The interval is doubled on reading, as in C; 0 is read as none. 2017 ignores the line. */
function readRetry(state: ParseState, line: ByteString, from: number): void {
  const interval = numberIn(state, 'retry', fieldAt(line, from), parseInt32);
  if (state.job.dialect === '2012') set(state, 'retry', interval === 0 ? FIRST_RETRY_INTERVAL : 2 * interval);
}

function readLine(state: ParseState, line: ByteString): void {
  const { rules, job } = state;
  const bar = line.indexOf('|');
  const end = bar < 0 ? line.length : bar;
  const keyword = line.slice(0, end);
  const isInstruction = bar >= 0 || rules.bareKeyword;
  const instruction = isInstruction
    ? INSTRUCTIONS.get(rules.anyCase ? keyword.toLowerCase() : keyword)
    : undefined;
  if (instruction === undefined) {
    warn(state, `not an instruction, ignored: "${shorten(line)}"`);
    job.unknownLines.push(line);
  } else if (line === 'submitted') {
    warn(state, 'submitted without a value, ignored');
  } else {
    instruction(state, line, end + 1);
  }
}

function readLines(state: ParseState, text: ByteString): void {
  const { crlf } = state.rules;
  for (let from = 0; from < text.length; state.line++) {
    const found = text.indexOf('\n', from);
    const feed = found < 0 ? text.length : found;
    let end = feed;
    if (crlf) while (end > from && text[end - 1] === '\r') end--;
    if (end > from) readLine(state, text.slice(from, end));
    from = feed + 1;
  }
}

function dialectOf(text: ByteString, { dialect, fallback }: ParseOptions): Dialect {
  if (dialect !== 'detect') return dialect;
  return dialectEvidence(text)?.dialect ?? fallback;
}

/**
 * Parses the instruction part of a delivery list, without its header. Like a C string it ends at the first NUL. Bad values
 * are read as the C code reads them, with a warning.
 */
export function parseDeliveryList(instructions: ByteString, options: ParseOptions): ParsedList {
  const nul = instructions.indexOf('\0');
  const text = nul < 0 ? instructions : instructions.slice(0, nul);
  const dialect = dialectOf(text, options);
  const state: ParseState = {
    rules: RULES[dialect],
    job: emptyJob(dialect),
    seen: new Set(),
    warnings: [],
    line: 1,
  };
  readLines(state, text);
  const { job, seen, warnings } = state;
  if (seen.size === 0 && job.recipients.length === 0) {
    return { kind: 'unreadable', reason: 'it has no delivery-list instruction' };
  }
  if (nul >= 0) warn(state, 'a NUL byte: everything after it is ignored');
  if (!seen.has('msgid')) warn(state, 'no msgid line: the list names no payload');
  // A list of one recipient is the rule, and an array that has grown keeps room for sixteen more.
  job.recipients = job.recipients.slice();
  return { kind: 'list', job, warnings };
}
