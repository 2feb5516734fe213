/**
 * `spoolroom explain N`: one job in sentences. The facts are those of `queue`; the transcripts beside the spool say
 * what happened. Writes nothing.
 */

import { loadCharset, unknown8bit } from '../../message/charset.ts';
import { explanation } from '../../output/explanation.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import { locateMessage } from '../../queue/spool/inspect.ts';
import { openSpoolReadOnly } from '../../queue/spool/open.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import { scheduleFrom } from '../../runner/rules.ts';
import { messageNumber } from '../../storage/layout.ts';
import { clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import type { Command } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async ({ settings, options, terminal }) => {
  const tell = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') {
    tell(spool.text);
    return spool.exit;
  }
  const clock = clockFor(settings);
  const deps = spoolDeps(clock, tell);
  const opened = await openSpoolReadOnly(spool, deps, controlSettings(settings));
  if (opened.kind === 'refused') {
    const { text, exit } = openError(opened);
    tell(text);
    return exit;
  }
  const number = messageNumber(String(options.job));
  if (number === null) {
    tell(`${escapeControl(String(options.job))} is not the number of a job.`);
    return EXIT.usage;
  }
  const { jobs, quarantined } = await opened.view.scan();
  const queued = jobs.find(({ control, job }) => control === number || job.msgid === number);
  if (queued === undefined) {
    const reason = quarantined.find((each) => each.number === number)?.reason;
    tell(
      reason === undefined
        ? `There is no job ${number} in ${spool}: ${escapeControl(locateMessage(deps.disk, spool, number))} \`spoolroom queue\` lists all.`
        : `The control message ${number} cannot be read: ${escapeControl(reason)}.`,
    );
    return reason === undefined ? EXIT.noInput : EXIT.data;
  }
  const payload = await opened.view.readPayload(queued.job.msgid);
  const charset = await loadCharset(settings.charset);
  const readable = textDecoder(charset.kind === 'charset' ? charset.charset : unknown8bit);
  const explained = explanation(
    {
      spool,
      queued,
      lists: jobs.filter(({ job }) => job.msgid === queued.job.msgid),
      now: Math.floor(clock.now() / 1000),
      schedule: scheduleFrom(settings),
      payload,
      transcripts: transcriptsOf(spool, queued.control),
    },
    readable,
  );
  terminal.print(settings.json ? JSON.stringify(explained) : explained.sentences.join('\n'));
  return EXIT.ok;
};
