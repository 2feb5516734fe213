/**
 * `spoolroom remove N`: take jobs out of the spool, with their mails where no other job needs them. Nothing is deleted:
 * they lie in `.spoolroom/removed/`. Beside a runner it is left to the runner; else it is done here, with its lock.
 */
import { isPending } from '../../delivery-list/job.ts';
import { setAsideLine } from '../../output/log/log-events.ts';
import { harmless } from '../../output/text.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { openDirectoryRoom } from '../../queue/spool/open.ts';
import { removalFolder } from '../../queue/spool/requests/removal.ts';
import { layoutOf } from '../../storage/layout.ts';
import { type Asked, jobCommand } from '../setup/job-command.ts';
import type { Trouble } from '../setup/load-config.ts';
import {
  clockFor,
  directoryDeps,
  directorySettings,
  refusal,
  spoolOf,
  trouble,
} from '../setup/load-config.ts';
import type { Invocation } from '../shell/command.ts';
import { saysYes, somebodySits } from '../shell/confirm.ts';
import { EXIT } from '../shell/exit.ts';

interface Removed extends Asked {
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
  asked: Asked,
  { settings, terminal }: Invocation,
): Promise<boolean | Trouble> {
  const tell = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const deps = directoryDeps(clockFor(settings), tell);
  const opened = await openDirectoryRoom(spool, deps, directorySettings(settings));
  if (opened.kind === 'refused') return opened.why === 'busy' ? true : refusal(opened);
  try {
    const { jobs, setAside } = await opened.room.scan();
    for (const { number, reason, path } of setAside)
      tell(setAsideLine(number, harmless(reason), path).message);
    return jobs.some(({ control }) => asked.jobs.includes(control));
  } finally {
    await opened.room.close();
  }
}

async function consent(
  jobs: readonly QueuedJob[],
  { options, terminal }: Invocation,
): Promise<Trouble | null> {
  if (options.yes === true) return null;
  const waiting = jobs.flatMap(({ job }) => job.recipients.filter(isPending)).length;
  const what = `${jobs.map(({ control }) => control).join(', ')} with ${waiting} waiting recipient${waiting === 1 ? '' : 's'}`;
  if (!somebodySits(terminal)) {
    return trouble(
      `This removes job ${what}, and their senders are not told. Say --yes if that is meant.`,
      EXIT.usage,
    );
  }
  return (await saysYes(terminal, `Remove job ${what}? Their senders are not told.`))
    ? null
    : trouble('Nothing was changed.', EXIT.ok);
}
