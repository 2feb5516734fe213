/** A job that this process has claimed: a pending job, and what the database has of it. */
import { createHash } from 'node:crypto';
import type { MessageNumber, Recipient, StatusChange } from '../../../delivery-list/job.ts';
import type { ParseOptions } from '../../../delivery-list/parse.ts';
import type { ControlForm } from '../../../message/stored.ts';
import type { ByteString } from '../../../platform/bytes.ts';
import type { DsnRequest } from '../../../smtp/dsn-request.ts';
import { classifyContents } from '../../control-message.ts';
import { readDsnRequestNote } from '../../dsn-request-note.ts';
import type { Notified } from '../../dsn-store.ts';
import type { PendingJob } from '../../pending-job.ts';
import type { JobRequest, QueuedJob } from '../../queue.ts';
import type { Row } from '../database/database.ts';

export interface ClaimedJob extends PendingJob {
  readonly message: MessageNumber;
  readonly form: ControlForm;
  /** the control message as it is in the database */
  list: Buffer;
  hash: string;
  /** changes that the database may not have, oldest first */
  readonly unsaved: StatusChange[];
  readonly asked: Pick<QueuedJob, 'request' | 'requestedBy'>;
  readonly dsn: DsnRequest | null;
  readonly told: Notified[];
  firstAttempt: number | null;
}

/** The columns that `claimedJob` reads. */
export const JOB_COLUMNS =
  'control::float8, message::float8, list, request, asked_by, asked_at::float8, dsn, told, first_attempt::float8';

/** How a control message of the database is read. */
export function parsing(fallback: ParseOptions['fallback'], longestList?: number): ParseOptions {
  return { dialect: 'detect', fallback, longestList };
}

/** A row of `job`; the sentence why it cannot be read, which is so where somebody wrote to the table by hand. */
export function claimedJob(row: Row, options: ParseOptions): ClaimedJob | string {
  const list = row.list as Buffer;
  const read = classifyContents(list, true, options);
  if (read.kind !== 'control') return read.kind === 'unreadable' ? read.reason : 'it is not a delivery list';
  const { form, job, warnings } = read;
  return {
    kind: 'control',
    control: row.control as number,
    message: row.message as number,
    base: job,
    warnings,
    changes: [],
    now: 0,
    written: 0,
    ...{ form, list, hash: hashOf(list), unsaved: [] },
    asked: requestOf(row),
    dsn: readDsnRequestNote(row.dsn),
    told: [...(row.told as Notified[])],
    firstAttempt: row.first_attempt as number | null,
  };
}

export function requestOf({ request, asked_by, asked_at }: Row): ClaimedJob['asked'] {
  if (request === null || request === undefined) return {};
  return {
    request: request as JobRequest,
    requestedBy: { by: String(asked_by), at: Number(asked_at) },
  };
}

/** As `md5` of the database. */
export function hashOf(list: Buffer): string {
  return createHash('md5').update(list).digest('hex');
}

/** The lines of a list by what does not change when lines before them go: the address, and how often it stood there before. */
export interface Lines {
  nth(index: number): number;
  /** -1: there is no such line */
  index(address: ByteString, nth: number): number;
}

const LINES = new WeakMap<readonly Recipient[], Lines>();

export function linesOf(recipients: readonly Recipient[]): Lines {
  const known = LINES.get(recipients);
  if (known !== undefined) return known;
  const byAddress = new Map<ByteString, number[]>();
  const nths = recipients.map(({ address }, index) => {
    const places = byAddress.get(address) ?? [];
    byAddress.set(address, places);
    return places.push(index) - 1;
  });
  const lines: Lines = {
    nth: (index) => nths[index] ?? 0,
    index: (address, nth) => {
      const places = byAddress.get(address) ?? [];
      return places[nth] ?? places.at(-1) ?? -1;
    },
  };
  LINES.set(recipients, lines);
  return lines;
}

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

export function textOf(bytes: unknown): ByteString {
  return (bytes as Buffer).toString('latin1');
}
