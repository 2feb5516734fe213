/**
 * One job in sentences: why it is still here, what happened last, when the next try is, what would change it. Pure;
 * called by `explain`. The facts are those of `queue`.
 */
import { isPending, type Job } from '../control/job.ts';
import type { Schedule } from '../plan/schedule.ts';
import { ageOf, lastTry } from '../plan/schedule.ts';
import type { PayloadRead, QueuedJob } from '../room/room.ts';
import type { ForPeople } from './people.ts';
import { calendar, span } from './people.ts';
import type { JobFacts } from './queue-table.ts';
import { factsOf } from './queue-table.ts';

export interface Explained extends JobFacts {
  readonly sentences: readonly string[];
  /** paths, the latest first */
  readonly transcripts: readonly string[];
}

export interface Circumstances {
  readonly queued: QueuedJob;
  /** Unix seconds */
  readonly now: number;
  readonly schedule: Schedule;
  readonly payload: PayloadRead;
  readonly transcripts: readonly string[];
}

export function explanation(circumstances: Circumstances, readable: ForPeople): Explained {
  const { queued, now, schedule, transcripts } = circumstances;
  const facts = factsOf(queued, now, schedule, readable);
  const sentences = [
    ...whatItIs(facts),
    ...whyHere(circumstances, readable),
    ...whatHappened(circumstances),
    ...whatNext(circumstances, facts),
    ...whatWouldHelp(circumstances),
  ];
  return { ...facts, sentences, transcripts };
}

function whatItIs({ job, mail, age, pending, delivered, refused }: JobFacts): readonly string[] {
  const count = pending + delivered + refused;
  return [
    `Job ${job} carries mail ${mail}, handed in ${span(age * 1000)} ago for ${count} recipient${count === 1 ? '' : 's'}: ` +
      `${delivered} delivered, ${refused} refused for good, ${pending} waiting.`,
  ];
}

/** More lines than this say nothing that the list itself does not. */
const MOST_LINES = 10;

function whyHere({ queued, payload }: Circumstances, readable: ForPeople): readonly string[] {
  const missing =
    payload.kind === 'found' ? [] : [`The mail itself cannot be sent: ${readable(payload.reason)}.`];
  const pending = queued.job.recipients.filter(isPending);
  const shown = pending.slice(0, MOST_LINES).map(({ address, status, text }) => {
    if (status === 0) return `${readable(address)} has not been tried yet.`;
    return `${readable(address)} could not be delivered so far: ${readable(text) || 'the list does not say why'}`;
  });
  const rest = pending.length - shown.length;
  return [...missing, ...shown, ...(rest > 0 ? [`${rest} more recipients are waiting.`] : [])];
}

function whatHappened({ queued, transcripts }: Circumstances): readonly string[] {
  const last = lastTry(queued.job);
  const [transcript] = transcripts;
  return [
    ...(last === null ? [] : [`The last try was at ${calendar(last)}.`]),
    ...(transcript === undefined ? [] : [`What was said then: spoolroom replay ${transcript}`]),
  ];
}

function whatNext({ queued, now, schedule }: Circumstances, { due, next, why }: JobFacts): readonly string[] {
  const outlook = [ladder(queued.job, schedule), end(queued.job, now, schedule)];
  if (due) return [`It is due: the next run tries it. ${why}`, ...outlook];
  return next === null ? [why] : [`The next try is at ${next}.`, ...outlook];
}

/** The waits of its era, as they are set. */
function ladder(
  { dialect }: Job,
  { retry, earlyRetry, earlyPeriod, lateRetry, noticeAfter }: Schedule,
): string {
  const shown = (seconds: number): string => span(seconds * 1000);
  const waits =
    dialect === '2012'
      ? `Waits begin with ${shown(retry.first)} and double up to ${shown(retry.ceiling)}`
      : `It is tried every ${shown(earlyRetry)} for ${shown(earlyPeriod)}, then every ${shown(lateRetry)}`;
  return `${waits}; its sender is told of the delay after ${shown(noticeAfter)}.`;
}

function end(job: Job, now: number, { giveUpAfter }: Schedule): string {
  if (job.submitted === null) return 'Its list does not say when it was handed in, so it is never given up.';
  const left = giveUpAfter - ageOf(job, now);
  return left > 0
    ? `If it keeps failing, it is given up in ${span(left * 1000)} and its sender is told.`
    : 'It is older than mail is kept: if the next try fails, it is given up and its sender is told.';
}

/** By the class of RFC 3463's subject, or by what it says when there is none. */
const HELP: readonly (readonly [RegExp, string])[] = [
  [/greylist|\b4\.7\.1\b/i, 'Waiting is enough for greylisting: the server wants to see a second try.'],
  [/\b[45]\.2\.2\b|full|quota/i, 'Somebody has to make room in the mailbox there.'],
  [/\b4\.4\.3\b|MX lookup|no address of/i, 'Look at the DNS: of this machine, or of the domain.'],
  [/TLS|certificate|4\.7\.[45]/i, 'See what the server shows for a certificate: spoolroom replay --live.'],
  [/AUTH|credential|535|5\.7\.8/i, 'Look at user and password of the relay.'],
  [
    /no answer|did not answer|said nothing|refuses connections|cannot be reached|no route/i,
    'Nobody answers there: a firewall here, or a server that is down. spoolroom replay --live tries it now.',
  ],
];

function whatWouldHelp({ queued, payload }: Circumstances): readonly string[] {
  if (payload.kind !== 'found') return ['Put the mail back under its number, or remove the job.'];
  const texts = queued.job.recipients.filter(isPending).map(({ text }) => text);
  const help = HELP.filter(([sign]) => texts.some((text) => sign.test(text))).map(([, advice]) => advice);
  return help.slice(0, 2);
}
