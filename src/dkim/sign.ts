/**
 * Signs messages (RFC 6376, RFC 8463): one pass over what leaves, after rendering and before dot-stuffing, one hash for all
 * keys. The body is never kept.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import { relaxedBody } from './canonical.ts';
import {
  coveredFields,
  type SigningIdentity,
  signedData,
  signedField,
  signedNames,
  unsignedField,
} from './signature.ts';

export interface SigningKey extends SigningIdentity {
  readonly key: KeyObject;
}

export interface MessageDigest {
  /** CRLF lines, up to and without the empty line */
  readonly header: ByteString;
  /** SHA-256 of the canonical body, base64 */
  readonly bodyHash: string;
}

/** Rejects with what `chunks` rejects with. */
export async function digestMessage(chunks: AsyncIterable<Buffer>): Promise<MessageDigest> {
  const hash = createHash('sha256');
  const body = relaxedBody();
  let header: ByteString | null = null;
  let begun = '';
  for await (const chunk of chunks) {
    if (header !== null) {
      hash.update(body.write(chunk), 'latin1');
      continue;
    }
    // The empty line may be spread over two chunks; a message may begin with it.
    const before = begun.length;
    begun += chunk.toString('latin1');
    const end = begun.startsWith('\r\n') ? -2 : begun.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end === -1) continue;
    header = begun.slice(0, end + 2);
    hash.update(body.write(chunk.subarray(end + 4 - before)), 'latin1');
  }
  hash.update(body.end(), 'latin1');
  return { header: header ?? begun, bodyHash: hash.digest('base64') };
}

/** The signature fields for these keys, each with its CRLF; `time` is Unix seconds. */
export function signatureFields(
  { header, bodyHash }: MessageDigest,
  keys: readonly SigningKey[],
  time: number,
): ByteString {
  const names = signedNames(header);
  const covered = coveredFields(header, names);
  return keys
    .map((identity) => {
      const unsigned = unsignedField(identity, names, bodyHash, time);
      const data = Buffer.from(signedData(covered, unsigned), 'latin1');
      return signedField(unsigned, signData(identity, data));
    })
    .join('');
}

/** Ed25519 signs the hash (RFC 8463 3). */
function signData({ algorithm, key }: SigningKey, data: Buffer): Buffer {
  return algorithm === 'rsa-sha256'
    ? sign('sha256', data, key)
    : sign(null, createHash('sha256').update(data).digest(), key);
}

/** To DKIM-Signature fields, each with its CRLF; '' when the message is not signed; null: no message is. */
export type Sign = (message: OutgoingMessage) => Promise<ByteString> | null;

/** The message with its signatures; its 7-bit form has other bytes and gets its own. Rejects with what `sign` rejects with. */
export function signedMessage(
  message: OutgoingMessage,
  sign: Sign,
): OutgoingMessage | Promise<OutgoingMessage> {
  const fields = sign(message);
  return fields === null ? message : signedWith(message, fields, sign);
}

async function signedWith(
  message: OutgoingMessage,
  fields: Promise<ByteString>,
  sign: Sign,
): Promise<OutgoingMessage> {
  const signed = withFields(message, await fields);
  let narrow: Promise<OutgoingMessage | null> | null = null;
  const sevenBit = async (): Promise<OutgoingMessage | null> => {
    const other = await message.sevenBit();
    if (other === message) return complete;
    return other === null ? null : signedMessage(other, sign);
  };
  const complete: OutgoingMessage = { ...signed, sevenBit: () => (narrow ??= sevenBit()) };
  return complete;
}

/** The message with fields before its own. */
function withFields(message: OutgoingMessage, fields: ByteString): OutgoingMessage {
  if (fields === '') return message;
  const { text } = message;
  return {
    ...message,
    size: fields.length + message.size,
    text: text === null ? null : fields + text,
    async *chunks() {
      yield Buffer.from(fields, 'latin1');
      yield* message.chunks();
    },
  };
}
