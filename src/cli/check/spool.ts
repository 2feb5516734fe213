/**
 * The part of `check` that looks into the spool: can somebody deliver from it, and what lies there besides jobs. Changes
 * nothing, but for one small file that comes and goes.
 */

import { type Finding, ok, problem, warning } from '../../output/check-report.ts';
import { type DecodeText, duration, escapeControl, plural } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import type { QueueScan } from '../../queue/queue.ts';
import type { Schedule } from '../../queue/schedule.ts';
import {
  journalProblem,
  measureSync,
  modifiedAt,
  pendingReports,
  quarantinedFiles,
  removedMessages,
} from '../../queue/spool/inspect.ts';
import { firstUnwritable, type ReadOnlySpool, type SpoolDeps } from '../../queue/spool/open.ts';
import { answerFindings, jobFindings, numbered, runnerFinding } from './jobs.ts';

export interface SpoolContext {
  readonly spool: string;
  readonly view: ReadOnlySpool;
  readonly deps: SpoolDeps;
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly readable: DecodeText;
  /** milliseconds after which a mail that no job names is told */
  readonly orphanAge: number;
}

export async function checkSpool(circumstances: SpoolContext): Promise<readonly Finding[]> {
  const scan = await circumstances.view.scan();
  const { jobs } = scan;
  return [
    writableFinding(circumstances),
    await diskFinding(circumstances),
    journalFinding(circumstances),
    runnerFinding(jobs, circumstances),
    ...unreadableFindings(scan, circumstances),
    ...orphanFindings(scan, circumstances),
    ...jobFindings(jobs, circumstances),
    ...answerFindings(jobs, circumstances),
    ...reportFindings(circumstances),
    ...removedFindings(circumstances),
  ];
}

function writableFinding({ spool, deps }: SpoolContext): Finding {
  const closed = firstUnwritable(deps.disk, spool);
  return closed === null
    ? ok('spool', `${spool} is writable for this user`)
    : problem(
        'spool',
        `${closed} is not writable for this user`,
        `Nothing can be delivered from ${spool}. Run spoolroom as its owner, and give what is in it to that user.`,
      );
}

/** Outcomes wait for the disk, many at once; beyond this many milliseconds people notice. */
const SLOW_DISK = 100;

async function diskFinding({ spool, deps }: SpoolContext): Promise<Finding> {
  try {
    const taken = await measureSync(deps, spool);
    if (taken === null) return ok('disk', 'not tried: nobody has delivered from this spool yet');
    if (taken < SLOW_DISK) return ok('disk', `a small file is safe after ${duration(taken)}`);
    return warning('disk', `a small file is safe only after ${duration(taken)}`, 'Mail leaves slowly.');
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return problem(
      'disk',
      `nothing can be written to ${spool}: ${describeError(error)}`,
      'Nothing is delivered until there is room and permission.',
    );
  }
}

function journalFinding({ spool, deps }: SpoolContext): Finding {
  const text = journalProblem(deps.disk, spool);
  return text === null
    ? ok('journal', 'in order')
    : problem('journal', text, 'No run begins before that is settled.');
}

function unreadableFindings({ quarantined }: QueueScan, { spool, deps }: SpoolContext): Finding[] {
  const here = quarantined.map(({ number, reason }) => `Message ${number}: ${reason}.`);
  const aside = quarantinedFiles(deps.disk, spool).map(
    ({ name, reason }) => `.spoolroom/bad/${name}: ${reason}`,
  );
  return [...here, ...aside].map((text) =>
    warning(
      'unreadable',
      escapeControl(text),
      'Its mail is not delivered. Correct the list and put it back, or delete it and its mail.',
    ),
  );
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
      `mails that no job names, for longer than ${duration(orphanAge)}: ${numbered(old)}`,
      'Nobody gets them. Their list was lost, set aside or never written; they are never touched.',
    ),
  ];
}

/** Reports to users here, which nobody hands over by himself. */
function reportFindings({ spool, deps }: SpoolContext): Finding[] {
  const left = pendingReports(deps.disk, spool);
  if (left === 0) return [];
  return [
    warning(
      'reports',
      `${plural(left, 'report')} to users here ${left === 1 ? 'lies' : 'lie'} in .spoolroom/reports: those senders were not told`,
      'Bring them to their readers and delete them. With the setting return lmtp:/path/lmtp.socket the server takes them.',
    ),
  ];
}

/** What was removed longer ago than this many milliseconds hardly anybody brings back. */
const LONG_AGO = 90 * 86_400_000;
/** Bytes. */
const MUCH = 104_857_600;

function removedFindings({ spool, deps, now }: SpoolContext): Finding[] {
  const { folders, bytes, oldest } = removedMessages(deps.disk, spool);
  const age = oldest === null ? 0 : now * 1000 - oldest;
  if (age < LONG_AGO && bytes < MUCH) return [];
  return [
    warning(
      'removed',
      `${plural(folders, 'removal')} in .spoolroom/removed, ${Math.ceil(bytes / 1_048_576)} MiB, the oldest of ${duration(age)} ago`,
      'Nobody sweeps that folder. Delete what nobody will bring back; mail in the spool does not need it.',
    ),
  ];
}
