/**
 * `spoolroom replay`: why a mail did or did not arrive. Takes a control message through the real machines in a chosen
 * world, or a transcript through what was recorded; a control message may lie in an exported server, too. Reads files
 * and never writes into a spool; only `--live` talks to anyone, and it stops before DATA.
 */

import { factsOf } from '../../output/queue-table.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import { messageIn } from '../../replay/export.ts';
import { readInput } from '../../replay/input.ts';
import { fromControl } from '../replay/control.ts';
import { exportedJob, exportedQueue, exportedQueueText, piecesOf } from '../replay/export.ts';
import { printResult } from '../replay/result.ts';
import {
  missing,
  type Origin,
  originOf,
  parseOptions,
  reading,
  readSource,
  sourceLocation,
  stored,
} from '../replay/source.ts';
import { replayTranscript } from '../replay/transcript.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError, clockFor, loadRules } from '../setup/load-config.ts';
import type { Command, Invocation } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  const done = await replay(invocation);
  if (typeof done === 'number') return done;
  invocation.terminal.tell(`spoolroom: ${done.text}`);
  return done.exit;
};

async function replay(invocation: Invocation): Promise<ExitCode | CliError> {
  const { options, settings } = invocation;
  const place = sourceLocation(invocation);
  const bytes = readSource(place.file);
  if (bytes === 'export') return fromExport(place.file, invocation);
  if ('kind' in bytes) return bytes;
  if (options.job !== undefined) {
    return cliError(
      `${place.file} is no exported server, so no number of a job goes with it; \`--spool DIR N\` names one in a spool.`,
      EXIT.usage,
    );
  }
  const subject = readInput(bytes, place.control, parseOptions(settings));
  switch (subject.kind) {
    case 'unusable':
      return cliError(`${place.file} ${escapeControl(subject.reason)}.`, EXIT.data);
    case 'transcript':
      return replayTranscript(subject.transcript, place.file, invocation);
    case 'control':
      if (options.check === true || options['save-fixture'] !== undefined) {
        return cliError(
          `${place.file} is a control message; --check and --save-fixture take a transcript.`,
          EXIT.usage,
        );
      }
      return printResult(await fromControl(subject, originOf(place), invocation), invocation);
  }
}

async function fromExport(file: string, invocation: Invocation): Promise<ExitCode | CliError> {
  const { options, settings } = invocation;
  if (options.check === true || options['save-fixture'] !== undefined) {
    return cliError(
      `${file} is an exported server; --check and --save-fixture take a transcript.`,
      EXIT.usage,
    );
  }
  if (options.job === undefined) return listExport(file, invocation);
  const job = String(options.job);
  if (!/^\d{1,15}$/.test(job))
    return cliError(`${escapeControl(job)} is not the number of a job.`, EXIT.usage);
  const found = await reading(file, () => exportedJob(file, Number(job), parseOptions(settings)));
  if (found.kind === 'trouble') return found;
  const origin: Origin = {
    title: `Control message ${job} of ${file}`,
    notes: found.problems.map(escapeControl),
    payload: (msgid) =>
      reading(file, async () => {
        const bytes = await messageIn(piecesOf(file), msgid);
        return {
          kind: 'payload',
          read: bytes === null ? missing(msgid, 'export') : stored(msgid, bytes),
          notes: [],
        };
      }),
  };
  return printResult(await fromControl(found.subject, origin, invocation), invocation);
}

async function listExport(file: string, { settings, terminal }: Invocation): Promise<ExitCode | CliError> {
  const rules = await loadRules(settings);
  if ('kind' in rules) return rules;
  const now = Math.floor(clockFor(settings).now() / 1000);
  const readable = textDecoder(rules.render.legacy);
  const queue = await reading(file, () =>
    exportedQueue(file, parseOptions(settings), ({ queued }) =>
      factsOf(queued, [queued], now, rules.due.schedule, readable),
    ),
  );
  if ('kind' in queue) return queue;
  terminal.print(settings.json ? JSON.stringify(queue) : exportedQueueText(queue));
  return EXIT.ok;
}
