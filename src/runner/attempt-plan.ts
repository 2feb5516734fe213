/**
 * The attempts that a message needs: its pending recipients by destination, and for each destination one attempt after the other,
 * as many recipients in each as are worth it. A list may name a hundred thousand recipients or destinations: they are
 * grouped in many turns of the event loop, and an attempt is made when its turn comes.
 */
import { type AttemptedMessage, DeliveryAttempt } from '../delivery/attempt.ts';
import { isPending, type Recipient } from '../delivery-list/job.ts';
import { formatTime } from '../platform/clock.ts';
import { type Address, recipientAddress } from '../routing/address.ts';
import type { Destination } from '../routing/hosts.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';
import type { Failure } from '../smtp/outcome.ts';
import type { TransactionRecipient } from '../smtp/transaction.ts';
import { type Suppressions, suppressedFailure } from './suppression-list.ts';

/** Recipients that are worked on in one turn of the event loop. */
const RECIPIENTS_A_TURN = 2000;
/** Characters of an address that take as long as another recipient. */
const LONG_ADDRESS = 64;
/** Recipients of one destination that share an attempt, at least: what is done for each transaction is done for all of them. */
const RECIPIENTS_AN_ATTEMPT = 1000;
/** Attempts of one message that are known to the scheduler at a time, so that other messages get their turn. */
const OPEN_ATTEMPTS = 500;

/** The message as its plan sees it. */
export interface PlannedMessage extends AttemptedMessage {
  readonly recipients: readonly Recipient[];
  readonly dsn: DsnRequest | null;
  destinationOf(address: Address): Destination;
  /** Nothing is sent to these recipients. */
  refuse(ids: readonly number[], failure: Failure): void;
}

export interface PlanDeps {
  /** resolves in a later turn of the event loop */
  readonly nextTurn: () => Promise<void>;
  /** absent: there are no addresses to which nothing is sent */
  readonly suppressed?: Suppressions | null;
  /** most recipients in one transaction */
  readonly limits: { readonly recipients: number };
}

/** The pending recipients of one destination. */
interface RecipientGroup {
  readonly ids: number[];
  /** index of the first that is in no attempt yet */
  from: number;
}

/** The pending recipients by destination. What is not an address, or is suppressed, is refused at once. */
export async function groupPending(
  message: PlannedMessage,
  { nextTurn, suppressed }: PlanDeps,
): Promise<readonly RecipientGroup[]> {
  const groups = new Map<string, RecipientGroup>();
  const invalid = new Map<string, number[]>();
  const refuseInvalid = (): void => {
    for (const [reason, ids] of invalid) message.refuse(ids, invalidAddress(reason));
    invalid.clear();
  };
  let grouped = 0;
  for (const [id, recipient] of message.recipients.entries()) {
    if (!isPending(recipient)) continue;
    grouped += 1 + recipient.address.length / LONG_ADDRESS;
    if (grouped >= RECIPIENTS_A_TURN) {
      grouped = 0;
      refuseInvalid();
      await nextTurn();
    }
    const address = recipientAddress(recipient.address);
    if (address.kind === 'unusable') {
      const ids = invalid.get(address.reason);
      if (ids === undefined) invalid.set(address.reason, [id]);
      else ids.push(id);
      continue;
    }
    const entry = suppressed?.find(address.command) ?? null;
    if (entry !== null) {
      message.refuse([id], suppressedFailure(entry, formatTime(entry.until)));
      continue;
    }
    const key = `${message.destinationOf(address).key} ${address.smtputf8}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ids: [id], from: 0 });
    else group.ids.push(id);
  }
  refuseInvalid();
  return [...groups.values()];
}

export class AttemptPlan {
  readonly #message: PlannedMessage;
  readonly #groups: readonly RecipientGroup[];
  readonly #start: (attempt: DeliveryAttempt) => void;
  readonly #done: () => void;
  /** most recipients of an attempt */
  readonly #most: number;
  /** index of the first group that has not begun */
  #next = 0;
  #open = 0;
  #isStarting = false;
  /** groups with recipients that come after those of an open attempt; null: there was none yet, and so below */
  #following: Map<DeliveryAttempt, RecipientGroup> | null = null;
  /** those of them whose attempt is done */
  #unfinished: RecipientGroup[] | null = null;

  /** Makes each attempt known to `start`, and calls `done` when all of them are done. */
  constructor(
    message: PlannedMessage,
    groups: readonly RecipientGroup[],
    { limits }: PlanDeps,
    start: (attempt: DeliveryAttempt) => void,
    done: () => void,
  ) {
    this.#message = message;
    this.#groups = groups;
    this.#most = Math.max(RECIPIENTS_AN_ATTEMPT, limits.recipients);
    this.#start = start;
    this.#done = done;
  }

  startMore(): void {
    // An attempt may be done at once.
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (this.#open < OPEN_ATTEMPTS) {
      const group = this.#unfinished?.pop() ?? this.#groups[this.#next++];
      if (group === undefined) break;
      this.#open++;
      this.#start(this.#attemptFor(group));
    }
    this.#isStarting = false;
    if (this.#open === 0) this.#done();
  }

  ended(attempt: DeliveryAttempt): void {
    const group = this.#following?.get(attempt);
    if (group !== undefined) {
      this.#unfinished ??= [];
      this.#unfinished.push(group);
      this.#following?.delete(attempt);
    }
    this.#open--;
    this.startMore();
  }

  /** For the first of these recipients; the others follow when it is done. */
  #attemptFor(group: RecipientGroup): DeliveryAttempt {
    const { recipients: all, dsn } = this.#message;
    const recipients: TransactionRecipient[] = [];
    let first: Address | null = null;
    const { ids, from } = group;
    group.from += this.#most;
    for (const id of ids.slice(from, group.from)) {
      const raw = all[id]?.address ?? '';
      const address = recipientAddress(raw);
      if (address.kind === 'unusable') continue;
      first ??= address;
      const asked = dsn?.recipients.get(raw);
      recipients.push({ id, address: address.command, ...(asked === undefined ? {} : { dsn: asked }) });
    }
    if (first === null) throw new Error('an attempt needs an address');
    const destination = this.#message.destinationOf(first);
    const attempt = new DeliveryAttempt(this.#message, destination, recipients, first.smtputf8);
    if (group.from < ids.length) {
      this.#following ??= new Map();
      this.#following.set(attempt, group);
    }
    return attempt;
  }
}

function invalidAddress(text: string): Failure {
  const nothing = { code: null, peer: null, maybeDelivered: false } as const;
  return { scope: 'recipient', stage: 'routing', permanent: true, enhanced: '5.1.3', text, ...nothing };
}
