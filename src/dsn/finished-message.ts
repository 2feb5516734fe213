/** A message after a run: what became of its recipients, and what its sender asked for. */
import type { MessageNumber } from '../delivery-list/job.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { ControlMessages } from '../queue/due.ts';
import { type MessageFacts, messageIdOf } from '../queue/message-facts.ts';
import type { DsnRequest } from '../smtp/dsn-request.ts';
import type { Acceptance, Failure } from '../smtp/outcome.ts';

/** A recipient after the run. */
export interface RecipientResult {
  readonly address: ByteString;
  readonly status: number;
  /** text of its status line */
  readonly text: ByteString;
  /** the failure in this run; null when there was none */
  readonly failure: Failure | null;
  /** accepted in this run by a server that reports no success; null: it was not */
  readonly relayed: Acceptance | null;
}

export interface FinishedMessage {
  /** the control messages that name the payload */
  readonly controlMessages: ControlMessages;
  readonly message: MessageFacts;
  /** what its sender asked for; null: nothing */
  readonly dsn: DsnRequest | null;
  /** of all recipients; a fresh pass each time */
  readonly results: () => Iterable<RecipientResult>;
}

/** Which message a report is about. */
export interface AboutMessage {
  readonly control: MessageNumber;
  readonly msgid: MessageNumber;
  readonly message: MessageFacts;
}

/** A message of which every recipient failed at once, or before a crash, was not read for its delivery. */
export function withFacts(finished: FinishedMessage, original: OutgoingMessage | null): FinishedMessage {
  const { message } = finished;
  if (original === null || message.size !== null) return finished;
  const { size, headers } = original;
  return { ...finished, message: { ...message, size, messageId: messageIdOf(headers) } };
}

export function aboutMessage({
  controlMessages: [{ control, job }],
  message,
}: FinishedMessage): AboutMessage {
  return { control, msgid: job.msgid, message };
}
