/**
 * The part of `check` that looks at the spool: whether mail can be delivered from it, and what it holds besides jobs.
 * Changes nothing, except that it writes and removes one small file to time the disk.
 */
import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { duration, escapeControl, plural } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { QueueScan } from '../../queue/queue.ts';
import {
  foreignFolders,
  journalProblem,
  measureSync,
  messagesMoving,
  modifiedAt,
  pendingReports,
  quarantinedFiles,
  removedMessages,
} from '../../queue/spool/inspect.ts';
import { firstUnwritable } from '../../queue/spool/open.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { SpoolReading } from '../setup/read-spool.ts';
import { jobFindings, numbered, replyFindings, runnerFinding } from './jobs.ts';

export interface SpoolContext extends SpoolReading {
  /** milliseconds after which a message without a job is reported */
  readonly orphanAge: number;
  readonly commandText: CommandText;
}

export async function checkSpool(scan: QueueScan, context: SpoolContext): Promise<readonly Finding[]> {
  const { jobs } = scan;
  const foreign = foreignFindings(context);
  if (foreign.length > 0) return foreign;
  return [
    writableFinding(context),
    await diskFinding(context),
    journalFinding(context),
    runnerFinding(jobs, context),
    ...unreadableFindings(scan, context),
    ...orphanFindings(scan, context),
    ...jobFindings(jobs, context),
    ...replyFindings(jobs, context),
    ...reportFindings(context),
    ...removedFindings(context),
    ...movingFindings(context),
  ];
}

/** Nothing else in there can be looked at, and no run begins. */
function foreignFindings({ spool, deps }: SpoolContext): readonly Finding[] {
  return foreignFolders(deps.disk, spool).map((text) =>
    problem('spool', escapeControl(text), 'Mail may wait until it is gone.'),
  );
}

function writableFinding({ spool, deps }: SpoolContext): Finding {
  const closed = firstUnwritable(deps.disk, spool);
  return closed === null
    ? ok('spool', `${spool} is writable for this user`)
    : problem(
        'spool',
        `${closed} is not writable for this user`,
        `No mail can be delivered from ${spool}. Run spoolroom as the owner of the spool, and make that user the owner of the files in it.`,
      );
}

/** Milliseconds. Each group of outcomes waits for one write and sync; a slower disk slows delivery noticeably. */
const SLOW_DISK = 100;

async function diskFinding({ spool, deps }: SpoolContext): Promise<Finding> {
  try {
    const taken = await measureSync(deps, spool);
    if (taken === null) return ok('disk', 'not tested: nothing has been delivered from this spool yet');
    if (taken < SLOW_DISK) return ok('disk', `test write and sync took ${duration(taken)}`);
    return warning(
      'disk',
      `test write and sync took ${duration(taken)}`,
      'The disk is slow, and mail leaves slowly.',
    );
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return problem(
      'disk',
      `cannot write to ${spool}: ${describeError(error)}`,
      'No mail is delivered until there is space and permission.',
    );
  }
}

function journalFinding({ spool, deps }: SpoolContext): Finding {
  const text = journalProblem(deps.disk, spool);
  return text === null
    ? ok('journal', 'intact')
    : problem('journal', text, 'No mail is delivered until this is fixed.');
}

function unreadableFindings({ quarantined }: QueueScan, { spool, deps }: SpoolContext): Finding[] {
  const lists =
    'Its message is not delivered. Correct the list and put it back, or delete the list and its message.';
  const here = quarantined.map(({ number, reason }) =>
    warning('unreadable', escapeControl(`Message ${number}: ${reason}.`), lists),
  );
  const aside = quarantinedFiles(deps.disk, spool).map(({ name, reason }) =>
    name.startsWith('request.')
      ? warning(
          'unreadable',
          escapeControl(`.spoolroom/bad/${name}: not a request that can be read`),
          'Repeat the command that made it, and delete the file.',
        )
      : warning('unreadable', escapeControl(`.spoolroom/bad/${name}: ${reason}`), lists),
  );
  return [...here, ...aside];
}

function orphanFindings({ orphans }: QueueScan, { spool, deps, now, orphanAge }: SpoolContext): Finding[] {
  const old = orphans.filter((number) => {
    const changed = modifiedAt(deps.disk, spool, number);
    return changed !== null && now * 1000 - changed > orphanAge;
  });
  if (old.length === 0) return [];
  return [
    warning(
      'orphans',
      `messages without a job for more than ${duration(orphanAge)}: ${numbered(old)}`,
      'They are not delivered: their list was lost, quarantined or never written. They are left as they are.',
    ),
  ];
}

/** Reports that no server took, which need somebody to deliver them. */
function reportFindings({ spool, deps }: SpoolContext): Finding[] {
  const count = pendingReports(deps.disk, spool);
  if (count === 0) return [];
  return [
    warning(
      'reports',
      `${plural(count, 'report')} in .spoolroom/reports that no server took: these senders have not got their report`,
      'Pass them on and delete them. The log says why each was kept. The setting return names a server that takes reports.',
    ),
  ];
}

/** Milliseconds; older removals are unlikely to be wanted back. */
const OLD = 90 * 86_400_000;
/** Bytes. */
const LARGE = 104_857_600;

function removedFindings({ spool, deps, now }: SpoolContext): Finding[] {
  const { folders, bytes, oldest } = removedMessages(deps.disk, spool);
  const age = oldest === null ? 0 : now * 1000 - oldest;
  if (age < OLD && bytes < LARGE) return [];
  return [
    warning(
      'removed',
      `${plural(folders, 'removal')} in .spoolroom/removed, ${Math.ceil(bytes / 1_048_576)} MiB, the oldest from ${duration(age)} ago`,
      'This folder is never emptied automatically. Delete what you will not restore; mail in the spool does not need it.',
    ),
  ];
}

function movingFindings({ spool, deps }: SpoolContext): Finding[] {
  const { length } = messagesMoving(deps.disk, spool);
  if (length === 0) return [];
  return [
    warning(
      'moving',
      `${plural(length, 'message')} in .spoolroom/moving: a move out of a database was interrupted`,
      'These are not delivered until it is completed: give the same `spoolroom move --from postgres://... --to DIR` again.',
    ),
  ];
}
