/**
 * What `retry`, `hold`, `release` and `remove` have in common: find the selected jobs, ask where they are many, write a request
 * for each, and say which process will carry it out. All or nothing: when one number is wrong, no request is written. Works
 * beside a running watcher and without one.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { requestEntry } from '../../../history/record.ts';
import type { HistoryWriter } from '../../../history/writer.ts';
import { factsOfAll } from '../../../output/queue-facts.ts';
import { queueList } from '../../../output/queue-list.ts';
import { type DecodeText, plural } from '../../../output/text.ts';
import { describeError, errorCode, QueueError } from '../../../platform/system-errors.ts';
import type { JobRequest, QueuedJob, Requester } from '../../../queue/queue.ts';
import type { SpoolClient } from '../../../queue/spool/open.ts';
import { scheduleFrom } from '../../../runner/rules.ts';
import { shellCommand } from '../../../settings/shell-words.ts';
import { nodeDisk } from '../../../storage/disk.ts';
import { layoutOf } from '../../../storage/layout.ts';
import { historyFor } from '../../setup/history.ts';
import { clockFor, spoolDeps, spoolOf } from '../../setup/load-config.ts';
import { becomeOwner, userName } from '../../setup/privileges.ts';
import { readableFor } from '../../setup/read-spool.ts';
import { messageSizes } from '../../setup/room/message-sizes.ts';
import { openClient } from '../../setup/room/open-client.ts';
import { type CliError, type Command, cliError, type Invocation, warner } from '../../shell/command.ts';
import { confirm } from '../../shell/confirm.ts';
import { EXIT } from '../../shell/exit.ts';
import { type Applicability, jobSelection, selectJobs } from './select-jobs.ts';

/** What `--json` prints. */
export interface SelectedJobs {
  readonly asked: JobRequest | 'release';
  readonly jobs: readonly MessageNumber[];
  /** the process that delivers from the spool now; null: none */
  readonly runner: number | null;
}

export interface JobCommand<Facts extends SelectedJobs> extends Applicability {
  readonly request: Facts['asked'];
  /** completes "This would": `hold jobs 4, 6`; `jobs` is "job 4", "jobs 4, 6" or "5000 jobs" */
  deed(jobs: string, selected: readonly QueuedJob[]): string;
  /** whether it is asked for few jobs, too */
  readonly asksAlways?: true;
  /** the requests are durable */
  complete(
    selected: SelectedJobs,
    requester: Requester,
    invocation: Invocation,
    jobs: readonly QueuedJob[],
  ): Promise<Facts | CliError>;
  /** one or more sentences; `jobs` as above */
  sentence(facts: Facts, jobs: string): string;
}

/** More jobs than these are not changed without a question. */
export const MOST_UNASKED = 10;

export function jobCommand<Facts extends SelectedJobs>(what: JobCommand<Facts>): Command {
  return async (invocation) => {
    const { settings, options, terminal } = invocation;
    const opened = await openJobs(what, invocation);
    if ('kind' in opened) return opened;
    const { jobs, selected, readable, now } = opened;
    const deed = what.deed(jobList(selected.jobs), jobs);
    if (options['dry-run'] === true) {
      const sizeOf = messageSizes(jobs, nodeDisk, layoutOf(opened.spool));
      const facts = factsOfAll(jobs, now, scheduleFrom(settings), readable).map((each) => ({
        ...each,
        size: sizeOf(each.mail),
      }));
      const list = queueList(facts, { width: terminal.width, now, grouped: true });
      const text = `This would ${deed}. Nothing was changed.\n${list}`;
      terminal.print(settings.json ? JSON.stringify({ ...selected, dryRun: true }) : text);
      return EXIT.ok;
    }
    if (what.asksAlways === true || jobs.length > MOST_UNASKED) {
      const refused = await confirmDeed(deed, invocation);
      if (refused !== null) return refused;
    }
    const done = await request(what, opened, invocation);
    if ('kind' in done) return done;
    terminal.print(settings.json ? JSON.stringify(done) : what.sentence(done, jobList(done.jobs)));
    return EXIT.ok;
  };
}

function confirmDeed(deed: string, invocation: Invocation): Promise<CliError | null> {
  return confirm(invocation, {
    does: `This would ${deed}.`,
    question: `${deed.charAt(0).toUpperCase()}${deed.slice(1)}?`,
    declined: 'Nothing was changed.',
  });
}

const MOST_NUMBERS = 20;

/** `job 4`, `jobs 4, 6` or `5000 jobs` */
export function jobList(jobs: readonly MessageNumber[]): string {
  if (jobs.length > MOST_NUMBERS) return plural(jobs.length, 'job');
  return `job${jobs.length === 1 ? '' : 's'} ${jobs.join(', ')}`;
}

interface OpenedJobs {
  readonly spool: string;
  readonly client: SpoolClient;
  readonly jobs: readonly QueuedJob[];
  readonly selected: SelectedJobs;
  readonly readable: DecodeText;
  /** Unix seconds */
  readonly now: number;
  readonly requester: Requester;
}

async function openJobs(
  what: Applicability & { readonly request: SelectedJobs['asked'] },
  { settings, options, terminal, commandText }: Invocation,
): Promise<OpenedJobs | CliError> {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const selection = jobSelection(options);
  if ('kind' in selection) return selection;
  const by = userName();
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, warner(terminal));
  const opened = await openClient(spool, settings, deps);
  if (opened.kind === 'error') return opened;
  const { client } = opened;
  const readable = await readableFor(settings);
  const now = Math.floor(clock.now() / 1000);
  const rules = { ...what, spool, deps, readable, now, commandText };
  const jobs = selectJobs(selection, await client.look(selection), rules);
  if ('kind' in jobs) return jobs;
  const numbers = jobs.map(({ control }) => control);
  const selected = { asked: what.request, jobs: numbers, runner: client.runner() };
  return { spool, client, jobs, selected, readable, now, requester: { by, at: now } };
}

async function request<Facts extends SelectedJobs>(
  what: JobCommand<Facts>,
  { spool, client, jobs, selected, readable, requester }: OpenedJobs,
  invocation: Invocation,
): Promise<Facts | CliError> {
  const { settings, terminal } = invocation;
  const clock = clockFor(settings);
  const history = await historyFor(spool, settings, { clock, readable, warn: warner(terminal) });
  const failure = await requestJobs({ client, history, readable }, what.request, jobs, requester);
  await history?.close();
  return failure ?? what.complete(selected, requester, invocation, jobs);
}

/** The requests are durable, and in the history. */
export async function requestJobs(
  {
    client,
    history,
    readable,
  }: Pick<OpenedJobs, 'client' | 'readable'> & { readonly history: HistoryWriter | null },
  request: SelectedJobs['asked'],
  jobs: readonly QueuedJob[],
  requester: Requester,
): Promise<CliError | null> {
  const failure = await writeRequests(client, request, jobs, requester);
  if (failure !== null) return failure;
  for (const job of jobs) history?.write(requestEntry(request, job, requester.by, readable));
  history?.flush();
  return null;
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
      `The request could not be written to ${client.name}: ${describeError(error)}. It may be in effect for some of the jobs: \`${shellCommand('queue', '--spool', client.name)}\` shows which.`,
      EXIT.io,
    );
  }
}
