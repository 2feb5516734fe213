/**
 * The message of a transcript, as far as it was recorded: its size, whether it has 8-bit bytes, its envelope sender. It can be
 * asked for in MAIL FROM as the run did; its content is a filler.
 */
import type { MessageFacts } from '../delivery/attempt.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import { summarizeMessage } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { DeliveryDeps } from '../runner/deliveries.ts';
import type { Transcript } from './transcript/transcript.ts';

export interface RecordedMessage extends MessageFacts {
  /** size of its form for a server without 8BITMIME; null: it has none; undefined: no such server was met */
  readonly sevenBit: number | null | undefined;
}

/** Null: the message was never ready to be sent, and nothing is known of it. */
export function recordedMessage({ header, lines }: Transcript): RecordedMessage | null {
  const begun = lines.flatMap((line) =>
    line.what === 'session' && line.event.type === 'start-transaction'
      ? [{ rows: line.rows, ...line.event.transaction }]
      : [],
  );
  const facts = header.message ?? begun[0];
  if (facts === undefined) return null;
  // A transaction is begun again after the conversion.
  const converted = begun[begun.findIndex(({ rows }) => rows.includes('convert-message')) + 1];
  const { size, eightBit, sender } = facts;
  const isKnown = begun.some(({ rows }) => rows.includes('convert-message')) && converted !== undefined;
  return {
    ...{ size, eightBit, sender },
    sevenBit: isKnown ? (converted.eightBit ? null : converted.size) : undefined,
  };
}

/** @param unrecorded told what the recording does not say; what was asked for never comes */
export function loadRecorded(
  { size, eightBit, sender, sevenBit }: RecordedMessage,
  unrecorded: (what: string) => void,
): NonNullable<DeliveryDeps['load']> {
  const narrow = async (): Promise<OutgoingMessage | null> => {
    if (sevenBit !== undefined) return sevenBit === null ? null : fillerOf(sevenBit, false, narrow);
    unrecorded('how long the message is for a server without 8BITMIME');
    return new Promise(() => {});
  };
  return async () => ({ outgoing: fillerOf(size, eightBit, narrow), sender });
}

/** Bytes of the filler that are made at a time. */
const PIECE = 65_536;

function fillerOf(size: number, eightBit: boolean, narrow: OutgoingMessage['sevenBit']): OutgoingMessage {
  const whole = size <= PIECE ? lineOf(size) : null;
  const message: OutgoingMessage = {
    kind: 'outgoing',
    size,
    eightBit,
    reencoded: false,
    suggestedSender: () => null,
    headers: summarizeMessage(''),
    problems: [],
    text: whole,
    async *chunks() {
      for (let left = size; left > 0; left -= PIECE)
        yield Buffer.from(lineOf(Math.min(left, PIECE)), 'latin1');
    },
    sevenBit: () => (eightBit ? narrow() : Promise.resolve(message)),
  };
  return message;
}

/** Ends as a line ends. */
function lineOf(size: number): ByteString {
  return 'x'.repeat(Math.max(0, size - 2)) + '\r\n'.slice(-size);
}
