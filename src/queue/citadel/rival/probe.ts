/**
 * The two messages of ours in a queue room, and what is remembered of them. Called by the inventory and the tripwire. Pure.
 *
 * The flag says that a spoolroom works this queue, and which: its time lies in the year 2038 and nobody waits in it, so
 * that no queue run of any era looks at it twice. The probe is a job like any other, due at once, and names the flag as
 * its mail: a queue run of any era tries it within a minute, and then replaces it or deletes it. Its recipient and its
 * sender are in `.invalid` (RFC 2606), so that nobody gets anything; its `retry` line keeps a server of 2012 from
 * reporting a first failure, and without `bounceto` a report of any other goes to the server's admins, who should read it.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { DELIVERY_LIST_HEADER } from '../../../delivery-list/serialise.ts';
import type { ByteString } from '../../../platform/bytes.ts';

/** Milliseconds the probe must have lain there: two queue runs of the server, and some. */
export const PROBE_PERIOD = 150_000;

/** The last second in which servers of 2012 and 2016 believe. */
const FAR_AHEAD = 2_147_483_647;
const LEAVE_ALONE = 'put there by the spoolroom program, leave it alone';

/** @param owner id of the state directory @param now Unix seconds */
export function flagText(owner: string, now: number): ByteString {
  const mark = `remote|flag.${owner}@spoolroom.invalid|2|${LEAVE_ALONE}`;
  return `${DELIVERY_LIST_HEADER}msgid|0\nsubmitted|${now}\nretry|300\nattempted|${FAR_AHEAD}\n${mark}\n`;
}

/** @param flag number of the flag @param now Unix seconds */
export function probeText(owner: string, flag: MessageNumber, now: number): ByteString {
  const mark = `remote|probe.${owner}@spoolroom.invalid|0|${LEAVE_ALONE}`;
  return (
    `${DELIVERY_LIST_HEADER}msgid|${flag}\nsubmitted|${now}\nbounceto|\n` +
    `envelope_from|probe.${owner}@spoolroom.invalid\nretry|300\n${mark}\n`
  );
}

export type ProbeKind =
  | 'flag'
  | 'probe'
  /** a probe of ours that something tried to deliver */
  | 'tried-probe'
  /** the flag of a spoolroom with another state directory */
  | 'foreign-flag';

/**
 * What kind of trial message a delivery list is; null for any other list. People can have jobs made for any address, but
 * not for one that holds our id, which is seen in the queue room only, and not with the payload number 0.
 */
export function probeKind(text: ByteString, owner: string): ProbeKind | null {
  const [, what, whose, status, words] =
    /\nremote\|(flag|probe)\.([0-9a-f]+)@spoolroom\.invalid\|(\d+)\|([^|\n]*)/.exec(text) ?? [];
  if (what === undefined) return null;
  if (whose !== owner) return what === 'flag' && text.includes('\nmsgid|0\n') ? 'foreign-flag' : null;
  if (what === 'flag') return 'flag';
  return status === '0' && words === LEAVE_ALONE ? 'probe' : 'tried-probe';
}

/** What is remembered between runs. */
export interface ProbeState {
  readonly flag: MessageNumber;
  /** null: it has lain there long enough */
  readonly probe: MessageNumber | null;
  /** milliseconds it has lain there untouched */
  readonly waited: number;
  /** wall clock of the last look, milliseconds */
  readonly looked: number;
  /** what something else did to the queue, as the rest of a sentence; no job is taken any more */
  readonly alarm: string | null;
}

/** The delivery lists as a process left them: control message, payload. */
export type ShutdownSnapshot = readonly (readonly [MessageNumber, MessageNumber])[];

export function encodeProbeState(remembered: ProbeState | ShutdownSnapshot): string {
  return `${JSON.stringify(remembered)}\n`;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isTrial(value: unknown): value is ProbeState {
  if (typeof value !== 'object' || value === null) return false;
  const { flag, probe, waited, looked, alarm } = value as { readonly [key in keyof ProbeState]?: unknown };
  return (
    [flag, waited, looked].every(isNumber) &&
    (probe === null || isNumber(probe)) &&
    (alarm === null || typeof alarm === 'string')
  );
}

function isLeft(value: unknown): value is ShutdownSnapshot {
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2 && pair.every(isNumber);
  return Array.isArray(value) && value.every(isPair);
}

/** Null: nothing we can use; then all is done again from the start. */
export function parseProbeState(text: string): ProbeState | null {
  const value = parsed(text);
  return isTrial(value) ? value : null;
}

/** Nothing we can use is nothing to compare with. */
export function parseShutdownSnapshot(text: string): ShutdownSnapshot {
  const value = parsed(text);
  return isLeft(value) ? value : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
