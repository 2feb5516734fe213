/** One job for the web view: what `explain` and `show` say, its recorded attempts, and its history. */
import { basename } from 'node:path';
import { latestStory } from '../../history/reader.ts';
import type { Story } from '../../history/search.ts';
import { explanation } from '../../output/explanation.ts';
import { storyFacts } from '../../output/history-text.ts';
import { trusted } from '../../output/html/markup.ts';
import { deliveryParts } from '../../output/html/page.ts';
import { replayReport } from '../../output/replay/replay-report.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import type { QueuedJob } from '../../queue/queue.ts';
import { locateMessage } from '../../queue/spool/inspect.ts';
import { readInput } from '../../replay/input.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import type { Attempt, JobDetails, Problem } from '../../web/ports.ts';
import { envelopeOf, messageOf, shownForm } from '../commands/show.ts';
import { parseOptions, readBytes } from '../replay/source.ts';
import { fromTranscript } from '../replay/transcript.ts';
import { charsetFrom } from '../setup/load-config.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { listed, secondsOf } from './queue.ts';
import { problem } from './selection.ts';
import type { WebSources } from './sources.ts';

/** Attempts that are offered: the latest ones. */
const MOST_ATTEMPTS = 40;

export async function jobDetails(
  number: number,
  attempt: string | null,
  sources: WebSources,
): Promise<JobDetails | Problem> {
  const { spool, deps } = sources;
  const queued = await sources.jobs.find(number);
  const story = await latestStory(sources.past, number);
  if (queued !== null) return present(queued, isAbout(story, queued) ? story : null, attempt, sources);
  if (story === null)
    return problem(`There is no job ${number}: ${escapeControl(locateMessage(deps.disk, spool, number))}`);
  const { job, mail: msgid, submitted } = storyFacts(story);
  const transcripts = transcriptsOf(spool, job, { msgid, submitted });
  return {
    ...{
      kind: 'job',
      number: job,
      job: null,
      history: story,
      envelope: [],
      header: [],
      now: secondsOf(sources),
    },
    sentences: [
      `Job ${job} is not in the queue any more: ${escapeControl(locateMessage(deps.disk, spool, job))}`,
    ],
    ...(await attemptsOf(transcripts, attempt, sources)),
  };
}

/** Numbers are used again. */
function isAbout(story: Story | null, { job }: QueuedJob): boolean {
  return story !== null && story[0].mail === job.msgid && (story[0].submitted ?? 0) === (job.submitted ?? 0);
}

async function present(
  queued: QueuedJob,
  history: Story | null,
  attempt: string | null,
  sources: WebSources,
): Promise<JobDetails> {
  const { spool, settings, deps, client, readable, schedule, commandText } = sources;
  const now = secondsOf(sources);
  const { control: number, job } = queued;
  const [shownJob] = (await listed([queued], sources)).jobs;
  const transcripts = transcriptsOf(spool, number, job);
  const { sentences } = explanation(
    {
      ...{ commandText, queued, now, schedule, transcripts, slowed: null },
      lists: (await sources.jobs.withOthers([queued])).get(job.msgid) ?? [queued],
      payload: await client.readPayload(job.msgid),
      waits: (await throttlingOf({ spool, deps, now, readable, view: client }, settings)).waits,
    },
    readable,
  );
  const charset = await charsetFrom(settings);
  const message =
    'kind' in charset
      ? charset
      : await messageOf(queued, { view: client, readable }, shownForm(settings, charset), false);
  const header =
    'exit' in message
      ? message.text
      : message.problem === null
        ? message.header
        : `The message cannot be shown: ${message.problem}.`;
  return {
    ...{ kind: 'job', number, job: shownJob ?? null, sentences, header, history, now },
    envelope: envelopeLines(queued, sources),
    ...(await attemptsOf(transcripts, attempt, sources)),
  };
}

function envelopeLines(queued: QueuedJob, { readable }: WebSources): JobDetails['envelope'] {
  const { job } = queued;
  const { submitted, bounceto, sourceRoom, dialect } = envelopeOf(queued, { readable });
  const lines: readonly (readonly [string, string | null])[] = [
    ['from', job.envelopeFrom === null ? 'as the message says' : readable(job.envelopeFrom) || '<>'],
    ['reports to', bounceto],
    ['room', sourceRoom],
    ['queued', submitted === null ? 'not known' : formatTime(submitted)],
    ['message', String(job.msgid)],
    ['dialect', dialect],
  ];
  return lines.flatMap(([name, value]) => (value === null || value === '' ? [] : [[name, value] as const]));
}

async function attemptsOf(
  transcripts: readonly string[],
  wanted: string | null,
  sources: WebSources,
): Promise<Pick<JobDetails, 'attempts' | 'shown'>> {
  const files = transcripts.slice(0, MOST_ATTEMPTS);
  const file = files.find((each) => basename(each) === wanted) ?? files[0];
  return {
    attempts: files.map(attemptIn),
    shown: file === undefined ? null : await timelineIn(file, sources),
  };
}

/** `JOB-SECONDS-COUNT.jsonl` */
function attemptIn(file: string): Attempt {
  const name = basename(file);
  return { name, at: formatTime(Number(name.split('-')[1])) };
}

async function timelineIn(file: string, sources: WebSources): Promise<JobDetails['shown']> {
  // As it was, whatever time it is here.
  const settings = { ...sources.settings, now: null };
  const bytes = readBytes(file);
  if ('kind' in bytes) return problem(bytes.text);
  const input = readInput(bytes, 0, parseOptions(settings));
  if (input.kind !== 'transcript') return problem(`${basename(file)} is no transcript.`);
  const result = await fromTranscript(input.transcript, file, { settings, options: {} });
  if (result.kind === 'error') return problem(result.text);
  const report = replayReport(result.sources, textDecoder(result.rules.render.legacy));
  return { name: basename(file), timeline: trusted(deliveryParts(report, result.sources.timeline)) };
}
