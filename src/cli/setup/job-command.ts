/**
 * What `retry`, `hold`, `release` and `remove` have in common: find the jobs that are meant, leave a request for each, say
 * who heeds it. All or nothing: when one number is wrong, nothing is asked. Works beside a running watcher and without one.
 */
import { userInfo } from 'node:os';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { escapeControl, plural } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { JobRequest, QueuedJob, QueueScan, Requester } from '../../queue/queue.ts';
import { locateMessage } from '../../queue/spool/inspect.ts';
import type { SpoolClient } from '../../queue/spool/open.ts';
import { openSpoolClient } from '../../queue/spool/open.ts';
import { messageNumber } from '../../storage/layout.ts';
import type { Command, Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import type { CliError } from './load-config.ts';
import { cliError, clockFor, controlSettings, openError, spoolDeps, spoolOf } from './load-config.ts';
import { matchesRecipient } from './selection.ts';

/** The facts for programs. */
export interface SelectedJobs {
  readonly asked: JobRequest | 'release';
  readonly jobs: readonly MessageNumber[];
  /** number of the process that delivers from the spool now */
  readonly runner: number | null;
}

export interface JobCommand<Facts extends SelectedJobs> {
  readonly request: Facts['asked'];
  /** why nothing can be asked for this job, completing "Job N "; null: it can */
  unfit(queued: QueuedJob): string | null;
  /** the last moment to say no */
  consent?(jobs: readonly QueuedJob[], invocation: Invocation): Promise<CliError | null>;
  /** the requests are durable */
  afterwards(asked: SelectedJobs, asker: Requester, invocation: Invocation): Promise<Facts | CliError>;
  /** one or more sentences; `jobs` is "job 4", "jobs 4, 6" or "5000 jobs" */
  sentence(facts: Facts, jobs: string): string;
}

export function jobCommand<Facts extends SelectedJobs>(what: JobCommand<Facts>): Command {
  return async (invocation) => {
    const { settings, terminal } = invocation;
    const done = await perform(what, invocation);
    if ('kind' in done) {
      terminal.tell(`spoolroom: ${done.text}`);
      return done.exit;
    }
    terminal.print(settings.json ? JSON.stringify(done) : what.sentence(done, shown(done.jobs)));
    return EXIT.ok;
  };
}

const MOST_NUMBERS = 20;

function shown(jobs: readonly MessageNumber[]): string {
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
  const words = [options.jobs ?? []].flat();
  const many = manyMeant(words, options);
  if (many !== null && 'kind' in many) return many;
  const clock = clockFor(settings);
  const warn = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const deps = spoolDeps(clock, warn);
  const opened = await openSpoolClient(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  const { client: guest } = opened;
  const absent = (number: MessageNumber): string =>
    `There is no job ${number} in ${spool}: ${escapeControl(locateMessage(deps.disk, spool, number))}`;
  const scan = await guest.scan();
  const jobs = many === null ? jobsNamed(words, scan, absent, what) : jobsMeant(many, scan, what);
  if ('kind' in jobs) return jobs;
  const refused = (await what.consent?.(jobs, invocation)) ?? null;
  if (refused !== null) return refused;

  const asker = { by: userInfo().username, at: Math.floor(clock.now() / 1000) };
  const failure = await leaveRequests(guest, what.request, jobs, asker);
  if (failure !== null) return failure;
  const asked = { asked: what.request, jobs: jobs.map(({ control }) => control), runner: guest.runner() };
  return what.afterwards(asked, asker, invocation);
}

/** Jobs that are not named one by one. */
interface Many {
  /** completing "No job ..." */
  readonly none: string;
  readonly selects: (queued: QueuedJob) => boolean;
}

/** `--all` or `--to WORD`; null: the numbers count. */
function manyMeant(words: readonly unknown[], { all, to }: Invocation['options']): Many | CliError | null {
  const ways = [words.length > 0, all === true, typeof to === 'string'].filter(Boolean).length;
  if (ways !== 1) {
    return cliError(
      'Which jobs? Name their numbers, or say --to WORD for those to an address or domain, or --all: one of the three. Nothing was changed.',
      EXIT.usage,
    );
  }
  if (all === true) return { none: 'is there for which that can be asked', selects: () => true };
  return typeof to === 'string'
    ? { none: `for ${escapeControl(to)} is there for which that can be asked`, selects: matchesRecipient(to) }
    : null;
}

/** Those for which nothing can be asked are not meant. */
function jobsMeant(
  { none, selects }: Many,
  { jobs }: QueueScan,
  { unfit }: Pick<JobCommand<SelectedJobs>, 'unfit'>,
): readonly QueuedJob[] | CliError {
  const meant = jobs.filter((queued) => unfit(queued) === null && selects(queued));
  return meant.length > 0 ? meant : cliError(`No job ${none}. Nothing was changed.`, EXIT.noInput);
}

function jobsNamed(
  words: readonly unknown[],
  scan: QueueScan,
  absent: (number: MessageNumber) => string,
  { unfit }: Pick<JobCommand<SelectedJobs>, 'unfit'>,
): readonly QueuedJob[] | CliError {
  const jobs = new Map<MessageNumber, QueuedJob>();
  for (const word of words.map(String)) {
    const number = messageNumber(word);
    if (number === null)
      return cliError(`${escapeControl(word)} is not the number of a job. Nothing was changed.`, EXIT.usage);
    const queued = scan.jobs.find(({ control }) => control === number);
    if (queued === undefined) return noSuchJob(number, scan, absent);
    const why = unfit(queued);
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
      `The control message ${number} cannot be read: ${escapeControl(reason)}. Nothing was changed.`,
      EXIT.data,
    );
  }
  const theirs = jobs.filter(({ job }) => job.msgid === number).map(({ control }) => control);
  return cliError(
    theirs.length > 0
      ? `${number} is a mail; the number of its job is ${theirs.join(' or ')}. Nothing was changed.`
      : `${absent(number)} Nothing was changed.`,
    EXIT.noInput,
  );
}

async function leaveRequests(
  guest: SpoolClient,
  request: SelectedJobs['asked'],
  jobs: readonly QueuedJob[],
  asker: Requester,
): Promise<CliError | null> {
  try {
    await (request === 'release' ? guest.withdraw(jobs) : guest.request(request, jobs, asker));
    return null;
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(
      `What you asked could not be written to ${guest.name}: ${describeError(error)}. It may count for some of the jobs: \`spoolroom queue\` shows it.`,
      EXIT.io,
    );
  }
}
