/**
 * Makes sure that nothing else works on the queue: no queue run of the server, no second spoolroom. Checked at every scan,
 * before a job is delivered. A flag of ours lies in the room as long as we work there; a probe lies there until it is proven
 * that no queue run takes it (probe.ts). Evidence is kept in the state directory, so that a run that cron starts a minute
 * later has it as well. Never decides by the wall clock alone.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import type { Clock } from '../../../platform/clock.ts';
import { ConcurrentRunnerError, describeError, isOperationalError } from '../../../platform/system-errors.ts';
import type { RoomIndex } from '../room-index.ts';
import { flagText, PROBE_PERIOD, type ProbeState, probeText, type ShutdownSnapshot } from './probe.ts';

/** At most this many milliseconds between two processes, or between a failed scan and the next, count as waiting: only the wall clock measures them. */
const BETWEEN_PROCESSES = 60_000;

/** Keeps the state of the probe period between processes. Promises resolve when it is durable. */
export interface ProbeStore {
  /** of the file that an administrator removes to end an alarm */
  readonly path: string;
  /** Throws a `ConcurrentRunnerError` when it cannot tell whether an alarm is stored. */
  read(): ProbeState | null;
  write(state: ProbeState): Promise<void>;
  readSnapshot(): ShutdownSnapshot;
  writeSnapshot(snapshot: ShutdownSnapshot): Promise<void>;
  /** needs no space on the disk */
  dropSnapshot(): Promise<void>;
}

export interface RivalDetectorDeps {
  /** of the server, for people */
  readonly name: string;
  readonly owner: string;
  readonly clock: Clock;
  readonly store: ProbeStore;
  readonly index: RoomIndex;
  /** posts a control message and resolves to its number */
  readonly post: (text: string) => Promise<MessageNumber>;
}

export class RivalDetector {
  readonly #deps: RivalDetectorDeps;
  #state: ProbeState | null = null;
  /** the room at the end of the last process; empty when we have changed something since */
  #snapshot: ShutdownSnapshot = [];
  /** monotonic time of the last check of this process */
  #checked: number | null = null;

  constructor(deps: RivalDetectorDeps) {
    this.#deps = deps;
  }

