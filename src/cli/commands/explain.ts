/** `spoolroom explain N`: one job in sentences, from the facts that `queue` shows and the transcripts of its deliveries. */
import { explanation } from '../../output/explanation.ts';
import { escapeControl } from '../../output/text.ts';
import type { QueueScan } from '../../queue/queue.ts';
import { locateMessage } from '../../queue/spool/inspect.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import { messageNumber } from '../../storage/layout.ts';
import { readSpool, type SpoolReading } from '../setup/read-spool.ts';
import { throttlingOf } from '../setup/throttling.ts';
import { type CliError, type Command, cliError, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const opened = await readSpool(settings, warner(terminal));
  if ('kind' in opened) return opened;
  const number = messageNumber(String(options.job));
  if (number === null)
    return cliError(`${escapeControl(String(options.job))} is not a job number.`, EXIT.usage);
  const { view, readable, ...rest } = opened;
  const scan = await view.scan();
  const { jobs } = scan;
  const queued = jobs.find(({ control, job }) => control === number || job.msgid === number);
  if (queued === undefined) return noSuchJob(number, scan, opened);
  const explained = explanation(
    {
      ...rest,
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

function noSuchJob(number: number, { quarantined }: QueueScan, { spool, deps }: SpoolReading): CliError {
  const reason = quarantined.find((each) => each.number === number)?.reason;
  if (reason !== undefined)
    return cliError(`Control message ${number} cannot be read: ${escapeControl(reason)}.`, EXIT.data);
  const found = escapeControl(locateMessage(deps.disk, spool, number));
  return cliError(
    `There is no job ${number} in ${spool}: ${found} \`spoolroom queue\` lists all jobs.`,
    EXIT.noInput,
  );
}
