/**
 * What happened to each recipient according to the servers, the processes and the disk, and whether it may happen: no
 * recipient lost, none delivered to twice outside the allowed window, no outcome reported that did not happen.
 */
import type { Job } from '../../src/delivery-list/job.ts';
import { RETRY_INTERVALS } from '../../src/delivery-list/serialise.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import type { Acceptance } from './network.ts';

/** A process that was killed or could not write may not have recorded its last acceptances for its successor. */
export type Ending = 'in order' | 'killed' | 'unwritten';

interface Report {
  readonly process: number;
  /** that it was sent is durable */
  noted: boolean;
}

interface RecipientHistory {
  readonly mail: string;
  readonly acceptances: Acceptance[];
  /** final statuses that were reported as durable */
  readonly finalStatuses: (2 | 5)[];
  /** reports of a failure that the return path took */
  readonly reports: Report[];
  /** another program removed the list, or the message was not acknowledged yet */
  mayBeLost: boolean;
  withdrawn: boolean;
  /** named by two lists, one of which the disk may have hidden while the other was processed */
  hidden: boolean;
}

export class Invariants {
  readonly violations: string[] = [];
  /** a server sent an unsolicited reply, which can be taken for the reply to a command */
  unsolicitedReply = false;
  readonly #histories = new Map<string, RecipientHistory>();
  readonly #endings = new Map<number, Ending>();
  /** by message: how many attempts there were, and which recipients had an outcome in the last one */
  readonly #attempts = new Map<string, { count: number; process: number; at: number; ended: Set<string> }>();

  violated(text: string): void {
    this.violations.push(text);
  }

