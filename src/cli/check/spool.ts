/**
 * The part of `check` that looks into the spool: can somebody deliver from it, and what lies there besides jobs. Changes
 * nothing, but for one small file that comes and goes.
 */

import { type Finding, ok, trouble, warning } from '../../output/check-report.ts';
import { counted, type ForPeople, harmless, span } from '../../output/text.ts';
import { codeOf, phraseOf } from '../../platform/system-errors.ts';
import type { RoomScan } from '../../queue/queue.ts';
import type { Schedule } from '../../queue/schedule.ts';
import {
  badMessages,
  changedAt,
  journalTrouble,
  removedLeftovers,
  reportsLeft,
  timeOfSync,
} from '../../queue/spool/inspect.ts';
import { type DirectoryDeps, unwritable, type View } from '../../queue/spool/open.ts';
import { answerFindings, jobFindings, numbered, runnerFinding } from './jobs.ts';

export interface SpoolCircumstances {
  readonly spool: string;
  readonly view: View;
  readonly deps: DirectoryDeps;
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly readable: ForPeople;
  /** milliseconds after which a mail that no job names is told */
  readonly orphanAge: number;
}

export async function checkSpool(circumstances: SpoolCircumstances): Promise<readonly Finding[]> {
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

function writableFinding({ spool, deps }: SpoolCircumstances): Finding {
  const closed = unwritable(deps.disk, spool);
  return closed === null
    ? ok('spool', `${spool} is writable for this user`)
    : trouble(
        'spool',
        `${closed} is not writable for this user`,
        `Nothing can be delivered from ${spool}. Run spoolroom as its owner, and give what is in it to that user.`,
      );
}

/** Outcomes wait for the disk, many at once; beyond this many milliseconds people notice. */
const SLOW_DISK = 100;

async function diskFinding({ spool, deps }: SpoolCircumstances): Promise<Finding> {
  try {
    const taken = await timeOfSync(deps, spool);
    if (taken === null) return ok('disk', 'not tried: nobody has delivered from this spool yet');
    if (taken < SLOW_DISK) return ok('disk', `a small file is safe after ${span(taken)}`);
    return warning('disk', `a small file is safe only after ${span(taken)}`, 'Mail leaves slowly.');
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return trouble(
      'disk',
      `nothing can be written to ${spool}: ${phraseOf(error)}`,
      'Nothing is delivered until there is room and permission.',
    );
  }
}

function journalFinding({ spool, deps }: SpoolCircumstances): Finding {
  const text = journalTrouble(deps.disk, spool);
  return text === null
    ? ok('journal', 'in order')
    : trouble('journal', text, 'No run begins before that is settled.');
}

function unreadableFindings({ setAside }: RoomScan, { spool, deps }: SpoolCircumstances): Finding[] {
  const here = setAside.map(({ number, reason }) => `Message ${number}: ${reason}.`);
  const aside = badMessages(deps.disk, spool).map(({ name, reason }) => `.spoolroom/bad/${name}: ${reason}`);
  return [...here, ...aside].map((text) =>
    warning(
      'unreadable',
      harmless(text),
      'Its mail is not delivered. Correct the list and put it back, or delete it and its mail.',
    ),
  );
}

function orphanFindings(
  { orphans }: RoomScan,
  { spool, deps, now, orphanAge }: SpoolCircumstances,
): Finding[] {
  const old = orphans.filter((number) => {
    const changed = changedAt(deps.disk, spool, number);
    return changed !== null && now * 1000 - changed > orphanAge;
  });
  if (old.length === 0) return [];
  return [
    warning(
      'orphans',
      `mails that no job names, for longer than ${span(orphanAge)}: ${numbered(old)}`,
      'Nobody gets them. Their list was lost, set aside or never written; they are never touched.',
    ),
  ];
}

/** Reports to users here, which nobody hands over by himself. */
function reportFindings({ spool, deps }: SpoolCircumstances): Finding[] {
  const left = reportsLeft(deps.disk, spool);
  if (left === 0) return [];
  return [
    warning(
      'reports',
      `${counted(left, 'report')} to users here ${left === 1 ? 'lies' : 'lie'} in .spoolroom/reports: those senders were not told`,
      'Bring them to their readers and delete them. With the setting return lmtp:/path/lmtp.socket the server takes them.',
    ),
  ];
}

/** What was removed longer ago than this many milliseconds hardly anybody brings back. */
const LONG_AGO = 90 * 86_400_000;
/** Bytes. */
const MUCH = 104_857_600;

function removedFindings({ spool, deps, now }: SpoolCircumstances): Finding[] {
  const { folders, bytes, oldest } = removedLeftovers(deps.disk, spool);
  const age = oldest === null ? 0 : now * 1000 - oldest;
  if (age < LONG_AGO && bytes < MUCH) return [];
  return [
    warning(
      'removed',
      `${counted(folders, 'removal')} in .spoolroom/removed, ${Math.ceil(bytes / 1_048_576)} MiB, the oldest of ${span(age)} ago`,
      'Nobody sweeps that folder. Delete what nobody will bring back; mail in the spool does not need it.',
    ),
  ];
}
