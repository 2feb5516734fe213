/**
 * Sees to it that nobody else works the queue: no queue run of the server, no second spoolroom. Called by the live room at
 * every look, before a job is taken. A flag of ours lies in the room as long as we work there; a probe lies there until it
 * is proven that no queue run takes it (trial.ts). What something else did is remembered in the state directory, so that a
 * run that cron starts a minute later knows it as well. Never decides by the clock on the wall alone.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { Clock } from '../../../platform/clock.ts';
import { ConcurrentRunnerError } from '../../../platform/system-errors.ts';
import type { RoomIndex } from '../room-index.ts';
import { flagText, PROBE_PERIOD, type ProbeState, probeText, type ShutdownSnapshot } from './probe.ts';

/** As much of the time between two processes counts as waiting, or of that in which looks failed: only the clock on the wall knows it. */
const BETWEEN_PROCESSES = 60_000;

/** Where the trial is remembered. Promises resolve when it is durable. */
export interface ProbeStore {
  /** of the file that an administrator removes to end an alarm */
  readonly path: string;
  read(): ProbeState | null;
  write(trial: ProbeState): Promise<void>;
  readLeft(): ShutdownSnapshot;
  writeLeft(left: ShutdownSnapshot): Promise<void>;
  /** needs no space on the disk */
  dropLeft(): Promise<void>;
}

export interface RivalDetectorDeps {
  /** of the server, for people */
  readonly name: string;
  readonly owner: string;
  readonly clock: Clock;
  readonly memory: ProbeStore;
  readonly inventory: RoomIndex;
  /** posts a control message and gives its number */
  readonly post: (text: string) => Promise<MessageNumber>;
}

export class RivalDetector {
  readonly #parts: RivalDetectorDeps;
  #trial: ProbeState | null;
  /** as the last process left the room; empty when we have changed something since */
  #left: ShutdownSnapshot;
  /** monotonic time of the last look of this process */
  #looked: number | null = null;

  constructor(parts: RivalDetectorDeps) {
    this.#parts = parts;
    this.#trial = parts.memory.read();
    this.#left = parts.memory.readLeft();
  }

