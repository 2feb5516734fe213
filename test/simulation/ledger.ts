/**
 * What really happened to each recipient, as the servers, the processes and the disk saw it, and whether that may be:
 * nobody lost, nobody served twice without an excuse, nothing told that is not so.
 */
import type { Job } from '../../src/delivery-list/job.ts';
import { RETRY_INTERVALS } from '../../src/delivery-list/serialise.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import type { Acceptance } from './network.ts';

/** The process could not end in order, or could not write: its last acceptances may be unknown to its successor. */
export type Ending = 'in order' | 'killed' | 'unwritten';

interface Report {
  readonly life: number;
  /** the note of it is durable */
  noted: boolean;
}

interface Fate {
  readonly mail: string;
  readonly acceptances: Acceptance[];
  /** final outcomes that were told as durable */
  readonly told: (2 | 5)[];
  /** reports of a failure that the return path took */
  readonly reports: Report[];
  /** another program took the list away, or nobody was promised anything yet */
  excused: boolean;
  withdrawn: boolean;
  /** named by two lists, one of which the disk may have hidden while the other was done */
  hidden: boolean;
}

export class Ledger {
  readonly violations: string[] = [];
  /** some server said what it was not asked, which can pass for an answer */
  deceived = false;
  readonly #fates = new Map<string, Fate>();
  readonly #endings = new Map<number, Ending>();
  /** by mail: how many tries there were, and who had an outcome in the last one */
  readonly #tries = new Map<string, { count: number; life: number; ended: Set<string> }>();

  violated(text: string): void {
    this.violations.push(text);
  }

