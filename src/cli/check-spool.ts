/**
 * The part of `check` that looks into the spool: can somebody deliver from it, does somebody, and what lies there that
 * will not leave by itself. Changes nothing, but for one small file that comes and goes.
 */
import { isPending } from '../control/job.ts';
import { isGivenUp, nextTry, type Schedule } from '../plan/schedule.ts';
import { type Finding, ok, trouble, warning } from '../report/check-report.ts';
import { harmless, span } from '../report/people.ts';
import { badMessages, changedAt, journalTrouble, timeOfSync, unwritable } from '../room/directory/inspect.ts';
import type { DirectoryDeps, View } from '../room/directory/open.ts';
import { codeOf, phraseOf } from '../room/directory/trouble.ts';
import type { QueuedJob, RoomScan } from '../room/room.ts';

export interface SpoolCircumstances {
  readonly spool: string;
  readonly view: View;
  readonly deps: DirectoryDeps;
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
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

/** Seconds a job may be due before somebody should ask why. */
const LATE = 900;

function runnerFinding(jobs: readonly QueuedJob[], { view, now, schedule }: SpoolCircumstances): Finding {
  const runner = view.runner();
  const who = runner === null ? 'nobody delivers at this moment' : `process ${runner} delivers`;
  const late = jobs
    .filter(({ job, request }) => request !== 'hold' && job.recipients.some(isPending))
    .map(({ job }) => now - Math.max(nextTry(job, schedule), job.submitted ?? now))
    .filter((seconds) => seconds > LATE);
  if (late.length === 0) return ok('runner', who);
  const longest = span(Math.max(...late) * 1000);
  return runner === null
    ? trouble(
        'runner',
        `${who}, and ${counted(late.length, 'job')} should have been tried, up to ${longest} ago`,
        'Is the cron job or the service there, for this spool and as a user who may write to it?',
      )
    : warning(
        'runner',
        `${who}; ${counted(late.length, 'job')} should have been tried, up to ${longest} ago`,
        'Long runs, or many slow hosts: see its log.',
      );
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

/** Kinds of jobs that somebody should know of. */
const REMARKABLE: readonly {
  readonly check: string;
  readonly seen: string;
  readonly advice: string;
  readonly applies: (queued: QueuedJob, circumstances: SpoolCircumstances) => boolean;
}[] = [
  {
    check: 'held',
    seen: 'held jobs',
    advice: 'They are not tried before `spoolroom release`.',
    applies: ({ request }) => request === 'hold',
  },
  {
    check: 'mail',
    seen: 'jobs whose mail is missing',
    advice: 'Put the mail back under its number, or remove the job.',
    applies: ({ job }, { spool, deps }) => changedAt(deps.disk, spool, job.msgid) === null,
  },
  {
    check: 'age',
    seen: 'jobs older than mail is kept',
    advice:
      'If their next try fails they are given up and their senders told. See the setting retry.giveup, and the clock.',
    applies: ({ job }, { now, schedule }) => job.recipients.some(isPending) && isGivenUp(job, now, schedule),
  },
];

function jobFindings(jobs: readonly QueuedJob[], circumstances: SpoolCircumstances): Finding[] {
  return REMARKABLE.flatMap(({ check, seen, advice, applies }) => {
    const numbers = jobs.filter((queued) => applies(queued, circumstances)).map(({ control }) => control);
    return numbers.length === 0 ? [] : [warning(check, `${seen}: ${numbered(numbers)}`, advice)];
  });
}

const MOST_NUMBERS = 10;

function numbered(numbers: readonly number[]): string {
  const rest = numbers.length - MOST_NUMBERS;
  return numbers.slice(0, MOST_NUMBERS).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
