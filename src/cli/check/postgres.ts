/** The part of `check` that looks at a queue in PostgreSQL: the server, the processes that deliver from it, what waits there. */
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { duration, escapeControl, plural } from '../../output/text.ts';
import { QueueError } from '../../platform/system-errors.ts';
import { type Health, health } from '../../queue/postgres/health.ts';
import { openDatabase } from '../../queue/postgres/open.ts';

/** Seconds by which clocks may differ. */
const CLOCK = 5;
/** Dead rows from which on a table is told to be swollen, where they are more than those alive. */
const SWOLLEN = 100_000;

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
  const { version, unsafe, standbys, ahead, workers, jobs, claimed, held, late, bloat } = found;
  const alive = workers.filter(({ left }) => left > 0);
  const who = alive.map(({ host, pid }) => `process ${pid} on ${escapeControl(host)}`).join(', ');
  return [
    ok(
      'postgres',
      `${name} is ${version}${standbys === '' ? '' : `, with synchronous standbys (${standbys})`}`,
    ),
    ...unsafe.map((text) =>
      problem('postgres', `the server has ${text}`, 'What it has acknowledged may be lost: turn it on.'),
    ),
    ...(Math.abs(ahead) < CLOCK
      ? []
      : [
          warning(
            'clock',
            `the clock of this machine is ${duration(Math.abs(ahead) * 1000)} ${ahead > 0 ? 'ahead of' : 'behind'} the database's`,
            'Times in the lists are written by it, so retries come too early or too late. Use NTP on all machines.',
          ),
        ]),
    ok('jobs', `${plural(jobs, 'job')}; ${plural(claimed, 'message')} claimed, ${held} held`),
    alive.length === 0 && late > 0
      ? problem(
          'runner',
          `no process is delivering, and ${plural(late, 'message')} overdue`,
          'Start `spoolroom watch` on a machine.',
        )
      : late > 0
        ? warning(
            'runner',
            `${plural(late, 'message')} overdue; ${who} delivering`,
            'They do not keep up, or hosts are slow: see their logs.',
          )
        : ok('runner', alive.length === 0 ? 'no process is delivering' : `${who} delivering`),
    ...(bloat !== null && bloat.dead > SWOLLEN && bloat.dead > bloat.alive
      ? [
          warning(
            'vacuum',
            `the table spoolroom.${bloat.table} has ${bloat.dead} dead rows and ${bloat.alive} others`,
            'Claims become slow. See that autovacuum runs, and that no old transaction is open.',
          ),
        ]
      : []),
  ];
}
