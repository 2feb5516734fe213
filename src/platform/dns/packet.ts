/** Questions to name servers and their answers: what dns-packet reads and writes (RFC 1035 4.1), as the stub resolver needs it. Pure. */
import {
  AUTHENTIC_DATA,
  type DecodedPacket,
  decode,
  encode,
  type Answer as PacketRecord,
  RECURSION_DESIRED,
} from 'dns-packet';
import type { TlsaRecord } from '#net-stream-utils';
import { hostKey, type MxRecord } from '../dns.ts';

/** What each type of record is read into. */
export interface RecordData {
  readonly MX: MxRecord;
  readonly A: string;
  readonly AAAA: string;
  readonly TLSA: TlsaRecord;
}

export type RecordType = keyof RecordData;

export interface Question<K extends RecordType> {
  readonly id: number;
  readonly type: K;
  readonly name: string;
  readonly packet: Buffer;
}

export interface Answer<T> {
  /** `NOERROR`, `NXDOMAIN` and so on (RFC 1035 4.1.1) */
  readonly rcode: string;
  /** AD: the name server says that DNSSEC proves it (RFC 4035 3.2.3) */
  readonly isProved: boolean;
  /** TC: it did not fit */
  readonly isCut: boolean;
  readonly records: readonly AnswerRecord<T>[];
}

export interface AnswerRecord<T> {
  /** the name that has the record: where there are aliases, the one at their end */
  readonly name: string;
  /** seconds */
  readonly ttl: number;
  readonly data: T;
}

/** No more than so many bytes over UDP: they are not cut into fragments on their way (DNS flag day 2020). */
const OPT: PacketRecord = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/** @param name lower case, without the final dot */
export function questionFor<K extends RecordType>(id: number, name: string, type: K): Question<K> {
  const flags = RECURSION_DESIRED | AUTHENTIC_DATA;
  const packet = encode({ type: 'query', id, flags, questions: [{ type, name }], additionals: [OPT] });
  return { id, type, name, packet };
}

type Decoded = DecodedPacket & {
  readonly rcode: string;
  readonly flag_ad: boolean;
  readonly flag_tc: boolean;
};

/** Null: it does not belong to the question, or cannot be read. */
export function readAnswer<K extends RecordType>(
  bytes: Buffer,
  { id, type, name }: Question<K>,
): Answer<RecordData[K]> | null {
  let packet: Decoded;
  try {
    packet = decode(bytes) as Decoded;
  } catch {
    return null;
  }
  const asked = packet.questions?.[0];
  const isOurs = packet.type === 'response' && packet.id === id && asked?.type === type;
  if (!isOurs || asked.name.toLowerCase() !== name) return null;
  const records = (packet.answers ?? []).flatMap((answer) => {
    if (answer.type !== type) return [];
    const { ttl = 0, data } = answer as { readonly ttl?: number; readonly data: unknown };
    return [{ name: answer.name, ttl, data: READERS[type](data as never) }];
  });
  return { rcode: packet.rcode, isProved: packet.flag_ad, isCut: packet.flag_tc, records };
}

/** From what dns-packet makes of a record. */
const READERS: { readonly [type in RecordType]: (data: never) => RecordData[type] } = {
  MX: ({ exchange, preference = 0 }: { readonly exchange: string; readonly preference?: number }) => ({
    exchange: hostKey(escaped(exchange)),
    preference,
  }),
  A: (address: string) => address,
  AAAA: (address: string) => address,
  TLSA: (record: Omit<TlsaRecord, 'data'> & { readonly certificate: Buffer }) => ({
    usage: record.usage,
    selector: record.selector,
    matchingType: record.matchingType,
    data: record.certificate.toString('hex'),
  }),
};

/** Bytes that do not belong into a host name as `\DDD` (RFC 1035 5.1), so that no name can end a line. */
function escaped(name: string): string {
  return name.replace(/[^!-~]/g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, '0')}`);
}
