/**
 * `spoolroom remove N`: take jobs out of the spool, with their mails where no other job needs them. Nothing is deleted:
 * they lie in `.spoolroom/removed/`. Beside a runner it is left to the runner; else it is done here, with its lock.
 */
import { isPending } from '../../delivery-list/job.ts';
import { quarantineEvent } from '../../output/log/log-events.ts';
import { escapeControl } from '../../output/text.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { openSpoolQueue } from '../../queue/spool/open.ts';
import { removalFolder } from '../../queue/spool/requests/removal.ts';
import { layoutOf } from '../../storage/layout.ts';
import { jobCommand, type SelectedJobs } from '../setup/job-command.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError, clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import type { Invocation } from '../shell/command.ts';
import { confirm, isInteractive } from '../shell/confirm.ts';
import { EXIT } from '../shell/exit.ts';

interface Removed extends SelectedJobs {
  /** whether they are out of the spool by now */
  readonly done: boolean;
  /** where they lie, or will */
  readonly folder: string;
}

export const command = jobCommand<Removed>({
  request: 'remove',
  unfit: () => null,
  consent,
  async afterwards(asked, asker, invocation) {
    const spool = spoolOf(invocation.settings);
    if (typeof spool !== 'string') return spool;
    const folder = removalFolder(layoutOf(spool), asker);
    const left = await carryOut(spool, asked, invocation);
    return typeof left === 'boolean' ? { ...asked, done: !left, folder } : left;
  },
  sentence: ({ done, runner, folder }, jobs) =>
    done
      ? `removed: ${jobs}. With what belongs to it: ${folder}`
      : `to be removed: ${jobs}. ${runner === null ? 'The next run' : `Process ${runner}, which delivers from this spool,`} ` +
        `does it at its next look; then it lies in ${folder}`,
});

/** Become the runner for as long as one look takes. True: some of the jobs are still there. */
async function carryOut(
  spool: string,
  asked: SelectedJobs,
  { settings, terminal }: Invocation,
): Promise<boolean | CliError> {
  const tell = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const deps = spoolDeps(clockFor(settings), tell);
  const opened = await openSpoolQueue(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') return opened.why === 'busy' ? true : openError(opened);
  try {
    const { jobs, quarantined } = await opened.queue.scan();
    for (const { number, reason, path } of quarantined)
      tell(quarantineEvent(number, escapeControl(reason), path).message);
    return jobs.some(({ control }) => asked.jobs.includes(control));
  } finally {
    await opened.queue.close();
  }
}

async function consent(
  jobs: readonly QueuedJob[],
  { options, terminal }: Invocation,
): Promise<CliError | null> {
  if (options.yes === true) return null;
  const waiting = jobs.flatMap(({ job }) => job.recipients.filter(isPending)).length;
  const what = `${jobs.map(({ control }) => control).join(', ')} with ${waiting} waiting recipient${waiting === 1 ? '' : 's'}`;
  if (!isInteractive(terminal)) {
    return cliError(
      `This removes job ${what}, and their senders are not told. Say --yes if that is meant.`,
      EXIT.usage,
    );
  }
  return (await confirm(terminal, `Remove job ${what}? Their senders are not told.`))
    ? null
    : cliError('Nothing was changed.', EXIT.ok);
}