  /** After the first look of a process, before it changes anything: what was done to the queue since the last one ended. */
  compare(): void {
    // Who removed the memory has seen to it that nobody else works the queue from now on.
    if (this.#trial === null) return;
    const { inventory } = this.#parts;
    const left = new Map(this.#left);
    for (const [control, msgid] of left)
      if (!inventory.items.has(control) && !inventory.unseen.has(control))
        inventory.noteExternalDelete(msgid);
    for (const held of inventory.jobs()) if (!left.has(held.control)) inventory.checkReplacement(held);
  }

  /** We are about to change the queue: what the last process left there is no evidence any more. */
  async disarm(): Promise<void> {
    await this.#keepDeeds();
    if (this.#left.length === 0) return;
    await this.#parts.memory.dropLeft();
    this.#left = [];
  }

  /** The process ends; `left` are the delivery lists as they are now. */
  async rearm(left: ShutdownSnapshot): Promise<void> {
    await this.#keepDeeds();
    if (JSON.stringify(this.#left) !== JSON.stringify(left)) await this.#parts.memory.writeLeft(left);
  }

  /** What was done to the queue and has not been judged yet. */
  async #keepDeeds(): Promise<void> {
    const { deleted, replaced } = this.#parts.inventory.evidence;
    const trial = this.#trial;
    if (trial === null || (!deleted && replaced === null)) return;
    const kept = { ...trial, waited: deleted ? 0 : trial.waited, alarm: trial.alarm ?? replaced };
    if (kept.waited !== trial.waited || kept.alarm !== trial.alarm) await this.#remember(kept);
  }

  /**
   * At each look, after the inventory. Resolves to the reason why no job may be taken yet, null when all is well; rejects
   * when something else works the queue. `discard` has deleted what was discarded when it resolves.
   */
  async check(discard: () => Promise<void>): Promise<string | null> {
    this.#refuseForeign();
    if (this.#trial !== null && this.#trial.alarm !== null) this.#trial = this.#parts.memory.read();
    const trial = this.#trial ?? (await this.#begin());
    const alarm = trial.alarm ?? this.#alarmIn(trial);
    if (alarm !== null) {
      if (trial.alarm === null) await this.#remember({ ...trial, alarm });
      throw new ConcurrentRunnerError(this.#alarmText(alarm));
    }
    // A queue run leaves it alone: somebody tidied up, or the server's own expiry of old messages did.
    if (this.#isGone(trial.flag))
      return `The flag was removed. ${await this.#wait(await this.#begin(), discard)}`;
    const unseen = [trial.flag, trial.probe].find((number) => number !== null && this.#isUnseen(number));
    if (unseen !== undefined)
      return `The server ${this.#parts.name} does not show the trial message ${unseen} at the moment. The mail waits.`;
    return this.#wait(trial, discard);
  }

  #isGone(number: MessageNumber): boolean {
    return this.#parts.inventory.items.get(number)?.kind !== 'trial' && !this.#isUnseen(number);
  }

  #isUnseen(number: MessageNumber): boolean {
    return this.#parts.inventory.unseen.has(number);
  }

  /** The spoolroom whose flag was there first has the room: each looks again after it has posted its own. */
  #refuseForeign(): void {
    const [foreign] = this.#parts.inventory.trials('foreign-flag');
    if (foreign === undefined || (this.#trial !== null && this.#trial.flag < foreign)) return;
    throw new ConcurrentRunnerError(
      `Another spoolroom, with another state directory, works on the queue of ${this.#parts.name}: its flag is the ` +
        `message ${foreign}. Two of them would send mail twice, so none is taken. If that spoolroom is gone for good, delete ` +
        `the message ${foreign} in the queue room with Citadel's own tools, and mail is taken after the usual trial.`,
    );
  }

  /** Nothing is remembered: what lies there of ours is of an earlier time. */
  async #begin(): Promise<ProbeState> {
    const { inventory } = this.#parts;
    inventory.resetEvidence();
    for (const kind of ['flag', 'probe', 'tried-probe'] as const)
      for (const number of inventory.trials(kind)) inventory.discard(number);
    const flag = await this.#post('flag', flagText(this.#parts.owner, this.#seconds()));
    const looked = this.#parts.clock.now();
    const trial: ProbeState = { flag, probe: null, waited: 0, looked, alarm: null };
    await this.#remember(trial);
    return trial;
  }

  async #post(trial: 'flag' | 'probe', text: string): Promise<MessageNumber> {
    const number = await this.#parts.post(text);
    this.#parts.inventory.items.set(number, { kind: 'trial', trial });
    return number;
  }

  #seconds(): number {
    return Math.floor(this.#parts.clock.now() / 1000);
  }

  /** What something else did, as the rest of a sentence. */
  #alarmIn({ probe }: ProbeState): string | null {
    const { inventory } = this.#parts;
    const [tried] = inventory.trials('tried-probe');
    if (tried !== undefined) return `tried to deliver the probe, which is the message ${tried} now`;
    if (probe !== null && this.#isGone(probe)) return `delivered or removed the probe, the message ${probe}`;
    return inventory.evidence.replaced;
  }

  #alarmText(what: string): string {
    return (
      `Something else works on the queue of ${this.#parts.name}: it ${what}. Two queue runs would send mail twice, so ` +
      'none is taken any more. Use the intake with this server; or switch its own queue run off and then remove the file ' +
      `${this.#parts.memory.path}: the next look or run begins the trial again.`
    );
  }

  async #wait(trial: ProbeState, discard: () => Promise<void>): Promise<string | null> {
    const { inventory, clock } = this.#parts;
    const isDisturbed = inventory.evidence.deleted;
    if (!isDisturbed && trial.probe === null && trial.waited >= PROBE_PERIOD) {
      await this.#clear(trial, discard);
      return null;
    }
    const waited = isDisturbed || trial.probe === null ? 0 : trial.waited + this.#elapsed(trial);
    this.#looked = clock.monotonic();
    const looked = clock.now();
    if (trial.probe !== null && waited >= PROBE_PERIOD) {
      // The memory first: a probe that is not remembered is deleted, one that is remembered and gone is an alarm.
      await this.#remember({ ...trial, probe: null, waited, looked });
      await this.#clear(trial, discard);
      return null;
    }
    await this.#remember({ ...trial, waited, looked });
    if (trial.probe === null) await this.#postProbe(trial.flag);
    inventory.evidence.deleted = false;
    return this.#waitingText(isDisturbed);
  }

  /** A look failed: while the server is away no queue run of its can take the probe, and such time is no waiting. */
  interrupt(): void {
    this.#looked = null;
  }

  #elapsed({ looked }: ProbeState): number {
    const { clock } = this.#parts;
    if (this.#looked !== null) return clock.monotonic() - this.#looked;
    return Math.max(0, Math.min(clock.now() - looked, BETWEEN_PROCESSES));
  }

  /** One that was posted before a crash is not remembered, and goes. */
  async #postProbe(flag: MessageNumber): Promise<void> {
    const { inventory, owner } = this.#parts;
    for (const number of inventory.trials('probe')) inventory.discard(number);
    const probe = await this.#post('probe', probeText(owner, flag, this.#seconds()));
    if (this.#trial !== null) await this.#remember({ ...this.#trial, probe });
  }

  /** What is left of a trial that is over, or of one that a crash cut short. */
  async #clear({ flag }: ProbeState, discard: () => Promise<void>): Promise<void> {
    const { inventory } = this.#parts;
    const others = [...inventory.trials('flag'), ...inventory.trials('probe')].filter(
      (number) => number !== flag,
    );
    for (const number of others) inventory.discard(number);
    if (others.length > 0) await discard();
  }

  #waitingText(isDisturbed: boolean): string {
    const { name } = this.#parts;
    const { flag, probe } = this.#trial ?? { flag: 0, probe: 0 };
    return (
      `${isDisturbed ? 'A control message was deleted, and not by us. ' : ''}The trial messages ${flag} and ${probe} lie in the ` +
      `queue room of ${name}. Mail is taken when they have lain there untouched for ${PROBE_PERIOD / 1000} seconds, which shows ` +
      'that the server runs no queue of its own.'
    );
  }

  async #remember(trial: ProbeState): Promise<void> {
    await this.#parts.memory.write(trial);
    this.#trial = trial;
  }
}