  /** A recipient of a message that is in the spool. */
  expect(mail: string, address: string): void {
    this.#histories.set(address, {
      mail,
      acceptances: [],
      finalStatuses: [],
      reports: [],
      mayBeLost: false,
      withdrawn: false,
      hidden: false,
    });
  }

  /** It need not be delivered, but must not be delivered twice either. */
  allowLoss(address: string): void {
    const history = this.#histories.get(address);
    if (history !== undefined) history.mayBeLost = true;
  }

  /** Another program removed the list. */
  withdraw(address: string): void {
    this.allowLoss(address);
    const history = this.#histories.get(address);
    if (history !== undefined) history.withdrawn = true;
  }

  /** A list that names the recipient may be read only after the message was delivered for another list. */
  mayHide(address: string): void {
    const history = this.#histories.get(address);
    if (history !== undefined) history.hidden = true;
  }

  /** From now on it must be delivered or reported to the sender. */
  acknowledge(address: string): void {
    const history = this.#histories.get(address);
    if (history !== undefined) history.mayBeLost = history.withdrawn;
  }

  accepted(acceptance: Acceptance): void {
    for (const address of acceptance.recipients) {
      const history = this.#histories.get(address);
      if (history === undefined) {
        this.violated(`${address} got a message and was never a recipient`);
        continue;
      }
      const { body } = acceptance;
      if (!body.includes(`\r\nSubject: ${history.mail}\r\n`) || !body.endsWith(`end of ${history.mail}\r\n`))
        this.violated(
          `${address} got another message than ${history.mail}, or a part of it: ${body.slice(0, 200)}`,
        );
      history.acceptances.push(acceptance);
      if (history.hidden) continue;
      if (history.finalStatuses.length > 0)
        this.violated(`${address} got the message although ${history.finalStatuses[0]} was durable`);
      for (const before of history.acceptances.slice(0, -1)) {
        if (!this.#mayBeForgotten(before, acceptance.process))
          this.violated(
            `${address} got the message in process ${before.process} and again in process ${acceptance.process}`,
          );
      }
    }
  }

  /** The one allowed window: the reply was not received, or the process ended before the outcome was durable. */
  #mayBeForgotten(before: Acceptance, process: number): boolean {
    if (!before.heard) return true;
    return before.process !== process && this.#endings.get(before.process) !== 'in order';
  }

  outcome({ recipient, status, outcome }: OutcomeRecord, process: number, at: number): void {
    const history = this.#histories.get(recipient);
    if (history === undefined) {
      this.violated(`an outcome was reported for ${recipient}, which is not a recipient`);
      return;
    }
    const heard = history.acceptances.some(
      (acceptance) => acceptance.process === process && acceptance.heard,
    );
    if (heard && status !== 2)
      this.violated(
        `${recipient} was reported as ${status} (${outcome.text}) after a final 2yz was received`,
      );
    this.#noteAttempt(history.mail, recipient, process, at);
    if (status === 4) return;
    if (history.finalStatuses.length > 0 && !history.hidden)
      this.violated(`${recipient} was reported as ${history.finalStatuses[0]}, then as ${status}`);
    if (status === 2 && !heard && !this.unsolicitedReply)
      this.violated(`${recipient} was reported as delivered, and no server said so`);
    history.finalStatuses.push(status);
  }

  /** The return path accepted a report that these recipients failed. */
  reported(addresses: readonly string[], process: number): void {
    for (const address of addresses) {
      const history = this.#histories.get(address);
      const reports = history?.reports;
      if (reports === undefined) this.violated(`a report names ${address}, which is not a recipient`);
      for (const before of history?.hidden ? [] : (reports ?? [])) {
        if (before.noted || before.process === process || this.#endings.get(before.process) === 'in order')
          this.violated(
            `${address} was reported in process ${before.process} and again in process ${process}`,
          );
      }
      reports?.push({ process, noted: false });
    }
  }

  reportNoted(address: string): void {
    for (const report of this.#histories.get(address)?.reports ?? []) report.noted = true;
  }

  processEnded(process: number, ending: Ending): void {
    this.#endings.set(process, ending);
    if (ending !== 'in order') return;
    for (const [address, { acceptances, finalStatuses }] of this.#histories) {
      if (finalStatuses.length === 0 && acceptances.some((each) => each.process === process && each.heard))
        this.violated(`${address} got the message in process ${process}, and that was never reported`);
    }
  }

  /** `waiting`: pending recipients according to the disk. `refusals`: some server may have refused permanently. */
  audit(waiting: ReadonlySet<string>, refusals: boolean): void {
    const crashed = [...this.#endings.values()].some((ending) => ending !== 'in order');
    for (const [address, { acceptances, finalStatuses, mayBeLost }] of this.#histories) {
      const settled = acceptances.length > 0 || finalStatuses.length > 0 || (crashed && refusals);
      if (!settled && !mayBeLost && !waiting.has(address)) this.violated(`${address} is lost`);
    }
  }

  /** In lists of 2012 the retry interval doubles once for each attempt, not with each write or read (R006). */
  auditWait(name: string, { dialect, attempted, retry, recipients }: Job): void {
    if (dialect !== '2012' || attempted === 0) return;
    const mail = recipients.map(({ address }) => this.#histories.get(address)?.mail).find(Boolean);
    const attempts = this.#attempts.get(mail ?? '')?.count ?? 0;
    // An outcome that is in the list may not have been reported before its process ended.
    const unrecorded = [...this.#endings.values()].filter((ending) => ending !== 'in order').length;
    const most = RETRY_INTERVALS.first * 2 ** Math.max(0, attempts + unrecorded - 1);
    // The reader has already doubled it.
    if (retry / 2 > most) this.violated(`${name} waits ${retry / 2} s after ${attempts} attempts`);
  }

  /**
   * One attempt of a message ends at most once for each recipient, and in one process. A recipient whose hosts asked us to send
   * less is left out of it, so that what comes after the retry interval is another one.
   */
  #noteAttempt(mail: string, recipient: string, process: number, at: number): void {
    const last = this.#attempts.get(mail);
    const isSame = last?.process === process && at - last.at < RETRY_INTERVALS.first * 1000;
    if (isSame && !last.ended.has(recipient)) last.ended.add(recipient);
    else
      this.#attempts.set(mail, { count: (last?.count ?? 0) + 1, process, at, ended: new Set([recipient]) });
  }

  /** At the end, when everything has had enough time. */
  finalAudit(waiting: ReadonlySet<string>): void {
    for (const address of waiting)
      this.violated(`${address} still waits although nothing prevents its delivery`);
    for (const [address, { acceptances, reports, finalStatuses, mayBeLost }] of this.#histories) {
      if (mayBeLost || reports.length > 0) continue;
      if (finalStatuses.includes(5)) this.violated(`${address} failed, and the sender was not told`);
      else if (acceptances.length === 0 && !this.unsolicitedReply)
        this.violated(`${address} got no message, and the sender was not told`);
    }
  }
}
