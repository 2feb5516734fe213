/**
 * `spoolroom replay`: why a message did or did not arrive. Runs the real state machines on a control message (from a spool, a
 * file or a Citadel export) in a simulated world, or on a transcript with the replies recorded in it. Reads files and never
 * writes into a spool; only `--live` contacts other hosts, and it stops before DATA.
 */
import { dirname } from 'node:path';
import { factsOf } from '../../output/queue-facts.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import { NO_WAITS } from '../../output/throttling.ts';
import { messageIn } from '../../replay/export.ts';
import { type ControlInput, readInput } from '../../replay/input.ts';
import { fromControl } from '../replay/control.ts';
import { exportedJob, exportedQueue, exportedQueueText, piecesOf } from '../replay/export.ts';
import { replayGone } from '../replay/gone.ts';
import { missing, NO_NOTES, type Origin, originOf, stored } from '../replay/origin.ts';
import { printResult, type ReplayResult } from '../replay/result.ts';
import { parseOptions, reading, readSource, type SourceLocation, sourceLocation } from '../replay/source.ts';
import { replayTranscript } from '../replay/transcript.ts';
import { clockFor, loadRules } from '../setup/load-config.ts';
import type { CliError, Command, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  const { options, settings } = invocation;
  const location = sourceLocation(invocation);
  const bytes = readSource(location.file);
  if (bytes === 'export') return fromExport(location.file, invocation);
  if ('kind' in bytes) {
    const isGone = location.spool !== null && bytes.exit === EXIT.noInput;
    return (isGone ? await replayGone(location, invocation) : null) ?? bytes;
  }
  if (options.job !== undefined) {
    return cliError(
      `${location.file} is not a Citadel export, so it takes no job number; for a job in a spool: ${invocation.commandText('replay', String(options.job), '--spool', 'DIR')}`,
      EXIT.usage,
    );
  }
  const input = readInput(bytes, location.control, parseOptions(settings));
  switch (input.kind) {
    case 'unusable':
      return cliError(`${location.file} ${escapeControl(input.reason)}.`, EXIT.data);
    case 'transcript':
      return replayTranscript(input.transcript, location.file, invocation);
    case 'control':
      if (options.check === true || options['save-fixture'] !== undefined) {
        return cliError(
          `${location.file} is a control message; --check and --save-fixture need a transcript.`,
          EXIT.usage,
        );
      }
      return printResult(await fromLocation(location, input, invocation), invocation);
  }
};

async function fromLocation(
  location: SourceLocation,
  input: ControlInput,
  invocation: Invocation,
): Promise<ReplayResult> {
  const origin = await originOf(location, input, invocation);
  return 'exit' in origin ? origin : fromControl(input, origin, invocation);
}

async function fromExport(file: string, invocation: Invocation): Promise<ExitCode | CliError> {
  const { options, settings } = invocation;
  if (options.check === true || options['save-fixture'] !== undefined) {
    return cliError(`${file} is a Citadel export; --check and --save-fixture need a transcript.`, EXIT.usage);
  }
  if (options.job === undefined) return listExport(file, invocation);
  const job = String(options.job);
  if (!/^\d{1,15}$/.test(job)) return cliError(`${escapeControl(job)} is not a job number.`, EXIT.usage);
  const found = await reading(file, () => exportedJob(file, Number(job), parseOptions(settings)));
  if (found.kind === 'error') return found;
  const origin: Origin = {
    title: `Control message ${job} of ${file}`,
    notes: found.problems.map(escapeControl),
    lists: [found.input.queued],
    folder: dirname(file),
    inSpool: false,
    store: NO_NOTES,
    waits: NO_WAITS,
    payload: () =>
      reading(file, async () => {
        const { msgid } = found.input.queued.job;
        const bytes = await messageIn(piecesOf(file), msgid);
        return {
          kind: 'payload',
          read: bytes === null ? missing(msgid) : stored(msgid, bytes),
          notes: [],
        };
      }),
  };
  return printResult(await fromControl(found.input, origin, invocation), invocation);
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
  terminal.print(settings.json ? JSON.stringify(queue) : exportedQueueText(queue, now));
  return EXIT.ok;
}
