/**
 * Whether a message is signed, and with which keys: by the domain of its From field. A message that carries a signature of
 * that domain already is left as it is, unless the setting `dkim.sign` is `always` or its signature no longer holds.
 */
import type { OutgoingMessage } from '../message/outgoing.ts';
import { addressInField } from '../message/sender.ts';
import type { ByteString } from '../platform/bytes.ts';
import { recipientAddress } from '../routing/address.ts';
import { digestMessage, type SigningKey, signatureFields } from './sign.ts';
import { signingDomains } from './signature.ts';

export interface Signer {
  /**
   * The signature fields for a message, each with its CRLF; '' when it is not signed. `time` is Unix seconds. Rejects when
   * the message cannot be read.
   */
  sign(message: OutgoingMessage, time: number): Promise<ByteString>;
}

/** Keys for an address in From, in A-labels and lower case. */
export type FindKeys = (address: string) => readonly SigningKey[];

export function createSigner(findKeys: FindKeys, when: 'unsigned' | 'always'): Signer {
  return {
    async sign(message, time) {
      const address = authorAddress(message);
      const keys = address === null ? [] : findKeys(address);
      if (keys.length === 0) return '';
      const digest = await digestMessage(message.chunks());
      const signed = when === 'always' || message.reencoded ? new Set() : signingDomains(digest.header);
      const wanted = keys.filter(({ domain }) => !signed.has(domain));
      return wanted.length === 0 ? '' : signatureFields(digest, wanted, time);
    },
  };
}

/** The first address in From with its domain in A-labels; null when there is none to sign for. */
function authorAddress({ headers: { from } }: Pick<OutgoingMessage, 'headers'>): string | null {
  if (from === null) return null;
  const found = addressInField(`From: ${from}\r\n`, 'from');
  const address = recipientAddress(found ?? '');
  return address.kind === 'unusable' ? null : address.command.toLowerCase();
}
