/** Parts of the queue for somebody who looks at it page by page. Changes nothing, and keeps nothing in memory. */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import type { QuarantinedMessage, QueuedJob, QueueState } from '../queue.ts';
import type { Database } from './database/database.ts';
import { eachPage, jobsIn } from './look.ts';
import { stateOf } from './state.ts';
import { Unreadable } from './unreadable.ts';

/** Numbers ascend with time, so the oldest jobs are those with the lowest. A time of 0 is at once. */
const ORDERS = { newest: 'control DESC', oldest: 'control', next: 'due, control DESC' } as const;

export interface Browser {
  /** @param now Unix seconds */
  state(now: number): Promise<QueueState>;
  /** jobs without a hold whose time has come, or for which a try was asked */
  due(now: number): Promise<number>;
  /** machines, and the processes on them that deliver now */
  workers(): Promise<{ readonly machines: number; readonly processes: number }>;
  page(order: keyof typeof ORDERS, first: number, count: number): Promise<readonly QueuedJob[]>;
  /** all jobs with these messages */
  carrying(messages: readonly MessageNumber[]): Promise<readonly QueuedJob[]>;
  /** all of them, some at a time */
  pages(): AsyncIterable<readonly QueuedJob[]>;
  /** lists that cannot be read */
  unreadable(): Promise<readonly QuarantinedMessage[]>;
  close(): Promise<void>;
}

export function browser(database: Database, options: ParseOptions): Browser {
  const deps = { database, options };
  return {
    state: (now) => stateOf(database, now),
    async due(now) {
      const [row] = await database.query(
        `SELECT count(*)::float8 AS due FROM spoolroom.job
          WHERE message IS NOT NULL AND (request IN ('retry', 'give-up') OR request IS NULL AND due <= $1)`,
        [now],
      );
      return Number(row?.due);
    },
    async workers() {
      const [row] = await database.query(
        `SELECT count(DISTINCT host)::float8 AS machines, count(*)::float8 AS processes FROM spoolroom.worker
          WHERE lease_until > clock_timestamp()`,
      );
      return { machines: Number(row?.machines), processes: Number(row?.processes) };
    },
    async page(order, first, count) {
      const rows = await database.query(
        `SELECT control::float8 AS number FROM spoolroom.job WHERE message IS NOT NULL AND request IS DISTINCT FROM 'remove'
          ORDER BY ${ORDERS[order]} LIMIT $1 OFFSET $2`,
        [count, first],
      );
      const numbers = rows.map(({ number }) => number as MessageNumber);
      const jobs = new Map((await jobsIn(deps, 'control', numbers)).map((job) => [job.control, job]));
      return numbers.flatMap((number) => jobs.get(number) ?? []);
    },
    carrying: (messages) => jobsIn(deps, 'message', messages),
    pages: () => eachPage(deps),
    unreadable: () => new Unreadable(database).all(),
    close: () => database.close(),
  };
}
