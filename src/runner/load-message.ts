/** The payload of a job made ready to send, with the envelope sender it goes under. */
import type { PreparedMessage } from '../delivery/attempt.ts';
import { type Sign, signedMessage } from '../dkim/sign.ts';
import { prepareOutgoing } from '../message/outgoing.ts';
import type { RenderOptions } from '../message/render.ts';
import type { ByteString } from '../platform/bytes.ts';
import { describeError, isOperationalError } from '../platform/system-errors.ts';
import type { Queue, QueuedJob } from '../queue/queue.ts';
import { recipientAddress } from '../routing/address.ts';
import { type Failure, NO_SERVER } from '../smtp/outcome.ts';

export interface LoadDeps {
  readonly queue: Pick<Queue, 'readPayload'>;
  readonly render: RenderOptions;
  /** envelope sender of a message that names none */
  readonly postmaster: ByteString;
}

/** Whose payload it is. */
export interface LoadedMessage {
  /** the envelope sender that its list names; null: none that can be used */
  readonly sender: ByteString | null;
  sign(...message: Parameters<Sign>): ReturnType<Sign>;
  /** a full sentence for people */
  warn(text: string): void;
}

/**
 * A message that is missing, empty or unreadable is never sent as an empty one (R036): it stays, with a failure that says
 * why. `unavailable`: it cannot be read at the moment, which is no failure.
 */
export async function loadMessage(
  { control, job: { msgid } }: QueuedJob,
  { queue, render, postmaster }: LoadDeps,
  message: LoadedMessage,
): Promise<PreparedMessage | Failure | 'unavailable'> {
  const read = await queue.readPayload(msgid);
  if (read.kind === 'unavailable') return 'unavailable';
  if (read.kind !== 'found') return unsendable(read.reason, read.kind === 'rejected');
  try {
    const prepared = await prepareOutgoing(read.message, render);
    if (prepared.kind === 'unsendable') return unsendable(prepared.reason);
    for (const problem of prepared.problems)
      message.warn(`Message ${msgid} of job ${control} is sent as far as it can be read: ${problem}.`);
    const sender = message.sender ?? envelopeSender(prepared.suggestedSender()) ?? postmaster;
    const outgoing = await signedMessage(prepared, (each) => message.sign(each));
    return { outgoing, sender };
  } catch (error) {
    // A large message is read piece by piece, and any piece may fail.
    if (!isOperationalError(error)) throw error;
    return unsendable(`the message ${msgid} in the spool cannot be read: ${describeError(error)}`);
  }
}

/** null: there is none, or none that can stand in MAIL FROM. `<>` is the null sender. */
export function envelopeSender(given: ByteString | null): ByteString | null {
  if (given === null || given === '') return null;
  if (given.trim() === '<>') return '';
  const address = recipientAddress(given);
  return address.kind === 'address' ? address.command : null;
}

function unsendable(text: string, permanent = false): Failure {
  const enhanced = permanent ? '5.6.0' : '4.3.0';
  return { scope: 'message', stage: 'payload', permanent, enhanced, text, ...NO_SERVER };
}