  /** A recipient of a mail that lies in the spool for sure. */
  expect(mail: string, address: string): void {
    this.#fates.set(address, {
      mail,
      acceptances: [],
      told: [],
      reports: [],
      excused: false,
      withdrawn: false,
      hidden: false,
    });
  }

  /** It need not be delivered; twice it must not be either. */
  excuse(address: string): void {
    const fate = this.#fates.get(address);
    if (fate !== undefined) fate.excused = true;
  }

  /** Another program took the list away. */
  withdraw(address: string): void {
    this.excuse(address);
    const fate = this.#fates.get(address);
    if (fate !== undefined) fate.withdrawn = true;
  }

  /** Some list that names the recipient may be seen only after the mail was delivered by another list. */
  mayHide(address: string): void {
    const fate = this.#fates.get(address);
    if (fate !== undefined) fate.hidden = true;
  }

  /** It was acknowledged: from now on it must be delivered or told. */
  promise(address: string): void {
    const fate = this.#fates.get(address);
    if (fate !== undefined) fate.excused = fate.withdrawn;
  }

  accepted(acceptance: Acceptance): void {
    for (const address of acceptance.recipients) {
      const fate = this.#fates.get(address);
      if (fate === undefined) {
        this.violated(`${address} got a mail and was never a recipient`);
        continue;
      }
      const { body } = acceptance;
      if (!body.includes(`\r\nSubject: ${fate.mail}\r\n`) || !body.endsWith(`end of ${fate.mail}\r\n`))
        this.violated(
          `${address} got another mail than ${fate.mail}, or a part of it: ${body.slice(0, 200)}`,
        );
      fate.acceptances.push(acceptance);
      if (fate.hidden) continue;
      if (fate.told.length > 0) this.violated(`${address} got its mail although ${fate.told[0]} was durable`);
      for (const before of fate.acceptances.slice(0, -1)) {
        if (!this.#mayBeForgotten(before, acceptance.life))
          this.violated(
            `${address} got its mail in life ${before.life} and again in life ${acceptance.life}`,
          );
      }
    }
  }

  /** The one allowed window: the reply was not heard, or the process ended before the outcome was durable. */
  #mayBeForgotten(before: Acceptance, life: number): boolean {
    if (!before.heard) return true;
    return before.life !== life && this.#endings.get(before.life) !== 'in order';
  }

  outcome({ recipient, status, outcome }: OutcomeRecord, life: number): void {
    const fate = this.#fates.get(recipient);
    if (fate === undefined) {
      this.violated(`an outcome was told of ${recipient}, who is no recipient`);
      return;
    }
    const heard = fate.acceptances.some((acceptance) => acceptance.life === life && acceptance.heard);
    if (heard && status !== 2)
      this.violated(`${recipient} was told as ${status} (${outcome.text}) after a final 2yz was heard`);
    this.#noteTry(fate.mail, recipient, life);
    if (status === 4) return;
    if (fate.told.length > 0 && !fate.hidden)
      this.violated(`${recipient} was told as ${fate.told[0]}, then as ${status}`);
    if (status === 2 && !heard && !this.deceived)
      this.violated(`${recipient} was told as delivered, and no server said so`);
    fate.told.push(status);
  }

  /** The return path took a report that these recipients failed. */
  reported(addresses: readonly string[], life: number): void {
    for (const address of addresses) {
      const fate = this.#fates.get(address);
      const reports = fate?.reports;
      if (reports === undefined) this.violated(`a report names ${address}, who is no recipient`);
      for (const before of fate?.hidden ? [] : (reports ?? [])) {
        if (before.noted || before.life === life || this.#endings.get(before.life) === 'in order')
          this.violated(`${address} was reported in life ${before.life} and again in life ${life}`);
      }
      reports?.push({ life, noted: false });
    }
  }

  reportNoted(address: string): void {
    for (const report of this.#fates.get(address)?.reports ?? []) report.noted = true;
  }

  lifeEnded(life: number, ending: Ending): void {
    this.#endings.set(life, ending);
    if (ending !== 'in order') return;
    for (const [address, { acceptances, told }] of this.#fates) {
      if (told.length === 0 && acceptances.some((each) => each.life === life && each.heard))
        this.violated(`${address} got its mail in life ${life}, and that was never told`);
    }
  }

  /** `waiting`: recipients that are still to be tried, as the disk has it. `refusals`: some server refused for good. */
  audit(waiting: ReadonlySet<string>, refusals: boolean): void {
    const crashed = [...this.#endings.values()].some((ending) => ending !== 'in order');
    for (const [address, { acceptances, told, excused }] of this.#fates) {
      const settled = acceptances.length > 0 || told.length > 0 || (crashed && refusals);
      if (!settled && !excused && !waiting.has(address)) this.violated(`${address} is lost`);
    }
  }

  /** In 2012's lists a wait doubles with each try of a job, however often the list is written and looked at (R006). */
  auditWait(name: string, { dialect, attempted, retry, recipients }: Job): void {
    if (dialect !== '2012' || attempted === 0) return;
    const mail = recipients.map(({ address }) => this.#fates.get(address)?.mail).find(Boolean);
    const tries = this.#tries.get(mail ?? '')?.count ?? 0;
    // An outcome that is in the list may have been told by nobody any more.
    const untold = [...this.#endings.values()].filter((ending) => ending !== 'in order').length;
    const most = RETRY_INTERVALS.first * 2 ** Math.max(0, tries + untold - 1);
    // A reader has doubled it already.
    if (retry / 2 > most) this.violated(`${name} waits ${retry / 2} s after ${tries} tries`);
  }

  /** One try of a mail ends at most once for each recipient, and in one process. */
  #noteTry(mail: string, recipient: string, life: number): void {
    const last = this.#tries.get(mail);
    if (last !== undefined && last.life === life && !last.ended.has(recipient)) last.ended.add(recipient);
    else this.#tries.set(mail, { count: (last?.count ?? 0) + 1, life, ended: new Set([recipient]) });
  }

  /** Everything was given time enough. */
  finalAudit(waiting: ReadonlySet<string>): void {
    for (const address of waiting) this.violated(`${address} still waits although nothing is in its way`);
    for (const [address, { acceptances, reports, told, excused }] of this.#fates) {
      if (excused || reports.length > 0) continue;
      if (told.includes(5)) this.violated(`${address} failed, and nobody was told`);
      else if (acceptances.length === 0 && !this.deceived)
        this.violated(`${address} got no mail, and nobody was told`);
    }
  }
}
