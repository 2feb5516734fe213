/**
 * What a run would know of a control message: the jobs with the same message and the requests for them, the message, and what was
 * reported before. Of a spool, of a single file, of an export. Only reads.
 */
import { join } from 'node:path';
import { inMemory } from '../../message/stored.ts';
import { unwrittenText } from '../../output/queue-facts.ts';
import { NO_WAITS, type ThrottleWaits } from '../../output/throttling.ts';
import type { ControlMessages } from '../../queue/due.ts';
import { groupByPayload } from '../../queue/due.ts';
import type { PayloadResult, QueuedJob } from '../../queue/queue.ts';
import { notesIn } from '../../queue/spool/notes/dsn-store.ts';
import type { ControlInput } from '../../replay/input.ts';
import type { ReportRules } from '../../replay/rehearsed-reports.ts';
import type { Simulation } from '../../replay/simulation.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { viewSpool } from '../setup/read-spool.ts';
import { throttlingOf } from '../setup/throttling.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { readBytes, type SourceLocation } from './source.ts';

/** Where a control message was found. */
export interface Origin {
  readonly title: string;
  readonly notes: readonly string[];
  /** it and the others with the same message, as a run takes them up */
  readonly lists: ControlMessages;
  /** the spool, or another folder beside which the sockets of the server may be */
  readonly folder: string;
  readonly inSpool: boolean;
  readonly store: ReportRules['store'];
  /** whether the hosts asked us to send less */
  readonly waits: ThrottleWaits;
  payload(): Promise<Payload | CliError>;
}

export interface Payload {
  readonly kind: 'payload';
  readonly read: PayloadResult;
  /** how it is made ready to send; absent: as in a run */
  readonly load?: NonNullable<Simulation['load']>;
  readonly notes: readonly string[];
}

/** Nothing was recorded before. */
export const NO_NOTES: ReportRules['store'] = {
  notified: async () => [],
  firstAttempt: async () => null,
  refresh: () => {},
  request: () => null,
};

export async function originOf(
  location: SourceLocation,
  input: ControlInput,
  invocation: Invocation,
): Promise<Origin | CliError> {
  if (location.spool !== null) return inSpool(location.spool, location, input, invocation);
  return {
    title: `Control message ${location.file}`,
    notes: [],
    lists: [input.queued],
    folder: location.folder,
    inSpool: false,
    store: NO_NOTES,
    waits: NO_WAITS,
    payload: async () => payloadBeside(input.queued.job.msgid, location.folder),
  };
}

async function inSpool(
  spool: string,
  { file, control }: SourceLocation,
  { queued }: ControlInput,
  { settings }: Invocation,
): Promise<Origin | CliError> {
  const notes: string[] = [];
  const opened = await viewSpool(spool, settings, (text) => notes.push(text));
  if ('kind' in opened) return opened;
  const { jobs, quarantined } = await opened.view.scan();
  const unreadable = quarantined.find(({ number }) => number === control);
  if (unreadable !== undefined)
    return cliError(
      `Control message ${control} cannot be read, and a run would set it aside: ${unreadable.reason}.`,
      EXIT.data,
    );
  const found = groupByPayload(jobs).get(queued.job.msgid);
  const isThere = found?.some((each) => each.control === control) === true;
  const lists: ControlMessages = found !== undefined && isThere ? found : [queued];
  const unwritten = lists.find((each) => each.control === control)?.unwritten ?? 0;
  if (unwritten > 0) notes.push(unwrittenText(unwritten));
  const others = lists.filter((each) => each.control !== control).map((each) => each.control);
  if (others.length > 0)
    notes.push(`The same message has job ${others.join(', ')}: a run delivers it for all of them at once.`);
  return {
    title: `Control message ${file}`,
    notes,
    lists,
    folder: spool,
    inSpool: true,
    store: notesIn(spool, nodeDisk),
    waits: (await throttlingOf(opened, settings)).waits,
    payload: async () => ({
      kind: 'payload',
      read: await opened.view.readPayload(queued.job.msgid),
      notes: [],
    }),
  };
}

/** A single file usually comes without its message. */
function payloadBeside(msgid: number, folder: string): Payload {
  const file = join(folder, String(msgid));
  const bytes = readBytes(file);
  if (!('kind' in bytes)) return { kind: 'payload', read: stored(msgid, bytes), notes: [] };
  if (bytes.exit !== EXIT.noInput) {
    const reason = bytes.text.replace(/\.$/, '');
    return { kind: 'payload', read: { kind: 'unreadable', reason }, notes: [] };
  }
  return {
    kind: 'payload',
    read: PLACEHOLDER,
    notes: [
      `The message itself (${file}) is not here; a placeholder is used instead, and its size stands in SIZE=.`,
    ],
  };
}

export function missing(msgid: number): PayloadResult {
  return { kind: 'missing', reason: `message ${msgid} is not in the export` };
}

export function stored(msgid: number, bytes: Buffer): PayloadResult {
  return bytes.length === 0
    ? { kind: 'empty', reason: `message ${msgid} is empty` }
    : { kind: 'found', message: inMemory(bytes) };
}

export const PLACEHOLDER: PayloadResult = {
  kind: 'found',
  message: inMemory(
    Buffer.from(
      'From: placeholder@localhost\r\nSubject: placeholder\r\n\r\nA placeholder for a message that is not here.\r\n',
      'latin1',
    ),
  ),
};

/** The job that is replayed, with the requests for it. */
export function replayed({ lists }: Origin, { queued }: ControlInput): QueuedJob {
  return lists.find(({ control }) => control === queued.control) ?? queued;
}
