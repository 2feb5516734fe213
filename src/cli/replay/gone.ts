/**
 * Replays a job that has left the queue: its last recorded delivery, or, where none is kept, its list made anew from the
 * history. Only reads.
 */
import { newControlText } from '../../delivery-list/generate.ts';
import { latestStory } from '../../history/reader.ts';
import type { Story } from '../../history/search.ts';
import { elsewhere, storyFacts } from '../../output/history-text.ts';
import { NO_WAITS } from '../../output/throttling.ts';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import { machineName } from '../../platform/machine-name.ts';
import { readInput } from '../../replay/input.ts';
import { loadRecorded } from '../../replay/recorded-message.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import { historyReader } from '../setup/history.ts';
import { clockFor } from '../setup/load-config.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { warner } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { fromControl } from './control.ts';
import { NO_NOTES, type Origin, type Payload, PLACEHOLDER } from './origin.ts';
import { printResult } from './result.ts';
import { parseOptions, readBytes, type SourceLocation } from './source.ts';
import { replayTranscript } from './transcript.ts';

/** Null: nothing is known of it. */
export async function replayGone(
  { folder: spool, control }: SourceLocation,
  invocation: Invocation,
): Promise<ExitCode | CliError | null> {
  const { settings } = invocation;
  const history = await historyReader(spool, settings, clockFor(settings));
  if ('kind' in history) return history;
  const story = await latestStory(history, control);
  const facts = story === null ? null : storyFacts(story);
  const [file] =
    facts === null
      ? transcriptsOf(spool, control)
      : transcriptsOf(spool, facts.job, { msgid: facts.mail, submitted: facts.submitted });
  const warn = warner(invocation.terminal);
  if (file !== undefined && invocation.options.live !== true) {
    const bytes = readBytes(file);
    if ('kind' in bytes) return bytes;
    const input = readInput(bytes, control, parseOptions(invocation.settings));
    if (input.kind === 'transcript') {
      const left = settings.postgres === null ? `job ${control} has left the queue; ` : '';
      warn(`${left}this is its last recorded delivery, ${file}.`);
      return replayTranscript(input.transcript, file, invocation);
    }
  }
  return story === null ? null : replayStory(story, spool, invocation);
}

async function replayStory(
  story: Story,
  spool: string,
  invocation: Invocation,
): Promise<ExitCode | CliError | null> {
  const { settings } = invocation;
  const { job, mail, submitted, sender, size, recipients } = storyFacts(story);
  const list = newControlText({
    msgid: mail,
    submitted: submitted ?? 0,
    bounceto: bytesOf(sender ?? ''),
    envelopeFrom: sender === null ? null : bytesOf(sender),
    sourceRoom: null,
    recipients: Object.keys(recipients).map(bytesOf),
  });
  const bytes = Buffer.from(list, 'latin1');
  const input = readInput(bytes, job, parseOptions(invocation.settings));
  if (input.kind !== 'control') return null;
  const origin: Origin = {
    // Whether it has left a database, nobody has looked.
    title: settings.postgres === null ? `Job ${job}, which has left the queue` : `Job ${job}, of the history`,
    notes: [
      'Its list was made anew from the history, as if it had not been tried.',
      ...[elsewhere(story, machineName(), invocation.commandText('replay', String(job))) ?? []].flat(),
    ],
    lists: [input.queued],
    folder: spool,
    inSpool: true,
    store: NO_NOTES,
    waits: NO_WAITS,
    payload: async () => goneMessage(size, bytesOf(sender ?? '')),
  };
  return printResult(await fromControl(input, origin, invocation), invocation);
}

/** Of the size that was sent, where the history knows it. */
function goneMessage(size: number | null, sender: ByteString): Payload {
  const missing = { kind: 'missing', reason: 'the message is gone' } as const;
  if (size === null) {
    const notes = [
      'The message itself is gone; a placeholder is used instead, and its size stands in SIZE=.',
    ];
    return { kind: 'payload', read: PLACEHOLDER, notes };
  }
  const load = loadRecorded({ size, eightBit: false, sender, sevenBit: size }, () => {});
  const notes = [
    `The message itself is gone; its size (${size} bytes) and its sender are those it was sent with.`,
  ];
  return { kind: 'payload', read: missing, load, notes };
}
