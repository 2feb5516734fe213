/**
 * The tripwire against a second queue run: a control message of our own that no honest program touches. It names nobody
 * who could be sent anything, and a time far ahead, so that the server's own queue run, if there is one, leaves it or
 * removes it, and mails nobody. Called by the live room before it takes a job. Pure: text and judgement only.
 */
import type { ByteString } from '../../control/job.ts';
import { LIST_HEADER } from '../../control/serialise.ts';
import type { MessageNumber } from '../room.ts';

/** Milliseconds it must have lain there: two queue runs of the server, and some. */
export const PATIENCE = 150_000;

export interface Trial {
  readonly number: MessageNumber;
  /** Unix seconds */
  readonly posted: number;
}

const MARK = 'remote|trial@spoolroom.invalid|2|a trial of the spoolroom program, leave it alone\n';
/** The last second in which servers of 2012 and 2016 believe. */
const FAR_AHEAD = 2_147_483_647;

/** @param now Unix seconds */
export function trialText(now: number): ByteString {
  return `${LIST_HEADER}msgid|0\nsubmitted|${now}\nretry|300\nattempted|${FAR_AHEAD}\n${MARK}`;
}

/** Whether this is a trial of ours, of this process or of another one. */
export function isTrial(instructions: ByteString): boolean {
  return instructions.includes(`\n${MARK}`);
}

/** The file in which a trial is remembered between runs. */
export function trialRecord({ number, posted }: Trial): string {
  return `message ${number} posted ${posted}\n`;
}

export function parseTrialRecord(text: string): Trial | null {
  const [, number, posted] = /^message (\d{1,15}) posted (\d{1,15})\n$/.exec(text) ?? [];
  return number === undefined ? null : { number: Number(number), posted: Number(posted) };
}
