/** The part of `check` that looks at a queue in PostgreSQL: the server, the processes that deliver from it, what waits there. */
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { duration, escapeControl, plural } from '../../output/text.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { type Health, health, type Worker } from '../../queue/postgres/health.ts';
import { openDatabase } from '../../queue/postgres/open.ts';
import { SCHEMA } from '../../queue/postgres/schema/schema.ts';

/** Seconds by which clocks may differ. */
const CLOCK = 5;
/** Dead rows from which on a table is told to be swollen, where they are more than those alive. */
const SWOLLEN = 100_000;
/** Seconds. */
const LONG_CLAIM = 6 * 3600;
const LONG_TRANSACTION = 3600;

/** @param now Unix seconds, with fractions */
export async function checkPostgres(address: string, now: () => number): Promise<readonly Finding[]> {
  const opened = await openDatabase(address);
  if (opened.kind === 'refused')
    return [problem('postgres', escapeControl(opened.text), 'No mail is delivered or accepted.')];
  const { database } = opened;
  try {
    return findings(database.name, await health(database, now));
  } catch (error) {
    if (!(error instanceof QueueError)) throw error;
    return [problem('postgres', escapeControl(error.message), 'No mail is delivered or accepted.')];
  } finally {
    await database.close();
  }
}

function findings(name: string, found: Health): readonly Finding[] {
  const { version, schema, unsafe, ahead, jobs, held } = found;
  const known = SCHEMA.versions.length;
  const own =
    schema === known ? 'as this program' : `newer than ${known} of this program, which may work with them`;
  return [
    ok('postgres', `${name} is ${version}; its tables have version ${schema}, ${own}`),
    ...unsafe.map((text) =>
      problem('postgres', `the server has ${text}`, 'What it has acknowledged may be lost: turn it on.'),
    ),
    replication(found),
    ...(Math.abs(ahead) < CLOCK
      ? []
      : [
          warning(
            'clock',
            `the clock of this machine is ${duration(Math.abs(ahead) * 1000)} ${ahead > 0 ? 'ahead of' : 'behind'} the database's`,
            'Times in the lists are written by it, so retries come too early or too late. Use NTP on all machines.',
          ),
        ]),
    ok('jobs', `${plural(jobs, 'job')}; ${plural(found.claimed, 'message')} claimed, ${held} held`),
    runner(found),
    ...claims(found),
    ...found.workers.filter(({ left }) => left <= 0).map((worker) => endedLease(worker, found)),
    ...vacuum(found),
  ];
}

/** Whether a failover forgets what was acknowledged, and whether anything is acknowledged at all. */
function replication({ standbys, replicas }: Health): Finding {
  const named = replicas.map(({ name, state, sync }) =>
    escapeControl(sync === null ? name : `${name} (${state}, ${sync})`),
  );
  const connected = named.length === 0 ? 'none is connected' : `connected: ${named.join(', ')}`;
  if (standbys === '')
    return ok(
      'replication',
      `no standby is waited for, so a failover may forget the last transactions (synchronous_standby_names); ${connected}`,
    );
  const isKnown = replicas.every(({ sync }) => sync !== null);
  const isInStep = replicas.some(({ sync }) => sync === 'sync' || sync === 'quorum');
  const waits = `commits wait for synchronous standbys (${escapeControl(standbys)}); ${connected}`;
  if (replicas.length === 0 || (isKnown && !isInStep))
    return problem(
      'replication',
      waits,
      'Nothing is committed until one is there: no mail is accepted, and no outcome recorded. Start it, or take it out of the setting.',
    );
  return isKnown
    ? ok('replication', waits)
    : ok('replication', `${waits}; how they are, this user may not see (GRANT pg_read_all_stats shows it)`);
}

function runner({ workers, late }: Health): Finding {
  const alive = workers.filter(({ left }) => left > 0);
  const who = alive.map(({ host, pid }) => `process ${pid} on ${escapeControl(host)}`).join(', ');
  if (late === 0) return ok('runner', alive.length === 0 ? 'no process is delivering' : `${who} delivering`);
  return alive.length === 0
    ? problem(
        'runner',
        `no process is delivering, and ${plural(late, 'message')} overdue`,
        'Start `spoolroom watch` on a machine.',
      )
    : warning(
        'runner',
        `${plural(late, 'message')} overdue; ${who} delivering`,
        'They do not keep up, or hosts are slow: see their logs.',
      );
}

function claims({ oldestClaim }: Health): readonly Finding[] {
  if (oldestClaim === null) return [];
  const text = `the claimed message that has waited longest was due ${duration(oldestClaim * 1000)} ago`;
  return [
    oldestClaim < LONG_CLAIM
      ? ok('claims', text)
      : warning(
          'claims',
          text,
          'Its process is alive, and slow with it: `spoolroom queue --sort age`, and the log of that process.',
        ),
  ];
}

function endedLease({ host, pid, left, messages }: Worker, { workers }: Health): Finding {
  const isAlone = workers.every((other) => other.left <= 0);
  return warning(
    'lease',
    `the lease of process ${pid} on ${escapeControl(host)} ended ${duration(-left * 1000)} ago, with ${plural(messages, 'message')} claimed`,
    isAlone
      ? 'It died or hangs, and nobody else delivers: start `spoolroom watch` on a machine, which takes them over.'
      : 'It died or hangs. Another process takes them over when it looks for work next; see what happened on that machine.',
  );
}

function vacuum({ bloat, transaction }: Health): readonly Finding[] {
  const findings: Finding[] = [];
  if (bloat !== null) {
    const { table, dead, alive, vacuumed } = bloat;
    const when = vacuumed === null ? 'never cleaned up' : `cleaned up ${duration(vacuumed * 1000)} ago`;
    const text = `the table spoolroom.${table} has ${plural(dead, 'dead row')} and ${plural(alive, 'other')}, ${when}`;
    findings.push(
      dead > SWOLLEN && dead > alive
        ? warning(
            'vacuum',
            text,
            'Claims become slow. See that autovacuum runs, and that no old transaction is open.',
          )
        : ok('vacuum', text),
    );
  }
  if (transaction !== null && transaction.age > LONG_TRANSACTION)
    findings.push(
      warning(
        'vacuum',
        `a transaction of ${escapeControl(transaction.program) || 'a program without a name'} has been open for ${duration(transaction.age * 1000)}`,
        `No row that died since is removed, and tables grow. End it there, or: SELECT pg_terminate_backend(${transaction.pid});`,
      ),
    );
  return findings;
}
