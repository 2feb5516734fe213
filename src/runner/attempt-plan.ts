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
import { type Failure, NO_SERVER } from '../smtp/outcome.ts';
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
  readonly destination: Destination;
  readonly smtpUtf8: boolean;
  readonly recipients: TransactionRecipient[];
  /** index of the first that is in no attempt yet */
  from: number;
}

/** The pending recipients by destination. What is not an address, or is suppressed, is refused at once. */
export async function groupPending(
  message: PlannedMessage,
  { nextTurn, suppressed }: PlanDeps,
): Promise<RecipientGroup[]> {
  const groups = new Map<string, RecipientGroup>();
  let last: RecipientGroup | null = null;
  let lastDomain = '';
  let invalid: Map<string, number[]> | null = null;
  let grouped = 0;
  let id = -1;
  for (const recipient of message.recipients) {
    id++;
    if (!isPending(recipient)) continue;
    const { address: raw } = recipient;
    grouped += 1 + raw.length / LONG_ADDRESS;
    if (grouped >= RECIPIENTS_A_TURN) {
      grouped = 0;
      if (invalid !== null) refuseInvalid(message, invalid);
      invalid = null;
      await nextTurn();
    }
    const address = recipientAddress(raw);
    if (address.kind === 'unusable') {
      invalid ??= new Map();
      const ids = invalid.get(address.reason);
      if (ids === undefined) invalid.set(address.reason, [id]);
      else ids.push(id);
      continue;
    }
    const { command, domain, smtputf8: smtpUtf8 } = address;
    const entry = suppressed?.isEmpty === false ? suppressed.find(command) : null;
    if (entry !== null) {
      message.refuse([id], suppressedFailure(entry, formatTime(entry.until)));
      continue;
    }
    // Those of a domain often stand together.
    if (last === null || domain !== lastDomain || smtpUtf8 !== last.smtpUtf8) {
      const destination = message.destinationOf(address);
      const key: string = smtpUtf8 ? `${destination.key} utf8` : destination.key;
      last = groups.get(key) ?? { destination, smtpUtf8, recipients: [], from: 0 };
      lastDomain = domain;
      groups.set(key, last);
    }
    const asked = message.dsn?.recipients.get(raw);
    last.recipients.push(
      asked === undefined ? { id, address: command } : { id, address: command, dsn: asked },
    );
  }
  if (invalid !== null) refuseInvalid(message, invalid);
  return [...groups.values()];
}

function refuseInvalid(message: PlannedMessage, invalid: ReadonlyMap<string, readonly number[]>): void {
  for (const [reason, ids] of invalid) message.refuse(ids, invalidAddress(reason));
}

export class AttemptPlan {
  readonly #message: PlannedMessage;
  /** those with recipients that are in no attempt yet, the next one last; not those that wait for the end of an attempt */
  readonly #groups: RecipientGroup[];
  readonly #start: (attempt: DeliveryAttempt) => void;
  readonly #done: () => void;
  /** most recipients of an attempt */
  readonly #most: number;
  #open = 0;
  #isStarting = false;
  /** groups with recipients that come after those of an open attempt; null: there was none yet */
  #following: Map<DeliveryAttempt, RecipientGroup> | null = null;

  /** Makes each attempt known to `start`, and calls `done` when all of them are done. */
  constructor(
    message: PlannedMessage,
    groups: RecipientGroup[],
    { limits }: PlanDeps,
    start: (attempt: DeliveryAttempt) => void,
    done: () => void,
  ) {
    this.#message = message;
    this.#groups = groups.reverse();
    this.#most = Math.max(RECIPIENTS_AN_ATTEMPT, limits.recipients);
    this.#start = start;
    this.#done = done;
  }

  startMore(): void {
    // An attempt may be done at once.
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (this.#open < OPEN_ATTEMPTS) {
      const group = this.#groups.pop();
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
      this.#groups.push(group);
      this.#following?.delete(attempt);
    }
    this.#open--;
    this.startMore();
  }

  /** For the first of these recipients; the others follow when it is done. */
  #attemptFor(group: RecipientGroup): DeliveryAttempt {
    const { destination, smtpUtf8, recipients, from } = group;
    group.from += this.#most;
    const isLast = group.from >= recipients.length;
    const part = isLast && from === 0 ? recipients : recipients.slice(from, group.from);
    const attempt = new DeliveryAttempt(this.#message, destination, part, smtpUtf8);
    if (!isLast) {
      this.#following ??= new Map();
      this.#following.set(attempt, group);
    }
    return attempt;
  }
}

function invalidAddress(text: string): Failure {
  return { scope: 'recipient', stage: 'routing', permanent: true, enhanced: '5.1.3', text, ...NO_SERVER };
}
