/**
 * What a mail in hand asks of the dispatcher: its recipients by destination, and its message when its turn has come.
 * Called by the queue run for each mail that it takes.
 */

import type { DeliveryAttempt, PreparedMessage } from '../delivery/attempt.ts';
import type { MessageNumber } from '../delivery-list/job.ts';
import { type PrepareResult, prepareOutgoing } from '../message/outgoing.ts';
import type { StoredMessage } from '../message/stored.ts';
import type { ByteString } from '../platform/bytes.ts';
import { describeError } from '../platform/system-errors.ts';
import { warnOnce } from '../platform/warn-once.ts';
import type { Queue } from '../queue/queue.ts';
import { recipientAddress } from '../routing/address.ts';
import { destinationOf } from '../routing/route.ts';
import type { Failure, Stage } from '../smtp/outcome.ts';
import type { ActiveMessage } from './active-message.ts';
import type { RunRules } from './rules.ts';

export interface AttemptSources {
  readonly room: Pick<Queue, 'readPayload'>;
  /** a full sentence for people */
  readonly warn: (text: string) => void;
}

/** The mail's pending recipients by destination; those that are no addresses are judged on the spot. */
export function planAttempts(
  mail: ActiveMessage,
  sources: AttemptSources,
  rules: RunRules,
  done: () => void,
): readonly DeliveryAttempt[] {
  const [{ control, job }] = mail.lists;
  const queued = mail.mergedJob();
  const named = envelopeSender(job.envelopeFrom);
  const sender = named ?? '';
  // The mail is read again for each destination, and what is wrong with it is the same each time.
  const warn = warnOnce(sources.warn);
  const orders = new Map<string, DeliveryAttempt & { indices: number[]; recipients: ByteString[] }>();
  for (const index of mail.pending()) {
    const address = recipientAddress(mail.recipients[index]?.address ?? '');
    if (address.kind === 'unusable') {
      mail.recordOutcome(
        [index],
        '',
        { kind: 'failed', ...failure('routing', true, '5.1.3', address.reason) },
        NO_DETAILS,
      );
      continue;
    }
    const destination = destinationOf(address.domain, sender, rules.delivery.routing);
    const key = `${destination.key} ${address.smtputf8}`;
    const order = orders.get(key);
    if (order !== undefined) {
      order.indices.push(index);
      order.recipients.push(address.command);
      continue;
    }
    const indices = [index];
    orders.set(key, {
      queued,
      indices,
      destination,
      recipients: [address.command],
      smtpUtf8: address.smtputf8,
      load: () => loadLetter({ control, msgid: job.msgid, named }, { ...sources, warn }, rules),
      recordOutcome: (places, verdict, details) =>
        mail.recordOutcome(
          places.flatMap((place) => indices[place] ?? []),
          destination.name,
          verdict,
          details,
        ),
      done,
    });
  }
  return [...orders.values()];
}

const NO_DETAILS = { milliseconds: 0, tls: null };

interface Wanted {
  /** for people */
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  /** the envelope sender that the list names */
  readonly named: ByteString | null;
}

/** A message that is missing, empty or unreadable is never sent as an empty mail (R036): it waits, and says why. */
async function loadLetter(
  { control, msgid, named }: Wanted,
  { room, warn }: AttemptSources,
  rules: RunRules,
): Promise<PreparedMessage | Failure> {
  const read = await room.readPayload(msgid);
  if (read.kind !== 'found') return failure('payload', false, '4.3.0', read.reason);
  const prepared = await prepare(read.message, rules).catch((error) => unread(msgid, error));
  if ('scope' in prepared) return prepared;
  if (prepared.kind === 'unsendable') return failure('payload', false, '4.3.0', prepared.reason);
  for (const problem of prepared.problems)
    warn(`Mail ${msgid} of job ${control} goes out as far as it can be read: ${problem}.`);
  const sender = named ?? envelopeSender(prepared.sender) ?? rules.postmaster;
  return { outgoing: prepared, sender };
}

async function prepare(message: StoredMessage, { render }: RunRules): Promise<PrepareResult> {
  return prepareOutgoing(message, render);
}

/** A large message is read piece by piece, and any piece may be refused. Errors without a code are bugs. */
function unread(msgid: MessageNumber, error: unknown): Failure {
  if (!(error instanceof Error && 'code' in error)) throw error;
  return failure(
    'payload',
    false,
    '4.3.0',
    `the message ${msgid} in the spool cannot be read: ${describeError(error)}`,
  );
}

/** null: there is none, or none that can be said in MAIL FROM. `<>` is the null sender. */
function envelopeSender(given: ByteString | null): ByteString | null {
  if (given === null || given === '') return null;
  if (given.trim() === '<>') return '';
  const address = recipientAddress(given);
  return address.kind === 'address' ? address.command : null;
}

function failure(stage: Stage, permanent: boolean, enhanced: string, text: string): Failure {
  const scope = stage === 'routing' ? 'recipient' : 'message';
  return { scope, stage, permanent, code: null, enhanced, text, peer: null, maybeDelivered: false };
}
