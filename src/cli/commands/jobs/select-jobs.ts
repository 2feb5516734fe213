/** Which jobs a command for jobs is about. A number that was given by itself has to be that of a job to which it applies. */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { type DecodeText, escapeControl } from '../../../output/text.ts';
import type { QueuedJob, QueueScan } from '../../../queue/queue.ts';
import { candidateOf, JOB_STATUSES } from '../../../queue/selection/job.ts';
import type { Selection } from '../../../queue/selection/selection.ts';
import { locateMessage } from '../../../queue/spool/inspect.ts';
import type { SpoolDeps } from '../../../queue/spool/open.ts';
import type { CommandText } from '../../../settings/shell-words.ts';
import { selectionFrom } from '../../setup/selection.ts';
import { type CliError, cliError, type Invocation } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

export interface Applicability {
  /** "No job can be PARTICIPLE." */
  readonly participle: string;
  /** why the request does not apply to this job, completing "Job N "; null: it does */
  inapplicable(queued: QueuedJob, commandText: CommandText): string | null;
}

/** Where the jobs are. */
export interface JobPlace {
  readonly spool: string;
  readonly deps: Pick<SpoolDeps, 'disk'>;
}

export interface SelectDeps extends Applicability, JobPlace {
  readonly commandText: CommandText;
  readonly readable: DecodeText;
  /** Unix seconds */
  readonly now: number;
}

/** Something has to be given, and `--all` by itself. */
export function jobSelection(options: Invocation['options']): Selection | CliError {
  const selection = selectionFrom(options, { statuses: JOB_STATUSES, texts: false });
  if ('kind' in selection) return cliError(`${selection.text} Nothing was changed.`, selection.exit);
  if (!selection.isEmpty && !(options.all === true && (selection.isNumbers || selection.text !== '')))
    return selection;
  return cliError(
    'Give job numbers, options that select jobs (--from, --to, --domain, --older, --answer, --status), or --all. Nothing was changed.',
    EXIT.usage,
  );
}

export function selectJobs(
  selection: Selection,
  scan: QueueScan,
  { spool, deps, readable, now, inapplicable, participle, commandText }: SelectDeps,
): readonly QueuedJob[] | CliError {
  const byNumber = new Map(scan.jobs.map((queued) => [queued.control, queued]));
  for (const number of selection.named) {
    const queued = byNumber.get(number);
    if (queued === undefined) return noSuchJob(number, scan, { spool, deps });
    const why = selection.isNumbers ? inapplicable(queued, commandText) : null;
    if (why !== null) return cliError(`Job ${number} ${why}. Nothing was changed.`, EXIT.data);
  }
  const selected = scan.jobs.filter(
    (queued) =>
      inapplicable(queued, commandText) === null && selection.matches(candidateOf(queued, readable), now),
  );
  return selected.length > 0
    ? selected
    : cliError(
        `No job${escapeControl(selection.text)} can be ${participle}. Nothing was changed.`,
        EXIT.noInput,
      );
}

function noSuchJob(number: MessageNumber, { jobs, quarantined }: QueueScan, place: JobPlace): CliError {
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
      : `${absentJob(number, place)} Nothing was changed.`,
    EXIT.noInput,
  );
}

/** A sentence. */
export function absentJob(number: MessageNumber, { spool, deps }: JobPlace): string {
  return `There is no job ${number} in ${spool}: ${escapeControl(locateMessage(deps.disk, spool, number))}`;
}