  /** After the first update of a process, before it changes anything: what was done to the queue since the last one ended. */
  compare(): void {
    const { index, store } = this.#deps;
    this.#state = store.read();
    this.#snapshot = store.readSnapshot();
    // Whoever removed the state file has made sure that nothing else works on the queue from now on.
    if (this.#state === null) return;
    const snapshot = new Map(this.#snapshot);
    for (const [control, msgid] of snapshot)
      if (!index.entries.has(control) && !index.unread.has(control)) index.noteExternalDelete(msgid);
    for (const job of index.jobs()) if (!snapshot.has(job.control)) index.checkReplacement(job);
  }

  /** We are about to change the queue: the snapshot of the last process proves nothing any more. */
  async disarm(): Promise<void> {
    await this.#keepEvidence();
    if (this.#snapshot.length === 0) return;
    await this.#deps.store.dropSnapshot();
    this.#snapshot = [];
  }

  /** The process ends; `snapshot` holds the control messages as they are now. */
  async rearm(snapshot: ShutdownSnapshot): Promise<void> {
    await this.#keepEvidence();
    // After an alarm nothing was changed; and a full disk must not hide it behind another error.
    if (this.#state !== null && this.#state.alarm !== null) return;
    if (JSON.stringify(this.#snapshot) !== JSON.stringify(snapshot))
      await this.#deps.store.writeSnapshot(snapshot);
  }

  /** What was done to the queue and has not been checked yet. */
  async #keepEvidence(): Promise<void> {
    const { deleted, replaced } = this.#deps.index.evidence;
    const state = this.#state;
    if (state === null || (!deleted && replaced === null)) return;
    const kept = { ...state, waited: deleted ? 0 : state.waited, alarm: state.alarm ?? replaced };
    if (kept.waited !== state.waited || kept.alarm !== state.alarm) await this.#save(kept);
  }

  /**
   * At each scan, after the update of the index. Resolves to the reason why nothing may be delivered yet, or null; rejects when
   * something else works on the queue. `discard` deletes what was discarded from the index.
   */
  async check(discard: () => Promise<void>): Promise<string | null> {
    this.#refuseForeign();
    if (this.#state !== null && this.#state.alarm !== null) this.#state = this.#deps.store.read();
    const state = this.#state ?? (await this.#begin());
    const alarm = state.alarm ?? this.#alarmIn(state);
    if (alarm !== null) {
      const unwritten = state.alarm === null ? await this.#unwritten({ ...state, alarm }) : '';
      throw new ConcurrentRunnerError(`${this.#alarmText(alarm)}${unwritten}`);
    }
    // No queue run touches it: a person removed it, or the server's expiry of old messages.
    if (this.#isGone(state.flag))
      return `The flag was removed. ${await this.#wait(await this.#begin(), discard)}`;
    const unread = [state.flag, state.probe].find((number) => number !== null && this.#isUnread(number));
    if (unread !== undefined)
      return `The server ${this.#deps.name} does not show the message ${unread}, which is the flag or the probe. No message is delivered until it does.`;
    return this.#wait(state, discard);
  }

  #isGone(number: MessageNumber): boolean {
    return this.#deps.index.entries.get(number)?.kind !== 'probe' && !this.#isUnread(number);
  }

  #isUnread(number: MessageNumber): boolean {
    return this.#deps.index.unread.has(number);
  }

  /** The spoolroom whose flag was there first may work: each reads the room again after posting its own. */
  #refuseForeign(): void {
    const [foreign] = this.#deps.index.probes('foreign-flag');
    if (foreign === undefined || (this.#state !== null && this.#state.flag < foreign)) return;
    throw new ConcurrentRunnerError(
      `Another spoolroom, with another state directory, works on the queue of ${this.#deps.name}: its flag is the ` +
        `message ${foreign}. Two of them would send messages twice, so none is delivered. If that spoolroom is gone for good, ` +
        `delete the message ${foreign} in the queue room with Citadel's own tools; delivery starts after the probe period.`,
    );
  }

  /** No state is stored: our messages in the room are left over from an earlier probe period. */
  async #begin(): Promise<ProbeState> {
    const { index } = this.#deps;
    index.resetEvidence();
    for (const kind of ['flag', 'probe', 'tried-probe'] as const)
      for (const number of index.probes(kind)) index.discard(number);
    const flag = await this.#post('flag', flagText(this.#deps.owner, this.#seconds()));
    const looked = this.#deps.clock.now();
    const state: ProbeState = { flag, probe: null, waited: 0, looked, alarm: null };
    await this.#save(state);
    return state;
  }

  async #post(probe: 'flag' | 'probe', text: string): Promise<MessageNumber> {
    const number = await this.#deps.post(text);
    this.#deps.index.entries.set(number, { kind: 'probe', probe });
    return number;
  }

  #seconds(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }

  /** What something else did, as the rest of a sentence. */
  #alarmIn({ probe }: ProbeState): string | null {
    const { index } = this.#deps;
    const [tried] = index.probes('tried-probe');
    if (tried !== undefined) return `tried to deliver the probe, which is the message ${tried} now`;
    if (probe !== null && this.#isGone(probe)) return `delivered or removed the probe, the message ${probe}`;
    return index.evidence.replaced;
  }

  #alarmText(what: string): string {
    return (
      `Something else works on the queue of ${this.#deps.name}: it ${what}. Two queue runs would send messages twice, so ` +
      'none is delivered any more. Use the intake with this server; or switch its own queue run off and then remove the file ' +
      `${this.#deps.store.path}, and the next run begins the probe period again.`
    );
  }

  async #wait(state: ProbeState, discard: () => Promise<void>): Promise<string | null> {
    const { index, clock } = this.#deps;
    const isDisturbed = index.evidence.deleted;
    if (!isDisturbed && state.probe === null && state.waited >= PROBE_PERIOD) {
      await this.#clear(state, discard);
      return null;
    }
    const waited = isDisturbed || state.probe === null ? 0 : state.waited + this.#elapsed(state);
    this.#checked = clock.monotonic();
    const looked = clock.now();
    if (state.probe !== null && waited >= PROBE_PERIOD) {
      // The state first: a probe that is not in it gets deleted, one that is in it and gone raises an alarm.
      await this.#save({ ...state, probe: null, waited, looked });
      await this.#clear(state, discard);
      return null;
    }
    await this.#save({ ...state, waited, looked });
    if (state.probe === null) await this.#postProbe(state.flag);
    index.evidence.deleted = false;
    return this.#waitingText(isDisturbed);
  }

  /** A scan failed: while the server is down, its queue run cannot take the probe, so that time does not count. */
  interrupt(): void {
    this.#checked = null;
  }

  #elapsed({ looked }: ProbeState): number {
    const { clock } = this.#deps;
    if (this.#checked !== null) return clock.monotonic() - this.#checked;
    return Math.max(0, Math.min(clock.now() - looked, BETWEEN_PROCESSES));
  }

  /** A probe that was posted before a crash is not in the state, and is deleted. */
  async #postProbe(flag: MessageNumber): Promise<void> {
    const { index, owner } = this.#deps;
    for (const number of index.probes('probe')) index.discard(number);
    const probe = await this.#post('probe', probeText(owner, flag, this.#seconds()));
    if (this.#state !== null) await this.#save({ ...this.#state, probe });
  }

  /** Remove what is left of a finished probe period, or of one that a crash interrupted. */
  async #clear({ flag }: ProbeState, discard: () => Promise<void>): Promise<void> {
    const { index } = this.#deps;
    const others = [...index.probes('flag'), ...index.probes('probe')].filter((number) => number !== flag);
    for (const number of others) index.discard(number);
    if (others.length > 0) await discard();
  }

  #waitingText(isDisturbed: boolean): string {
    const { name } = this.#deps;
    const { flag, probe } = this.#state ?? { flag: 0, probe: 0 };
    return (
      `${isDisturbed ? 'A control message was deleted, and not by us. ' : ''}The messages ${flag} (flag) and ${probe} (probe) are in the ` +
      `queue room of ${name}. Delivery starts when they have stayed there untouched for ${PROBE_PERIOD / 1000} seconds, which ` +
      'shows that the server does not process the queue itself.'
    );
  }

  /** An alarm ends the process whether the disk takes it or not. What is said when it does not. */
  async #unwritten(state: ProbeState): Promise<string> {
    this.#state = state;
    try {
      await this.#save(state);
      return '';
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      return ` This could not be written to ${this.#deps.store.path}: ${describeError(error)}. The next process has to find it out again.`;
    }
  }

  async #save(state: ProbeState): Promise<void> {
    await this.#deps.store.write(state);
    this.#state = state;
  }
}
