/**
 * The groups of hosts that asked us to send less, and what may be offered to them now. A group that never did so costs
 * nothing; while there is none, neither hosts nor destinations are looked at.
 *
 * A destination is remembered with its group when all its hosts belong to it: then its messages wait without being read, and
 * without a lookup. What is kept on the disk is the caller's; damage costs a refusal more.
 */
import { hostGroup } from '../../routing/host-group.ts';
import type { Host } from '../../routing/hosts.ts';
import type { Failure, Peer } from '../../smtp/outcome.ts';
import { joinedLines } from '../../smtp/status-text.ts';
import { isThrottling } from './answers.ts';
import { next, type Throttled, turnsAt } from './machine.ts';
import { firstPauseOf, receiverName } from './receivers.ts';
import type { ThrottleEvent } from './table.ts';

/** What is known of a group; plain data, kept from run to run. */
export interface ThrottledGroup extends Throttled {
  /** the host that said so */
  readonly host: string;
  readonly port: number;
  /** its last refusal, with its code, in one line */
  readonly answer: string;
  /** RFC 3463 code of the refusal */
  readonly enhanced: string;
  /** whether senders of messages that wait long were told in this pause */
  readonly told: boolean;
  /** keys of destinations all of whose hosts belong to the group */
  readonly destinations: readonly string[];
}

/** By group. */
export type ThrottledGroups = ReadonlyMap<string, ThrottledGroup>;

/** So much of it is remembered. */
export const MOST = { groups: 100, destinations: 10_000, answer: 300 } as const;

/** What the state of a group follows from. */
export interface ThrottleHappening {
  readonly group: string;
  readonly event: ThrottleEvent | 'learned';
  /** of a refusal */
  readonly said?: Said;
  /** what was learned: a destination all of whose hosts belong to the group */
  readonly destination?: string;
}

type Said = Pick<ThrottledGroup, 'host' | 'port' | 'answer' | 'enhanced'>;

export interface ThrottleDeps {
  /** milliseconds since the epoch */
  readonly now: () => number;
  /** a refusal or the end of one should survive this process */
  readonly changed: () => void;
  /** for others who share it; absent: nobody does */
  readonly happened?: (what: ThrottleHappening) => void;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

export class Throttle {
  readonly #deps: ThrottleDeps;
  readonly #groups = new Map<string, ThrottledGroup>();
  /** group by key of a destination */
  readonly #destinations = new Map<string, string>();

  constructor(deps: ThrottleDeps) {
    this.#deps = deps;
  }

  /** What an earlier process knew. */
  restore(groups: ThrottledGroups): void {
    for (const [name, group] of groups) {
      this.#groups.set(name, group);
      for (const key of group.destinations) this.#destinations.set(key, name);
    }
  }

  /** What is known now; nothing else is. */
  replace(groups: ThrottledGroups): void {
    this.#groups.clear();
    this.#destinations.clear();
    this.restore(groups);
  }

  /** What happened elsewhere, or here before: a message that was let through counts, whatever is known by now. */
  replay({ group, event, said, destination }: ThrottleHappening): void {
    const known = this.#groups.get(group);
    if (event === 'learned') {
      if (destination !== undefined && known !== undefined) this.#learn(group, destination, known);
      return;
    }
    const hasTurn = event === 'asked' && known !== undefined && known.state !== 'paused';
    const now = this.#deps.now();
    this.#step(group, event, hasTurn ? Math.max(now, known.until) : now, said);
  }

  /** No group has asked us to send less. */
  get isQuiet(): boolean {
    return this.#groups.size === 0;
  }

  get groups(): ThrottledGroups {
    return this.#groups;
  }

  /** The group that a destination belongs to, if that group is throttled. */
  groupOf(destination: string): string | null {
    return this.#destinations.get(destination) ?? null;
  }

