/**
 * Our two messages in a queue room, the flag and the probe, and the state that is kept of them. Pure.
 *
 * The flag says that a spoolroom works on this queue, and which one. Its next attempt lies in the year 2038 and it has no
 * pending recipient, so no queue run of any era touches it. The probe is a job like any other, due at once, and names the
 * flag as its payload: a queue run of any era tries it within a minute, and then replaces or deletes it. Its recipient and
 * sender are in `.invalid` (RFC 2606), so nobody receives anything. Its `retry` line keeps a server of 2012 from reporting a
 * first failure; without `bounceto`, any other report goes to the server's admins, who should read it.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { DELIVERY_LIST_HEADER } from '../../../delivery-list/serialise.ts';
import type { ByteString } from '../../../platform/bytes.ts';

/** Milliseconds that the probe must stay untouched: a little more than two queue runs of the server. */
export const PROBE_PERIOD = 150_000;

/** The last second that servers of 2012 and 2016 can represent. */
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
 * Null for any delivery list that is not a probe message. Users can cause jobs for any address, but not for one with our id,
 * which appears in the queue room only, and not with the payload number 0.
 */
export function probeKind(text: ByteString, owner: string): ProbeKind | null {
  const [, what, id, status, note] =
    /\nremote\|(flag|probe)\.([0-9a-f]+)@spoolroom\.invalid\|(\d+)\|([^|\n]*)/.exec(text) ?? [];
  if (what === undefined) return null;
  if (id !== owner) return what === 'flag' && text.includes('\nmsgid|0\n') ? 'foreign-flag' : null;
  if (what === 'flag') return 'flag';
  return status === '0' && note === LEAVE_ALONE ? 'probe' : 'tried-probe';
}

/** Kept between processes, as JSON. */
export interface ProbeState {
  readonly flag: MessageNumber;
  /** null: the probe period has ended without an alarm */
  readonly probe: MessageNumber | null;
  /** milliseconds that the probe has stayed untouched */
  readonly waited: number;
  /** wall clock of the last check, milliseconds */
  readonly looked: number;
  /** what something else did to the queue, completing "Something else ..."; nothing is delivered any more */
  readonly alarm: string | null;
}

/** The control messages when a process ended: their numbers and those of their payloads. */
export type ShutdownSnapshot = readonly (readonly [MessageNumber, MessageNumber])[];

export function encodeProbeState(state: ProbeState | ShutdownSnapshot): string {
  return `${JSON.stringify(state)}\n`;
}

function isMessageNumber(value: unknown): value is MessageNumber {
  return Number.isSafeInteger(value);
}

/** The clocks count in fractions of a millisecond. */
function isTime(value: unknown): value is number {
  return Number.isFinite(value);
}

function isProbeState(value: unknown): value is ProbeState {
  if (typeof value !== 'object' || value === null) return false;
  const { flag, probe, waited, looked, alarm } = value as { readonly [key in keyof ProbeState]?: unknown };
  return (
    isMessageNumber(flag) &&
    (probe === null || isMessageNumber(probe)) &&
    isTime(waited) &&
    waited >= 0 &&
    isTime(looked) &&
    (alarm === null || typeof alarm === 'string')
  );
}

function isSnapshot(value: unknown): value is ShutdownSnapshot {
  const isPair = (pair: unknown): boolean =>
    Array.isArray(pair) && pair.length === 2 && pair.every(isMessageNumber);
  return Array.isArray(value) && value.every(isPair);
}

/** Null: not valid. */
export function parseProbeState(text: string): ProbeState | null {
  const value = parsed(text);
  return isProbeState(value) ? value : null;
}

/** Empty when it is not valid. */
export function parseShutdownSnapshot(text: string): ShutdownSnapshot {
  const value = parsed(text);
  return isSnapshot(value) ? value : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
