/**
 * Replays a job that has left the queue: its last recorded delivery, or, where none is kept, its list made anew from the
 * history. Only reads.
 */
import { newControlText } from '../../delivery-list/generate.ts';
import { historyFiles, historyFolder } from '../../history/files.ts';
import { latestStory, type Story } from '../../history/search.ts';
import { storyFacts } from '../../output/history-text.ts';
import { bytesOf } from '../../platform/bytes.ts';
import { readInput } from '../../replay/input.ts';
import { transcriptsOf } from '../../replay/transcript/transcript-files.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { warner } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { fromControl } from './control.ts';
import { printResult } from './result.ts';
import { type Origin, parseOptions, placeholder, readBytes, type SourceLocation } from './source.ts';
import { replayTranscript } from './transcript.ts';

/** Null: nothing is known of it. */
export async function replayGone(
  { folder: spool, control }: SourceLocation,
  invocation: Invocation,
): Promise<ExitCode | CliError | null> {
  const story = latestStory(historyFiles(historyFolder(spool)), control);
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
      warn(`job ${control} has left the queue; this is its last recorded delivery, ${file}.`);
      return replayTranscript(input.transcript, file, invocation);
    }
  }
  return story === null ? null : replayStory(story, invocation);
}

async function replayStory(story: Story, invocation: Invocation): Promise<ExitCode | CliError | null> {
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
    title: `Job ${job}, which has left the queue`,
    notes: ['Its list was made anew from the history, as if it had not been tried.'],
    payload: async () => ({
      kind: 'payload',
      read: placeholder(size ?? 400, sender),
      notes: ['The message itself is gone; a placeholder is used instead.'],
    }),
  };
  return printResult(await fromControl(input, origin, invocation), invocation);
}
