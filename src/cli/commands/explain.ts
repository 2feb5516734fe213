/** `spoolroom explain N`: one job in sentences, from the facts that `queue` shows and the transcripts of its deliveries. */
import { latestStory } from '../../history/reader.ts';
import type { Story } from '../../history/search.ts';
import { explanation } from '../../output/explanation.ts';
import { elsewhere, storyFacts, storyText } from '../../output/history-text.ts';
import { escapeControl } from '../../output/text.ts';
import { machineName } from '../../platform/machine-name.ts';
import type { QueueScan } from '../../queue/queue.ts';
import { locateMessage } from '../../queue/spool/inspect.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import { messageNumber } from '../../storage/layout.ts';
import { historyReader } from '../setup/history.ts';
import { clockFor } from '../setup/load-config.ts';
import { readSpool, type SpoolReading } from '../setup/read-spool.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { type CliError, type Command, cliError, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { absentJob } from './jobs/select-jobs.ts';

export const command: Command = async ({ settings, options, terminal, commandText }) => {
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const number = messageNumber(String(options.job));
  if (number === null)
    return cliError(`${escapeControl(String(options.job))} is not a job number.`, EXIT.usage);
  const { view, readable, ...rest } = opened;
  const scan = await view.look({ ranges: [{ from: number, to: number }] });
  const { jobs } = scan;
  const queued = jobs.find(({ control, job }) => control === number || job.msgid === number);
  if (queued === undefined) {
    const history = await historyReader(opened.spool, settings, clockFor(settings));
    if ('kind' in history) return history;
    const story = await latestStory(history, number);
    if (story === null) return noSuchJob(number, scan, opened, commandText);
    const gone = goneJob(story, opened, commandText);
    terminal.print(settings.json ? JSON.stringify(gone) : gone.sentences.join('\n'));
    return EXIT.ok;
  }
  const explained = explanation(
    {
      ...rest,
      commandText,
      queued,
      lists: jobs.filter(({ job }) => job.msgid === queued.job.msgid),
      payload: await view.readPayload(queued.job.msgid),
      waits: (await throttlingOf(opened, settings)).waits,
      transcripts: transcriptsOf(opened.spool, queued.control, queued.job),
    },
    readable,
  );
  terminal.print(settings.json ? JSON.stringify(explained) : explained.sentences.join('\n'));
  return EXIT.ok;
};

/** A job that has left the queue: what the history says of it, and the dialogues that are kept. */
function goneJob(story: Story, { spool, deps }: SpoolReading, commandText: CommandText) {
  const facts = storyFacts(story);
  const { job, mail: msgid, submitted } = facts;
  const transcripts = transcriptsOf(spool, job, { msgid, submitted });
  const [transcript] = transcripts;
  const sentences = [
    `Job ${job} has left the queue: ${escapeControl(locateMessage(deps.disk, spool, job))} What is known of it:`,
    storyText(story),
    ...(transcript === undefined
      ? [elsewhere(story, machineName(), commandText('replay', String(job))) ?? []].flat()
      : [`Its last dialogue: ${commandText('replay', transcript)}`]),
  ];
  return { ...facts, sentences, transcripts };
}

function noSuchJob(
  number: number,
  { quarantined }: QueueScan,
  place: SpoolReading,
  commandText: CommandText,
): CliError {
  const reason = quarantined.find((each) => each.number === number)?.reason;
  if (reason !== undefined)
    return cliError(`Control message ${number} cannot be read: ${escapeControl(reason)}.`, EXIT.data);
  return cliError(`${absentJob(number, place)} To list all jobs: ${commandText('queue')}`, EXIT.noInput);
}
