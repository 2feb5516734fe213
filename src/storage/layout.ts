/** The paths in a spool directory or state directory (techdoc/spool-states.md). Pure: makes names, touches nothing. */
import type { MessageNumber } from '../delivery-list/job.ts';

export interface StateLayout {
  /** the spool directory itself */
  readonly spool: string;
  /** our own folder in it, with the locks, the queue's id and the journal */
  readonly state: string;
  readonly id: string;
  readonly journal: string;
  /** the highest number ever seen */
  readonly highest: string;
  /** problems that last, each of which is told once */
  readonly alerts: string;
  /** what the lists of jobs that wait for their time say of it */
  readonly parked: string;
  /** groups of hosts that asked us to send less */
  readonly throttled: string;
  /** what hosts offer and cannot do */
  readonly refusals: string;
  /** counters of the process that delivers */
  readonly metrics: string;
  /** counters of the process that listens */
  readonly intakeMetrics: string;
  /** unreadable control messages, each with a file that says why */
  readonly bad: string;
  /** requests of administrators, one file for each job */
  readonly requests: string;
  /** removed jobs */
  readonly removed: string;
  /** what senders asked for in reports, by payload */
  readonly dsn: string;
  /** addresses to which nothing is sent for a time */
  readonly suppressed: string;
  /** DSNs kept for the postmaster */
  readonly reports: string;
  /** MTA-STS policies, a file for each domain */
  readonly policies: string;
  /** counts of TLS sessions, a file for each day */
  readonly tlsReports: string;
  /** what `spoolroom move` brings from a database, until it is ours */
  readonly moving: string;
  /** files on their way to their final name */
  readonly temporary: string;
  message(number: MessageNumber): string;
}

export function layoutOf(spool: string): StateLayout {
  const state = `${spool}/.spoolroom`;
  return {
    spool,
    state,
    id: `${state}/id`,
    journal: `${state}/journal`,
    highest: `${state}/highest`,
    alerts: `${state}/alerts`,
    parked: `${state}/parked`,
    throttled: `${state}/throttled`,
    refusals: `${state}/refusals`,
    metrics: `${state}/metrics`,
    intakeMetrics: `${state}/metrics-intake`,
    bad: `${state}/bad`,
    requests: `${state}/requests`,
    removed: `${state}/removed`,
    dsn: `${state}/dsn`,
    suppressed: `${state}/suppressed`,
    reports: `${state}/reports`,
    policies: `${state}/mta-sts`,
    tlsReports: `${state}/tls-reports`,
    moving: `${state}/moving`,
    temporary: `${state}/tmp`,
    message: (number) => `${spool}/${number}`,
  };
}

/** The highest number of a message: of fifteen digits, so that adding to it stays exact below 2^53. */
export const HIGHEST_NUMBER: MessageNumber = 999_999_999_999_999;

/** The highest number that a new message gets: 32 bits are what lists of 2012 hold of it. Files with higher ones are read all the same. */
export const HIGHEST_NEW: MessageNumber = 2_147_483_647;

/**
 * The number in a file name: decimal without leading zeros, as we and Citadel write it. Null for other names, and for
 * numbers beyond the highest: such files are not messages.
 */
export function messageNumber(name: string): MessageNumber | null {
  const { length } = name;
  if (length === 0 || length > 15 || (length > 1 && name.charCodeAt(0) === 0x30)) return null;
  let number = 0;
  for (let at = 0; at < length; at++) {
    const digit = name.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return null;
    number = number * 10 + digit;
  }
  return number;
}

/** Whether the name would be that of a message if its number were not beyond the highest. */
export function isBeyondNumbers(name: string): boolean {
  return /^[1-9]\d{15,}$/.test(name);
}
