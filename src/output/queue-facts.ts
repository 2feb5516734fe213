/** The jobs of a spool as facts, for programs and for the list that people see. Pure. */
import { isPending } from '../delivery-list/job.ts';
import { formatTime } from '../platform/clock.ts';
import { groupByPayload, isQueuedDue } from '../queue/due.ts';
import type { JobRequest, QueuedJob, Requester } from '../queue/queue.ts';
import type { Schedule } from '../queue/schedule.ts';
import { ageOf } from '../queue/schedule.ts';
import type { DecodeText } from './text.ts';
import { escapeControl, plural } from './text.ts';
import { NO_WAITS, type ThrottleWaits } from './throttling.ts';

export interface JobFacts {
  readonly job: number;
  readonly mail: number;
  /** seconds since it was queued; null: its list does not say when that was */
  readonly age: number | null;
  readonly pending: number;
  readonly delivered: number;
  readonly refused: number;
  readonly due: boolean;
  /** ISO 8601; null: the next attempt does not depend on time alone */
  readonly next: string | null;
  readonly why: string;
  /** the group of hosts that asked us to send less, for which it waits although its time has come; null: it does not */
  readonly throttled: string | null;
  /** the last reply for a recipient, preferably one that is still pending */
  readonly last: string;
  /** the envelope sender; null: the message itself names it */
  readonly sender: string | null;
  readonly recipients: readonly {
    readonly address: string;
    readonly status: number;
    readonly text: string;
  }[];
  /** recipients whose outcome is in the journal, and not yet in the list */
  readonly unwritten: number;
  /** null: no request was made for it */
  readonly request: (Requester & { readonly request: JobRequest }) | null;
}

/** Of all jobs of a spool. */
export function factsOfAll(
  jobs: readonly QueuedJob[],
  now: number,
  schedule: Schedule,
  readable: DecodeText,
  waits: ThrottleWaits = NO_WAITS,
): readonly JobFacts[] {
  const byPayload = groupByPayload(jobs);
  return jobs.map((queued) =>
    factsOf(queued, byPayload.get(queued.job.msgid) ?? [queued], now, schedule, readable, waits),
  );
}

/** @param lists all jobs with the same message */
export function factsOf(
  queued: QueuedJob,
  lists: readonly QueuedJob[],
  now: number,
  schedule: Schedule,
  readable: DecodeText,
  waits: ThrottleWaits = NO_WAITS,
): JobFacts {
  const { control, job, request, requestedBy, unwritten = 0 } = queued;
  const dueness = isQueuedDue(queued, lists, now, { schedule, force: false });
  const wait = dueness.due ? waits(lists) : null;
  const at = wait?.until ?? dueness.at;
  const withStatus = (status: number): number =>
    job.recipients.filter((each) => each.status === status).length;
  const pending = job.recipients.filter(isPending);
  const last = pending.find(({ text }) => text !== '') ?? job.recipients.find(({ text }) => text !== '');
  return {
    job: control,
    mail: job.msgid,
    age: job.submitted === null ? null : ageOf(job, now),
    pending: pending.length,
    delivered: withStatus(2),
    refused: withStatus(5),
    due: dueness.due && wait === null,
    next: at === null ? null : formatTime(at),
    why: wait?.sentences[0] ?? dueness.reason,
    throttled: wait?.group ?? null,
    last: last === undefined ? '' : `${readable(last.address)}: ${readable(last.text)}`,
    sender: job.envelopeFrom === null ? null : readable(job.envelopeFrom),
    recipients: job.recipients.map(({ address, status, text }) => ({
      address: readable(address),
      status,
      text: readable(text),
    })),
    unwritten,
    request:
      request === undefined || requestedBy === undefined
        ? null
        : { request, by: escapeControl(requestedBy.by), at: requestedBy.at },
  };
}

export function unwrittenText(recipients: number): string {
  return `What became of ${plural(recipients, 'recipient')} is in the journal, and not yet in the control message; the next run writes it there.`;
}

/** `5000 jobs: 3333 due now, 1667 waiting` */
export function queueSummary(facts: readonly JobFacts[]): string {
  const due = facts.filter((each) => each.due).length;
  return `${plural(facts.length, 'job')}: ${due} due now, ${facts.length - due} waiting`;
}

/** Pads columns to their widest cell, except the last one. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (wide, row) => row.map((cell, at) => Math.max(wide[at] ?? 0, cell.length)),
    [],
  );
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
