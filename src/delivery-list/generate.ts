/**
 * Writes the first control message of a job, byte for byte as Citadel does in all versions. Its `remote|` lines have four
 * bars, those of a rewritten list three; readers accept both.
 */
import type { ByteString } from '../platform/bytes.ts';
import { DELIVERY_LIST_HEADER, oneField } from './serialise.ts';

/** A new job, with the number of its payload. */
export interface NewDeliveryList {
  readonly msgid: number;
  /** Unix seconds */
  readonly submitted: number;
  readonly bounceto: ByteString;
  readonly envelopeFrom: ByteString | null;
  readonly sourceRoom: ByteString | null;
  readonly recipients: readonly ByteString[];
}

/** Citadel cuts a recipient off here. Bytes. */
const MAX_RECIPIENT = 4095;

/** The text with its header. Empty recipients are left out. */
export function newControlText(list: NewDeliveryList): ByteString {
  let text = `${DELIVERY_LIST_HEADER}msgid|${list.msgid}\nsubmitted|${list.submitted}\nbounceto|${oneField(list.bounceto)}\n`;
  if (list.envelopeFrom !== null) text += `envelope_from|${oneField(list.envelopeFrom)}\n`;
  if (list.sourceRoom !== null) text += `source_room|${oneField(list.sourceRoom)}\n`;
  for (const recipient of list.recipients) {
    if (recipient !== '') text += `remote|${oneField(recipient).slice(0, MAX_RECIPIENT)}|0||\n`;
  }
  return text;
}
