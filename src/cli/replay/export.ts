/** The part of `replay` that reads a Citadel export: all jobs in it, or one. The file is streamed, from the beginning each time. */
import { createReadStream } from 'node:fs';
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import type { NumberRange } from '../../message/citadel-export.ts';
import type { JobFacts } from '../../output/queue-facts.ts';
import { queueList } from '../../output/queue-list.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { QUEUE_ROOM } from '../../queue/citadel/client/protocol.ts';
import { readExport } from '../../replay/export.ts';
import type { ControlInput } from '../../replay/input.ts';
import type { CliError } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export interface ExportedQueue {
  readonly jobs: readonly JobFacts[];
  readonly unreadable: readonly { readonly number: MessageNumber; readonly reason: string }[];
  /** jobs that, according to the export, were not in the queue room: the server does not try them */
  readonly elsewhere: readonly MessageNumber[];
  /** what could not be read in the export */
  readonly problems: readonly string[];
}

export interface ExportedJob {
  readonly kind: 'job';
  readonly input: ControlInput;
  readonly problems: readonly string[];
}

export function piecesOf(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: 262_144 });
}

export async function exportedQueue(
  file: string,
  parse: ParseOptions,
  facts: (input: ControlInput) => JobFacts,
): Promise<ExportedQueue | CliError> {
  const jobs: JobFacts[] = [];
  const unreadable: { number: MessageNumber; reason: string }[] = [];
  const problems = new Set<string>();
  let messages = 0;
  let queue: readonly NumberRange[] | null = null;
  for await (const found of readExport(piecesOf(file), parse)) {
    switch (found.kind) {
      case 'control':
        jobs.push(facts(found.input));
        break;
      case 'unreadable':
        unreadable.push({ number: found.number, reason: found.reason });
        break;
      case 'message':
        messages += 1;
        break;
      case 'room':
        if (found.name === QUEUE_ROOM) queue = found.ranges;
        break;
      case 'problem':
        problems.add(found.text);
        break;
    }
  }
  if (jobs.length + unreadable.length === 0) return noJob(file, messages, problems);
  const ranges = queue;
  const outside = ({ job }: JobFacts): boolean =>
    ranges !== null && !ranges.some(({ first, last }) => first <= job && job <= last);
  return {
    jobs: jobs.sort((a, b) => a.job - b.job),
    unreadable,
    elsewhere: jobs.filter(outside).map(({ job }) => job),
    problems: [...problems],
  };
}

function noJob(file: string, messages: number, problems: ReadonlySet<string>): CliError {
  const sentence =
    messages === 0
      ? `${file} is XML, but holds no message of a Citadel export.`
      : `${file} holds ${plural(messages, 'message')}, but no control message.`;
  return cliError([sentence, ...[...problems].map(escapeControl)].join('\n'), EXIT.data);
}

/** @param now Unix seconds */
export function exportedQueueText(
  { jobs, unreadable, elsewhere, problems }: ExportedQueue,
  now: number,
): string {
  return [
    ...(jobs.length === 0 ? [] : [queueList(jobs, { width: null, now, grouped: false })]),
    ...unreadable.map(({ number, reason }) => `message ${number} ${escapeControl(reason)}`),
    ...(elsewhere.length === 0 ? [] : [`not in the room ${QUEUE_ROOM}: ${elsewhere.join(', ')}`]),
    ...problems.map((problem) => `note: ${escapeControl(problem)}`),
  ].join('\n');
}

/** The first message of this number, which must be a control message. */
export async function exportedJob(
  file: string,
  number: MessageNumber,
  parse: ParseOptions,
): Promise<ExportedJob | CliError> {
  let job: ControlInput | CliError | null = null;
  const problems = new Set<string>();
  for await (const found of readExport(piecesOf(file), parse)) {
    if (found.kind === 'problem') problems.add(found.text);
    if (job !== null || found.kind === 'room' || found.kind === 'problem' || found.number !== number)
      continue;
    switch (found.kind) {
      case 'control':
        job = found.input;
        break;
      case 'unreadable':
        job = cliError(`Message ${number} of ${file} ${escapeControl(found.reason)}.`, EXIT.data);
        break;
      case 'message':
        job = cliError(
          `Message ${number} of ${file} is not a control message; without a number all control messages are listed.`,
          EXIT.data,
        );
        break;
    }
  }
  if (job === null) {
    const sentence = `${file} holds no message ${number}; without a number all control messages are listed.`;
    return cliError([sentence, ...[...problems].map(escapeControl)].join('\n'), EXIT.noInput);
  }
  return job.kind === 'error' ? job : { kind: 'job', input: job, problems: [...problems] };
}
