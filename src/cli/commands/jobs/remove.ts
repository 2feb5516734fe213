/**
 * `spoolroom remove N`: move jobs, and their messages where no other job needs them, from the spool to `.spoolroom/removed/`.
 * Nothing is deleted. A process that delivers from the spool does it; where there is none, this command does, with the lock.
 */
import { isPending } from '../../../delivery-list/job.ts';
import { quarantineEvent } from '../../../output/log/log-events.ts';
import { escapeControl, plural } from '../../../output/text.ts';
import type { QueuedJob } from '../../../queue/queue.ts';
import { openSpoolQueue } from '../../../queue/spool/open.ts';
import { removalFolder } from '../../../queue/spool/requests/removal.ts';
import { layoutOf } from '../../../storage/layout.ts';
import { clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../../setup/load-config.ts';
import { type CliError, type Command, type Invocation, warner } from '../../shell/command.ts';
import { type JobCommand, jobCommand, type SelectedJobs } from './job-command.ts';

interface Removed extends SelectedJobs {
  /** whether they have left the spool */
  readonly done: boolean;
  /** where they are, or will be; null: in the database, which keeps them for a while */
  readonly folder: string | null;
}

/** With `--report` the senders are told, as of any other refusal. */
export const command: Command = (invocation) =>
  (invocation.options.report === true ? jobCommand(GIVE_UP) : jobCommand(REMOVE))(invocation);

export const GIVE_UP: JobCommand<SelectedJobs> = {
  request: 'give-up',
  participle: 'given up',
  deed: (jobs, selected) => `give up ${jobs} with ${pendingIn(selected)}, and tell the senders`,
  asksAlways: true,
  inapplicable: ({ job }) => (job.recipients.some(isPending) ? null : 'has no pending recipients'),
  complete: async (selected) => selected,
  sentence: ({ runner }, jobs) =>
    `to be given up: ${jobs}. ${runner === null ? 'The next run' : `Process ${runner}, which delivers from this spool,`} ` +
    'will do it, and tell the senders.',
};

export const REMOVE: JobCommand<Removed> = {
  request: 'remove',
  participle: 'removed',
  deed: (jobs, selected) => `remove ${jobs} with ${pendingIn(selected)}, without a report to the senders`,
  asksAlways: true,
  inapplicable: () => null,
  async complete(selected, requester, invocation) {
    const spool = spoolOf(invocation.settings);
    if (typeof spool !== 'string') return spool;
    if (invocation.settings.postgres !== null) return { ...selected, done: false, folder: null };
    const folder = removalFolder(layoutOf(spool), requester);
    const done = await carryOut(spool, selected, invocation);
    return typeof done === 'boolean' ? { ...selected, done, folder } : done;
  },
  sentence: ({ done, runner, folder }, jobs) =>
    folder === null
      ? `removed: ${jobs}. The database keeps them for 30 days. One that is being delivered goes when its delivery has ended.`
      : done
        ? `removed: ${jobs}. The files are in ${folder}`
        : `to be removed: ${jobs}. ${runner === null ? 'The next run' : `Process ${runner}, which delivers from this spool,`} ` +
          `will do it at its next scan; then the files are in ${folder}`,
};

function pendingIn(jobs: readonly QueuedJob[]): string {
  const pending = jobs.reduce((sum, { job }) => sum + job.recipients.filter(isPending).length, 0);
  return plural(pending, 'pending recipient');
}

/** Takes the lock for one scan, which carries out the request. False: another process has it, or a job is still there. */
async function carryOut(
  spool: string,
  selected: SelectedJobs,
  { settings, terminal }: Invocation,
): Promise<boolean | CliError> {
  const warn = warner(terminal);
  const deps = spoolDeps(clockFor(settings), warn);
  const opened = await openSpoolQueue(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return opened.why === 'busy' ? false : openError(opened);
  try {
    const { jobs, quarantined } = await opened.queue.scan();
    for (const { number, reason, path } of quarantined)
      warn(quarantineEvent(number, escapeControl(reason), path).message);
    return !jobs.some(({ control }) => selected.jobs.includes(control));
  } finally {
    await opened.queue.close();
  }
}
