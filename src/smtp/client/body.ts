/** Sends a message that is not in memory, piece by piece, as fast as the peer takes it. */
import type { OutgoingMessage } from '../../message/outgoing.ts';
import { type LinePosition, stuffDots } from '../dot-stuffing.ts';

export interface BodyPort {
  /** Whether the message may go on; asked before each piece. */
  mayGoOn(): boolean;
  /** Null: more may be written at once; else it may be when the promise resolves. */
  write(bytes: Buffer): Promise<void> | null;
}

/**
 * Null when all of it was written, or when it may not go on; else why it cannot be sent, which completes "the message could not be
 * read to its end: ". `stuffed`: lines that begin with a dot get another one.
 */
export async function streamBody(
  message: OutgoingMessage,
  stuffed: boolean,
  port: BodyPort,
): Promise<string | null> {
  let sent = 0;
  let position: LinePosition = 'line-start';
  try {
    for await (const chunk of message.chunks()) {
      if (!port.mayGoOn()) return null;
      sent += chunk.length;
      let bytes = chunk;
      if (stuffed) ({ bytes, position } = stuffDots(chunk, position));
      const drained = port.write(bytes);
      if (drained !== null) await drained;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return sent === message.size ? null : `it changed while it was sent (${sent} bytes of ${message.size})`;
}
