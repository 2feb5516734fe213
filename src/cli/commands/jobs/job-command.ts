/**
 * What `retry`, `hold`, `release` and `remove` have in common: find the selected jobs, write a request for each, and say
 * which process will carry it out. All or nothing: when one number is wrong, no request is written. Works beside a running
 * watcher and without one.
 */
import { userInfo } from 'node:os';
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { requestEntry } from '../../../history/record.ts';
import { escapeControl, plural } from '../../../output/text.ts';
import { describeError, errorCode, QueueError } from '../../../platform/system-errors.ts';
import type { JobRequest, QueuedJob, QueueScan, Requester } from '../../../queue/queue.ts';
import { locateMessage } from '../../../queue/spool/inspect.ts';
import type { SpoolClient } from '../../../queue/spool/open.ts';
import { openSpoolClient } from '../../../queue/spool/open.ts';
import { messageNumber } from '../../../storage/layout.ts';
import { historyFor } from '../../setup/history.ts';
import { clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../../setup/load-config.ts';
import { becomeOwner } from '../../setup/privileges.ts';
import { readableFor } from '../../setup/read-spool.ts';
import { matchesRecipient } from '../../setup/selection.ts';
import { type CliError, type Command, cliError, type Invocation, warner } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

/** What `--json` prints. */
export interface SelectedJobs {
  readonly asked: JobRequest | 'release';
  readonly jobs: readonly MessageNumber[];
  /** the process that delivers from the spool now; null: none */
  readonly runner: number | null;
}

export interface JobCommand<Facts extends SelectedJobs> {
  readonly request: Facts['asked'];
  /** of the request: "No job can be PARTICIPLE." */
  readonly participle: string;
  /** why the request does not apply to this job, completing "Job N "; null: it does */
  inapplicable(queued: QueuedJob): string | null;
  /** asks before anything is written */
  confirm?(jobs: readonly QueuedJob[], invocation: Invocation): Promise<CliError | null>;
  /** the requests are durable */
  complete(selected: SelectedJobs, requester: Requester, invocation: Invocation): Promise<Facts | CliError>;
  /** one or more sentences; `jobs` is "job 4", "jobs 4, 6" or "5000 jobs" */
  sentence(facts: Facts, jobs: string): string;
}

export function jobCommand<Facts extends SelectedJobs>(what: JobCommand<Facts>): Command {
  return async (invocation) => {
    const { settings, terminal } = invocation;
    const done = await perform(what, invocation);
    if ('kind' in done) return done;
    terminal.print(settings.json ? JSON.stringify(done) : what.sentence(done, jobList(done.jobs)));
    return EXIT.ok;
  };
}

const MOST_NUMBERS = 20;

function jobList(jobs: readonly MessageNumber[]): string {
  if (jobs.length > MOST_NUMBERS) return plural(jobs.length, 'job');
  return `job${jobs.length === 1 ? '' : 's'} ${jobs.join(', ')}`;
}

async function perform<Facts extends SelectedJobs>(
  what: JobCommand<Facts>,
  invocation: Invocation,
): Promise<Facts | CliError> {
  const { settings, options, terminal } = invocation;
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const numbers = [options.jobs ?? []].flat();
  const filter = filterFrom(numbers, options);
  if (filter !== null && 'kind' in filter) return filter;
  const { username: by } = userInfo();
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, warner(terminal));
  const opened = await openSpoolClient(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  const { client } = opened;
  const absent = (number: MessageNumber): string =>
    `There is no job ${number} in ${spool}: ${escapeControl(locateMessage(deps.disk, spool, number))}`;
  const scan = await client.scan();
  const jobs = filter === null ? jobsByNumber(numbers, scan, absent, what) : jobsByFilter(filter, scan, what);
  if ('kind' in jobs) return jobs;
  const refused = (await what.confirm?.(jobs, invocation)) ?? null;
  if (refused !== null) return refused;

  const requester = { by, at: Math.floor(clock.now() / 1000) };
  const failure = await writeRequests(client, what.request, jobs, requester);
  if (failure !== null) return failure;
  const readable = await readableFor(settings);
  const history = historyFor(spool, settings, { clock, readable, warn: warner(terminal) });
  for (const job of jobs) history?.write(requestEntry(what.request, job, by, readable));
  history?.flush();
  const selected = {
    asked: what.request,
    jobs: jobs.map(({ control }) => control),
    runner: client.runner(),
  };
  return what.complete(selected, requester, invocation);
}

/** Selects jobs otherwise than by number. */
interface JobFilter {
  /** when it selects no job */
  readonly none: string;
  readonly selects: (queued: QueuedJob) => boolean;
}

/** `--all` or `--to ADDRESS|DOMAIN`; null: jobs are given by number. */
function filterFrom(
  numbers: readonly unknown[],
  { all, to }: Invocation['options'],
): JobFilter | CliError | null {
  const ways = [numbers.length > 0, all === true, typeof to === 'string'].filter(Boolean).length;
  if (ways !== 1) {
    return cliError('Give job numbers, or --to ADDRESS|DOMAIN, or --all. Nothing was changed.', EXIT.usage);
  }
  if (all === true) return { none: 'No job', selects: () => true };
  return typeof to === 'string'
    ? { none: `No job for ${escapeControl(to)}`, selects: matchesRecipient(to) }
    : null;
}

/** Jobs to which the request does not apply are left out. */
function jobsByFilter(
  { none, selects }: JobFilter,
  { jobs }: QueueScan,
  { inapplicable, participle }: Pick<JobCommand<SelectedJobs>, 'inapplicable' | 'participle'>,
): readonly QueuedJob[] | CliError {
  const selected = jobs.filter((queued) => inapplicable(queued) === null && selects(queued));
  return selected.length > 0
    ? selected
    : cliError(`${none} can be ${participle}. Nothing was changed.`, EXIT.noInput);
}

function jobsByNumber(
  numbers: readonly unknown[],
  scan: QueueScan,
  absent: (number: MessageNumber) => string,
  { inapplicable }: Pick<JobCommand<SelectedJobs>, 'inapplicable'>,
): readonly QueuedJob[] | CliError {
  const jobs = new Map<MessageNumber, QueuedJob>();
  for (const word of numbers.map(String)) {
    const number = messageNumber(word);
    if (number === null)
      return cliError(`${escapeControl(word)} is not a job number. Nothing was changed.`, EXIT.usage);
    const queued = scan.jobs.find(({ control }) => control === number);
    if (queued === undefined) return noSuchJob(number, scan, absent);
    const why = inapplicable(queued);
    if (why !== null) return cliError(`Job ${number} ${why}. Nothing was changed.`, EXIT.data);
    jobs.set(number, queued);
  }
  return [...jobs.values()];
}

function noSuchJob(
  number: MessageNumber,
  { jobs, quarantined }: QueueScan,
  absent: (number: MessageNumber) => string,
): CliError {
  const reason = quarantined.find((each) => each.number === number)?.reason;
  if (reason !== undefined) {
    return cliError(
      `Control message ${number} cannot be read: ${escapeControl(reason)}. Nothing was changed.`,
      EXIT.data,
    );
  }
  const carrying = jobs.filter(({ job }) => job.msgid === number).map(({ control }) => control);
  return cliError(
    carrying.length > 0
      ? `${number} is a message; its job is ${carrying.join(' or ')}. Nothing was changed.`
      : `${absent(number)} Nothing was changed.`,
    EXIT.noInput,
  );
}

async function writeRequests(
  client: SpoolClient,
  request: SelectedJobs['asked'],
  jobs: readonly QueuedJob[],
  requester: Requester,
): Promise<CliError | null> {
  try {
    await (request === 'release' ? client.withdraw(jobs) : client.request(request, jobs, requester));
    return null;
  } catch (error) {
    if (error instanceof QueueError)
      return cliError(`${error.message} Nothing was changed.`, EXIT.noPermission);
    if (errorCode(error) === null) throw error;
    return cliError(
      `The request could not be written to ${client.name}: ${describeError(error)}. It may be in effect for some of the jobs: \`spoolroom queue\` shows which.`,
      EXIT.io,
    );
  }
}