  /** How many messages may be offered to it now. */
  turns(group: string): number {
    const known = this.#groups.get(group);
    return known === undefined ? Number.POSITIVE_INFINITY : turnsAt(known, this.#deps.now());
  }

  /** A message wants to be offered to a host of this group, and takes a turn; null: it may be, else why it has to wait. */
  admit(group: string): Failure | null {
    const known = this.#groups.get(group);
    if (known === undefined || this.#take(group, 'asked')) return null;
    return waiting(group, known);
  }

  /** It has had its turn; only a pause that began since then holds it back. */
  confirm(group: string): Failure | null {
    const known = this.#groups.get(group);
    return known?.state === 'paused' && this.turns(group) === 0 ? waiting(group, known) : null;
  }

  /** Whether the next message may go to this host without asking again. */
  isFree(host: string, admittedTo: string | null): boolean {
    if (this.isQuiet) return true;
    const group = hostGroup(host);
    return !this.#groups.has(group) || (admittedTo === group && this.confirm(group) === null);
  }

  accepted({ host }: Peer): void {
    const group = hostGroup(host);
    if (this.#groups.has(group)) this.#take(group, 'accepted');
  }

  /** A failure that may be about our rate. `hosts` are those of its destination. */
  failed(failure: Failure, destination: string, hosts: readonly Host[]): void {
    const { peer, code, enhanced, text } = failure;
    if (peer === null || !isThrottling(failure)) return;
    const group = hostGroup(peer.host);
    const before = this.#groups.get(group);
    this.#take(group, 'refused', {
      host: peer.host,
      port: peer.port,
      answer: `${code} ${joinedLines(text)}`.slice(0, MOST.answer),
      enhanced,
    });
    this.learn(group, destination, hosts);
    const after = this.#groups.get(group);
    if (after === undefined || before?.until === after.until) return;
    if (before === undefined) this.#deps.warn(`${waiting(group, after).text}.`);
    this.#deps.changed();
  }

  /** Every host of the destination belongs to the group, so that its messages may wait without a lookup. */
  learn(group: string, destination: string, hosts: readonly Host[]): void {
    const known = this.#groups.get(group);
    if (known === undefined || this.#destinations.has(destination)) return;
    if (this.#destinations.size >= MOST.destinations) return;
    if (!hosts.every(({ name }) => hostGroup(name) === group)) return;
    this.#learn(group, destination, known);
    this.#deps.happened?.({ group, event: 'learned', destination });
  }

  #learn(group: string, destination: string, known: ThrottledGroup): void {
    if (this.#destinations.has(destination) || this.#destinations.size >= MOST.destinations) return;
    this.#destinations.set(destination, group);
    this.#groups.set(group, { ...known, destinations: [...known.destinations, destination] });
  }

  /** Why a message for this group waits. */
  reason(group: string): Failure | null {
    const known = this.#groups.get(group);
    return known === undefined ? null : waiting(group, known);
  }

  /** Senders of what waits for these groups have been told, as far as it is time. */
  markTold(groups: Iterable<string>): void {
    for (const name of groups) {
      const group = this.#groups.get(name);
      if (group !== undefined) this.#groups.set(name, { ...group, told: true });
    }
  }

  /** Whether the message is admitted. */
  #take(group: string, event: ThrottleEvent, said?: Said): boolean {
    const wasKnown = this.#groups.has(group);
    const admitted = this.#step(group, event, this.#deps.now(), said);
    if (wasKnown || said !== undefined)
      if (admitted || event !== 'asked')
        this.#deps.happened?.({ group, event, ...(said === undefined ? {} : { said }) });
    return admitted;
  }

  #step(name: string, event: ThrottleEvent, now: number, said?: Said): boolean {
    const before = this.#groups.get(name);
    const { group, admitted } = next(before ?? null, event, now, firstPauseOf(name));
    if (group === null) {
      this.#forget(name);
    } else if (before !== undefined) {
      const told = before.told && event !== 'refused';
      this.#groups.set(name, { ...before, ...said, ...group, told });
    } else if (said !== undefined && this.#groups.size < MOST.groups) {
      this.#groups.set(name, { ...said, ...group, told: false, destinations: [] });
    }
    return admitted;
  }

  #forget(name: string): void {
    for (const key of this.#groups.get(name)?.destinations ?? []) this.#destinations.delete(key);
    if (this.#groups.delete(name)) this.#deps.changed();
  }
}

/** Without a code: nothing was said to this message. Completes "HOST ...". */
function waiting(group: string, { host, port, answer, enhanced }: ThrottledGroup): Failure {
  return {
    scope: 'host',
    stage: 'connect',
    permanent: false,
    code: null,
    enhanced: `4${enhanced.slice(1)}`,
    text: `${receiverName(group)} asked us to slow down, so the message was not sent: ${answer}`,
    peer: { host, address: null, port },
    maybeDelivered: false,
  };
}
