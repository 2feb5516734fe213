/**
 * The message a transcript is about: the one in the spool, where the job is still there, else what was recorded of it. Only
 * reads.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { escapeControl } from '../../output/text.ts';
import type { PayloadResult } from '../../queue/queue.ts';
import { notesIn } from '../../queue/spool/notes/dsn-store.ts';
import { readInput } from '../../replay/input.ts';
import { loadRecorded, type RecordedMessage, recordedMessage } from '../../replay/recorded-message.ts';
import type { ReportRules } from '../../replay/rehearsed-reports.ts';
import type { Simulation } from '../../replay/simulation.ts';
import type { Transcript } from '../../replay/transcript/transcript.ts';
import { transcriptFolder } from '../../replay/transcript/transcript-files.ts';
import type { Settings } from '../../settings/table.ts';
import { nodeDisk } from '../../storage/disk.ts';
import { viewSpool } from '../setup/read-spool.ts';
import { NO_NOTES, PLACEHOLDER } from './origin.ts';
import { parseOptions, readBytes } from './source.ts';

export interface TranscriptMessage {
  /** where the sockets of the server may be */
  readonly folder: string;
  readonly store: ReportRules['store'];
  readonly notes: readonly string[];
  /** of the spool; absent: it is not there any more */
  readonly payload?: PayloadResult;
  /** null: nothing was recorded of it */
  readonly recorded: RecordedMessage | null;
}

export async function messageOf(
  transcript: Transcript,
  file: string,
  settings: Settings,
): Promise<TranscriptMessage> {
  const spool = spoolOfTranscript(file) ?? settings.spool;
  const recorded = recordedMessage(transcript);
  const found = spool === null ? null : await inSpool(spool, transcript, settings);
  if (spool !== null && found !== null) {
    return { folder: spool, store: notesIn(spool, nodeDisk), recorded, ...found };
  }
  const known =
    recorded === null
      ? 'nothing was recorded of it: a placeholder is used instead, and its size stands in SIZE='
      : `its size (${recorded.size} bytes) and its sender are the recorded ones, whatever settings would change them`;
  const note = `The message itself is not in ${spool === null ? 'a spool (--spool)' : escapeControl(spool)} any more; ${known}.`;
  return { folder: spool ?? dirname(file), store: NO_NOTES, recorded, notes: [note] };
}

/** How the message gets into the simulation. */
export function sendable({
  payload,
  recorded,
}: TranscriptMessage): Pick<Simulation, 'payload' | 'load' | 'unrecorded'> {
  if (payload !== undefined) return { payload };
  if (recorded === null) return { payload: PLACEHOLDER };
  let tell: (what: string) => void = () => {};
  const unrecorded = new Promise<string>((resolve) => {
    tell = resolve;
  });
  return {
    payload: { kind: 'missing', reason: 'the message is not in the spool any more' },
    load: loadRecorded(recorded, (what) => tell(what)),
    unrecorded,
  };
}

/** Null: it does not lie where a run puts it. */
export function spoolOfTranscript(file: string): string | null {
  const path = resolve(file);
  const spool = dirname(dirname(dirname(path)));
  return join(transcriptFolder(spool), basename(path)) === path ? spool : null;
}

/** Null: the job is gone, or another one has its number. */
async function inSpool(
  spool: string,
  { header: { control, job } }: Transcript,
  settings: Settings,
): Promise<Pick<TranscriptMessage, 'payload' | 'notes'> | null> {
  const bytes = readBytes(join(spool, String(control)));
  if ('kind' in bytes) return null;
  const input = readInput(bytes, control, parseOptions(settings));
  if (input.kind !== 'control') return null;
  const { msgid, submitted } = input.queued.job;
  if (msgid !== job.msgid || (submitted ?? 0) !== (job.submitted ?? 0)) return null;
  const notes: string[] = [];
  const opened = await viewSpool(spool, settings, (text) => notes.push(text));
  if ('kind' in opened) return null;
  const payload = await opened.view.readPayload(msgid);
  return payload.kind === 'found' ? { payload, notes } : null;
}
