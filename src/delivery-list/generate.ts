/**
 * The first control message of a job, byte for byte as Citadel's message base makes it in every era. Called when a job
 * is put into a room. A status line written later has three bars where this one has four; readers take both.
 */
import type { ByteString } from '../platform/bytes.ts';
import { DELIVERY_LIST_HEADER } from './serialise.ts';

/** `Room.enqueue`'s new job with the number its payload got. */
export interface NewDeliveryList {
  readonly msgid: number;
  /** Unix seconds */
  readonly submitted: number;
  readonly bounceto: ByteString;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  readonly recipients: readonly ByteString[];
}

/** What Citadel keeps of one recipient, in bytes. */
const LONGEST_RECIPIENT = 4095;

/** Bytes that would start a line or a field of their own. */
function oneField(value: ByteString): ByteString {
  return value.replace(/[\r\n\0|]/g, ' ');
}

/** The whole text with its header. Empty recipients are left out. */
export function newControlText(list: NewDeliveryList): ByteString {
  let text = `${DELIVERY_LIST_HEADER}msgid|${list.msgid}\nsubmitted|${list.submitted}\nbounceto|${oneField(list.bounceto)}\n`;
  if (list.envelopeFrom !== null) text += `envelope_from|${oneField(list.envelopeFrom)}\n`;
  if (list.sourceRoom !== null) text += `source_room|${oneField(list.sourceRoom)}\n`;
  for (const recipient of list.recipients) {
    if (recipient !== '') text += `remote|${oneField(recipient).slice(0, LONGEST_RECIPIENT)}|0||\n`;
  }
  return text;
}
