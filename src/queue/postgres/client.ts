/** A queue in PostgreSQL beside its workers: adds jobs, looks at them, and asks for things. Claims nothing. */

import type { Clock } from '../../platform/clock.ts';
import type { ControlSettings } from '../control-message.ts';
import type { QueueClient, QueuedJob } from '../queue.ts';
import { readBody } from './bodies.ts';
import { parsing } from './claims/claimed-job.ts';
import type { Database } from './database/database.ts';
import { createEnqueue } from './enqueue.ts';
import { throttledRows } from './limits/throttled.ts';
import { lookAround } from './look.ts';
import { stateOf } from './state.ts';
import { Unreadable } from './unreadable.ts';

/** @param present Unix seconds that count as the present; null: the database's clock */
export function postgresClient(
  database: Database,
  control: ControlSettings,
  present: () => number | null,
  clock: Clock,
): QueueClient {
  const options = parsing(control.dialect, control.longestList);
  const unreadable = new Unreadable(database);
  const ask = async (request: string | null, jobs: readonly QueuedJob[], by: string, at: number) => {
    await database.repeatable('SELECT spoolroom.ask($1, $2, $3, $4, $5)', [
      ...[jobs.map((job) => job.control), request, by, at, present()],
    ]);
  };
  return {
    name: database.name,
    // There may be many, on other machines.
    runner: () => null,
    scan: () => lookAround({ database, options }, {}, unreadable),
    look: (wanted) => lookAround({ database, options }, wanted, unreadable),
    state: (now) => stateOf(database, now),
    throttled: throttledRows(database, null),
    readPayload: (payload) => readBody(database, payload),
    prepare: () => {},
    enqueue: createEnqueue(database, clock, present),
    request: (request, jobs, { by, at }) => ask(request, jobs, by, at),
    withdraw: (jobs) => ask(null, jobs, '', 0),
  };
}
