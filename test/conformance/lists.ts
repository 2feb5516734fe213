/** Suites about delivery lists: parse, roundtrip, strip, generate, due, eras. */
import { isDeepStrictEqual } from 'node:util';
import { newControlText } from '../../src/delivery-list/generate.ts';
import { stripHeader } from '../../src/delivery-list/header.ts';
import { type Dialect, isPending, type Job, type Recipient } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { RETRY_INTERVALS, serialiseJob } from '../../src/delivery-list/serialise.ts';
import type { ByteString } from '../../src/platform/bytes.ts';
import { isDue } from '../../src/queue/due.ts';
import { SCHEDULE } from '../../src/queue/schedule.ts';
import { emptyJob } from '../support/jobs.ts';
import { ANYTHING, type Rule, type Suite, undefinedInC } from './compare.ts';
import { bytes, bytesOf, numberOf, type Row, rowOf, rowsOf } from './vectors.ts';

/** A list without any instruction is not handed on, but the C reader holds its defaults then. */
function readAs(dialect: Dialect, instructions: ByteString): Job {
  const parsed = parseDeliveryList(instructions, { dialect, fallback: dialect });
  return parsed.kind === 'list' ? parsed.job : emptyJob(dialect);
}

/** The last number that a keyword's lines give, whole; null without such a line. */
function lastNumber(body: ByteString, keyword: string): bigint | null {
  const text = body.split('\0', 1)[0] ?? '';
  const line = text.split('\n').findLast((each) => each.startsWith(`${keyword}|`));
  if (line === undefined) return null;
  const digits = /^[ \t\v\f\r]*([+-]?\d+)/.exec(line.slice(keyword.length + 1))?.[1] ?? '0';
  return BigInt(digits.replace('+', ''));
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function inFull(value: bigint): number {
  return Number(value > SAFE ? SAFE : value < -SAFE ? -SAFE : value);
}

/** The value as it is when it does not fit `bits`, signed; null when the C code reads it right. */
function beyond(bits: number, body: ByteString, keyword: string): number | null {
  const value = lastNumber(body, keyword);
  return value === null || BigInt.asIntN(bits, value) === value ? null : inFull(value);
}

const BEYOND_32_BITS = 'a time beyond 32 bits (submitted: 53 bits) is read in full';

interface Struct {
  readonly message_id: number;
  readonly submitted: number;
  readonly retry: number;
  readonly reattempt_when: number;
  readonly fail_now: number;
  readonly bounce_to: ByteString | null;
  readonly envelope_from: ByteString | null;
  readonly sender_room: ByteString | null;
  readonly recipients: readonly Recipient[];
}

/** The C struct of 2012 that our Job stands for. */
function structOf(job: Job): Struct {
  return {
    message_id: job.msgid,
    submitted: job.submitted ?? 0,
    retry: job.retry,
    reattempt_when: job.attempted,
    fail_now: job.retry >= 300 * 2 ** 14 ? 1 : 0,
    bounce_to: job.bounceto,
    envelope_from: job.envelopeFrom,
    sender_room: job.sourceRoom,
    recipients: job.recipients,
  };
}

function expectedStruct(expect: Row | null): Struct | null {
  if (expect === null) return null;
  return {
    message_id: numberOf(expect, 'message_id'),
    submitted: numberOf(expect, 'submitted'),
    retry: numberOf(expect, 'retry'),
    reattempt_when: numberOf(expect, 'reattempt_when'),
    fail_now: numberOf(expect, 'fail_now'),
    bounce_to: bytes(expect, 'bounce_to'),
    envelope_from: bytes(expect, 'envelope_from'),
    sender_room: bytes(expect, 'sender_room'),
    recipients: rowsOf(expect, 'recipients').map((each) => ({
      address: bytes(each, 'recipient') ?? '',
      status: numberOf(each, 'status'),
      text: bytes(each, 'message') ?? '',
    })),
  };
}

export const parse: Suite<Struct | null> = {
  name: 'parse',
  expected: (row) => expectedStruct(rowOf(row, 'expect')),
  ours: (row) => structOf(readAs('2012', bytesOf(row, 'body'))),
  rules: [
    undefinedInC(),
    {
      reason: BEYOND_32_BITS,
      correct: (expected, row) => {
        if (expected === null) return expected;
        const body = bytesOf(row, 'body');
        return {
          ...expected,
          reattempt_when: beyond(32, body, 'attempted') ?? expected.reattempt_when,
          submitted: beyond(54, body, 'submitted') ?? expected.submitted,
        };
      },
    },
  ],
};

const CEILING = RETRY_INTERVALS.ceiling;

/** `text` with the numbers of this keyword's line as they are when they do not fit the 54 bits of a safe integer. */
function inFullLine(text: ByteString, body: ByteString, keyword: string): ByteString {
  const value = beyond(54, body, keyword);
  return value === null
    ? text
    : text.replace(new RegExp(`\n${keyword}\\|-?\\d+\n`), `\n${keyword}|${value}\n`);
}

/** What is wrong with a text of the 2012 writer. */
const WRITER_2012: readonly { reason: string; correct(text: ByteString, body: ByteString): ByteString }[] = [
  {
    reason: 'retry ceiling of 12 hours',
    correct: (text) =>
      text.replace(/\nretry\|(\d+)\nattempted\|(-?\d+)\n/, (lines, retry: string, attempted: string) =>
        Number(retry) > CEILING
          ? `\nretry|${CEILING}\nattempted|${Number(attempted) - Number(retry) + CEILING}\n`
          : lines,
      ),
  },
  { reason: BEYOND_32_BITS, correct: (text, body) => inFullLine(text, body, 'submitted') },
  {
    reason: 'status text made safe: a CR inside it',
    correct: (text) =>
      text.replace(/(?<=\nremote\|[^|\n]*\|-?\d+\|)[^\n]*/g, (words) => words.replace(/\r(?!$)/g, ' ')),
  },
];

export const roundtrip: Suite<ByteString> = {
  name: 'roundtrip',
  expected: (row) => bytesOf(row, 'expect'),
  ours: (row) => serialiseJob(readAs('2012', bytesOf(row, 'body')), '2012', numberOf(row, 'now')),
  rules: [
    undefinedInC(),
    ...WRITER_2012.map(({ reason, correct }) => ({
      reason,
      correct: (expected: ByteString, row: Row) => correct(expected, bytesOf(row, 'body')),
    })),
  ],
};

export const strip: Suite<ByteString | null> = {
  name: 'strip',
  expected: (row) => bytes(row, 'instructions'),
  ours: (row) => stripHeader(bytesOf(row, 'stored')).instructions,
  rules: [
    {
      reason: 'the C code hung',
      correct: (expected, row) => (row.result === 'hang' ? ANYTHING : expected),
    },
  ],
};

export const generate: Suite<ByteString> = {
  name: 'generate',
  expected: (row) => bytesOf(row, 'control_message'),
  ours: (row) =>
    newControlText({
      msgid: numberOf(row, 'msgid'),
      submitted: numberOf(row, 'now'),
      bounceto: bytesOf(row, 'bounce_to'),
      envelopeFrom: bytes(row, 'envelope_from'),
      sourceRoom: bytes(row, 'sending_room'),
      recipients: bytesOf(row, 'recp_internet').split('|'),
    }),
  rules: [],
};

/** Who would be tried at `now`. */
function tried(job: Job, now: number, force: boolean, pending = isPending): readonly ByteString[] {
  if (!isDue(job, now, { schedule: SCHEDULE, force }).due) return [];
  return job.recipients.filter(pending).map((recipient) => recipient.address);
}

export const due: Suite<number> = {
  name: 'due',
  expected: (row) => numberOf(row, 'attempts'),
  ours: (row) => {
    const { instructions } = stripHeader(bytesOf(row, 'stored'));
    return tried(readAs('2012', instructions), numberOf(row, 'now'), row.run_queue_now === 1).length;
  },
  rules: [
    undefinedInC(),
    {
      reason: BEYOND_32_BITS,
      correct: (expected, row) => {
        const attempted = beyond(32, bytesOf(row, 'stored'), 'attempted');
        const waits = attempted !== null && attempted > numberOf(row, 'now') && row.run_queue_now === 0;
        return waits ? 0 : expected;
      },
    },
  ],
};

/** What the row tells of both eras; absent where the row does not. */
type Eras = Readonly<Record<string, unknown>>;

/** How a server of 2023 falls short of this program, to be tried on our own result. */
interface Shortcomings {
  readonly skipsStatus3: boolean;
  readonly dropsRefusals: boolean;
  readonly cutsLines: boolean;
}

const NONE: Shortcomings = { skipsStatus3: false, dropsRefusals: false, cutsLines: false };

const SHORTCOMINGS: Readonly<Record<keyof Shortcomings, string>> = {
  skipsStatus3: 'status 3 is tried and kept as 4 (since 2017 such recipients were dropped unseen)',
  dropsRefusals:
    'a refusal in the words of 2017, "550 (text)", stays until the job ends, for its report may be under way (C drops it at the next rewriting, as it does refusals in other words)',
  cutsLines: 'a line of more than 4095 bytes is not cut',
};

/** Each alone, then all ways in which several show in one row. */
const COMBINATIONS: readonly { readonly reason: string; readonly short: Shortcomings }[] = Array.from(
  { length: 7 },
  (_, index) => Object.keys(SHORTCOMINGS).filter((__, bit) => ((index + 1) >> bit) & 1),
)
  .sort((one, other) => one.length - other.length)
  .map((names) => ({
    reason: names.map((name) => SHORTCOMINGS[name as keyof Shortcomings]).join('; '),
    short: { ...NONE, ...Object.fromEntries(names.map((name) => [name, true])) },
  }));

function cutLines(body: ByteString): ByteString {
  return body
    .split('\n')
    .map((line) => line.slice(0, 4095))
    .join('\n');
}

/** The rows were taken this long after submission, in seconds. */
const AFTER_SUBMISSION = 20_000;

/** A 2023 run in which every recipient that is tried gets `421 later`. */
function rewritten2023(
  job: Job,
  now: number,
  pending: (recipient: Recipient) => boolean,
  dropsRefusals: boolean,
): ByteString {
  const answered = (recipient: Recipient): Recipient =>
    pending(recipient) ? { ...recipient, status: 4, text: '421 (later)' } : recipient;
  const left = job.recipients.filter(
    (recipient) => pending(recipient) || (!isPending(recipient) && !dropsRefusals),
  );
  return serialiseJob({ ...job, recipients: left.map(answered) }, '2017', now);
}

function erasOf(row: Row, bodyOf: (id: string) => ByteString, short: Shortcomings): Eras {
  const body = bodyOf(String(row.of));
  const then = readAs('2012', body);
  const now = (then.submitted ?? 0) + AFTER_SUBMISSION;
  const later = readAs('2017', short.cutsLines ? cutLines(body) : body);
  const pending = (recipient: Recipient) =>
    isPending(recipient) && !(short.skipsStatus3 && recipient.status === 3);
  /** the rows give only the length of long lists */
  const shown = (key: string, names: readonly ByteString[]) =>
    Array.isArray(row[key]) ? names : names.length;
  const all: Eras = {
    tried_2012: shown('tried_2012', tried(then, now, true)),
    tried_2023: shown('tried_2023', tried(later, now, true, pending)),
    msgid_2023: later.msgid,
    envelope_from_2023: later.envelopeFrom,
    source_room_2023: later.sourceRoom,
    bounceto_2023: (later.bounceto ?? '').split('|', 1)[0],
    rewritten_2023: rewritten2023(
      later,
      row.now_2023 === undefined ? now : numberOf(row, 'now_2023'),
      pending,
      short.dropsRefusals,
    ),
    rewritten_2012: serialiseJob(then, '2012', now),
  };
  return Object.fromEntries(Object.entries(all).filter(([key]) => key in row || `${key}_b64` in row));
}

function expectedEras(row: Row): Eras {
  const names = (key: string) =>
    Array.isArray(row[key])
      ? row[key].map((base64) => Buffer.from(base64, 'base64').toString('latin1'))
      : row[key];
  const fields = [
    'envelope_from_2023',
    'source_room_2023',
    'bounceto_2023',
    'rewritten_2023',
    'rewritten_2012',
  ];
  return Object.fromEntries([
    ...['tried_2012', 'tried_2023'].filter((key) => key in row).map((key) => [key, names(key)]),
    ...(row.msgid_2023 === undefined ? [] : [['msgid_2023', row.msgid_2023]]),
    ...fields.filter((key) => `${key}_b64` in row).map((key) => [key, bytes(row, key)]),
  ]);
}

/** `bodyOf` finds the body of a parse row: the eras rows do not repeat it. */
export function eras(bodyOf: (id: string) => ByteString): Suite<Eras> {
  const ours = (row: Row) => erasOf(row, bodyOf, NONE);
  const shortcoming = (reason: string, short: Shortcomings): Rule<Eras> => ({
    reason,
    correct: (expected, row) => {
      const theirs = erasOf(row, bodyOf, short);
      const right = ours(row);
      return mapped(expected, (key, value) => (isDeepStrictEqual(theirs[key], value) ? right[key] : value));
    },
  });
  return {
    name: 'eras',
    expected: expectedEras,
    ours,
    rules: [
      {
        reason: 'the C code crashed or used undefined memory',
        correct: (expected, row) =>
          row.crash_2012 === null && row.crash_2023 === null ? expected : ANYTHING,
      },
      ...WRITER_2012.map(({ reason, correct }) => ({
        reason,
        correct: (expected: Eras, row: Row) => {
          const body = bodyOf(String(row.of));
          return mapped(expected, (key, value) =>
            key === 'rewritten_2012' && typeof value === 'string' ? correct(value, body) : value,
          );
        },
      })),
      {
        reason: BEYOND_32_BITS,
        correct: (expected, row) => {
          const body = bodyOf(String(row.of));
          const never = beyond(32, body, 'attempted') !== null;
          return mapped(expected, (key, value) => {
            if (key === 'msgid_2023') return beyond(54, body, 'msgid') ?? value;
            if (key === 'tried_2023' && never) return ours(row)[key];
            if (key !== 'rewritten_2023' || typeof value !== 'string') return value;
            return inFullLine(inFullLine(value, body, 'submitted'), body, 'msgid');
          });
        },
      },
      ...COMBINATIONS.map(({ reason, short }) => shortcoming(reason, short)),
    ],
  };
}

function mapped(eras: Eras, change: (key: string, value: unknown) => unknown): Eras {
  return Object.fromEntries(Object.entries(eras).map(([key, value]) => [key, change(key, value)]));
}
