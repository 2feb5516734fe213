/**
 * What lies in a spool, as a table for people and as facts for programs. Pure; called by `queue`.
 */
import { isPending } from '../control/job.ts';
import { isQueuedDue } from '../plan/due.ts';
import type { Schedule } from '../plan/schedule.ts';
import { ageOf } from '../plan/schedule.ts';
import type { QueuedJob } from '../room/room.ts';
import type { ForPeople } from './people.ts';
import { calendar, wholeSpan } from './people.ts';

export interface JobFacts {
  readonly job: number;
  readonly mail: number;
  /** seconds */
  readonly age: number;
  readonly pending: number;
  readonly delivered: number;
  readonly refused: number;
  readonly due: boolean;
  /** ISO 8601, or null when time alone does not bring the next try */
  readonly next: string | null;
  readonly why: string;
  /** what was said last about a recipient that is still pending */
  readonly last: string;
}

export function factsOf(queued: QueuedJob, now: number, schedule: Schedule, readable: ForPeople): JobFacts {
  const { control, job } = queued;
  const dueness = isQueuedDue(queued, now, { schedule, force: false });
  const withStatus = (status: number): number =>
    job.recipients.filter((each) => each.status === status).length;
  const pending = job.recipients.filter(isPending);
  const last = pending.find(({ text }) => text !== '') ?? job.recipients.find(({ text }) => text !== '');
  return {
    job: control,
    mail: job.msgid,
    age: ageOf(job, now),
    pending: pending.length,
    delivered: withStatus(2),
    refused: withStatus(5),
    due: dueness.due,
    next: dueness.at === null ? null : calendar(dueness.at),
    why: dueness.reason,
    last: last === undefined ? '' : `${readable(last.address)}: ${readable(last.text)}`,
  };
}

export function queueTable(facts: readonly JobFacts[]): string {
  const head = ['job', 'mail', 'age', 'pending', 'next try', 'last answer'];
  const rows = facts.map((each) => [
    String(each.job),
    String(each.mail),
    wholeSpan(each.age),
    `${each.pending} of ${each.pending + each.delivered + each.refused}`,
    each.due ? 'now' : (each.next ?? each.why),
    each.last,
  ]);
  return columns([head, ...rows]);
}

/** Columns as wide as their widest cell, the last one as wide as it likes. */
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
