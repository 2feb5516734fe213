/**
 * Where things lie in a spool directory (techdoc/spool-states.md). Called by every file of this folder, so that a name
 * is spelled in one place. Pure: makes names, touches nothing.
 */
import type { MessageNumber } from '../delivery-list/job.ts';

export interface StateLayout {
  /** the spool directory itself */
  readonly spool: string;
  /** our own folder in it, with the locks, the spool's id and the journal */
  readonly state: string;
  readonly id: string;
  readonly journal: string;
  /** control messages that cannot be read, each with a file that says why */
  readonly bad: string;
  /** what administrators ask for jobs, one file for each job */
  readonly requests: string;
  /** jobs that were taken out of the spool */
  readonly removed: string;
  /** reports to users here, for somebody to bring to them */
  readonly reports: string;
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
    bad: `${state}/bad`,
    requests: `${state}/requests`,
    removed: `${state}/removed`,
    reports: `${state}/reports`,
    temporary: `${state}/tmp`,
    message: (number) => `${spool}/${number}`,
  };
}

/** The number a file name stands for: decimal without leading zeros, as we and Citadel write it. Null for other names. */
export function messageNumber(name: string): MessageNumber | null {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(name)) return null;
  const number = Number(name);
  return Number.isSafeInteger(number) ? number : null;
}
