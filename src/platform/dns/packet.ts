/**
 * Questions to name servers and their answers, in the bytes of RFC 1035 4.1. Pure. Of an answer only the records are read that were
 * asked for: what else is in it, and whether it is whole behind them, means nothing to us.
 */
import type { TlsaRecord } from '#net-stream-utils';
import { hostKey, type MxRecord } from '../dns.ts';

/** What each type of record is read into. */
export interface RecordData {
  readonly MX: MxRecord;
  readonly A: string;
  readonly AAAA: string;
  /** the strings of a record, joined, one character per byte */
  readonly TXT: string;
  readonly TLSA: TlsaRecord;
}

export type RecordType = keyof RecordData;

export interface Question<K extends RecordType> {
  readonly id: number;
  readonly type: K;
  /** name, type and class as an answer repeats them, but that the case of letters may differ */
  readonly asked: string;
  readonly packet: Buffer;
}

export interface Answer<T> {
  /** 0: no error (RFC 1035 4.1.1) */
  readonly rcode: number;
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

const HEADER = 12;

/** Bytes on the wire (RFC 1035 3.1). */
const LONGEST_NAME = 255;

/** RD and AD, one question, one additional record. */
const QUERY = '\x01\x20\0\x01\0\0\0\0\0\x01';

/** OPT (RFC 6891 6.1.2): no more than 1232 bytes over UDP, which are not cut into fragments on their way (DNS flag day 2020). */
const OPT = '\0\0\x29\x04\xd0\0\0\0\0\0\0';

/** @param name labels of ASCII with at most 63 characters each, without the final dot */
export function questionFor<K extends RecordType>(id: number, name: string, type: K): Question<K> {
  const labels = name.split('.').map((label) => String.fromCharCode(label.length) + label);
  const asked = `${labels.join('')}\0\0${String.fromCharCode(KINDS[type].number)}\0\x01`.toLowerCase();
  const packet = Buffer.from(String.fromCharCode(id >> 8, id & 255) + QUERY + asked + OPT, 'latin1');
  return { id, type, asked, packet };
}

/** Null: it does not belong to the question, or cannot be read. */
export function readAnswer<K extends RecordType>(
  bytes: Buffer,
  { id, type, asked }: Question<K>,
): Answer<RecordData[K]> | null {
  const end = HEADER + asked.length;
  if (bytes.length < end || bytes.readUInt16BE(0) !== id || bytes.readUInt16BE(4) !== 1) return null;
  const flags = bytes.readUInt16BE(2);
  const isAnswer = (flags & 0x8000) !== 0 && bytes.toString('latin1', HEADER, end).toLowerCase() === asked;
  const records = isAnswer ? readRecords({ bytes, at: end }, type) : null;
  if (records === null) return null;
  return { rcode: flags & 15, isProved: (flags & 0x20) !== 0, isCut: (flags & 0x200) !== 0, records };
}

/** What is read, and where reading goes on. */
interface Reader {
  readonly bytes: Buffer;
  at: number;
}

/** Null: the packet ends within a record, or a name in it is none. */
function readRecords<K extends RecordType>(
  reader: Reader,
  type: K,
): readonly AnswerRecord<RecordData[K]>[] | null {
  const { bytes } = reader;
  const { number, read } = KINDS[type];
  const records: AnswerRecord<RecordData[K]>[] = [];
  for (let left = bytes.readUInt16BE(6); left > 0; left--) {
    const name = readName(reader);
    const start = reader.at + 10;
    if (name === null || start > bytes.length) return null;
    const end = start + bytes.readUInt16BE(start - 2);
    if (end > bytes.length) return null;
    if (bytes.readUInt16BE(start - 10) === number) {
      reader.at = start;
      const data = read(reader, end);
      if (data === null) return null;
      records.push({ name, ttl: bytes.readUInt32BE(start - 6), data });
    }
    reader.at = end;
  }
  return records;
}

/** Labels joined by dots, one character per byte. A pointer leads back, so that none is followed twice (RFC 1035 4.1.4). */
function readName(reader: Reader): string | null {
  const { bytes } = reader;
  const labels: string[] = [];
  let { at } = reader;
  let earliest = at;
  let end = 0;
  for (let left = LONGEST_NAME; left > 0; ) {
    const length = bytes[at++];
    if (length === 0) {
      reader.at = end === 0 ? at : end;
      return labels.join('.');
    }
    if (length === undefined) return null;
    if (length < 64) {
      labels.push(bytes.toString('latin1', at, at + length));
      at += length;
      left -= length + 1;
    } else {
      const target = ((length & 0x3f) << 8) | (bytes[at++] ?? 0);
      if (length < 0xc0 || target >= earliest) return null;
      if (end === 0) end = at;
      earliest = target;
      at = target;
      left--;
    }
  }
  return null;
}

/** Bytes that do not belong into a host name as `\DDD` (RFC 1035 5.1), so that no name can end a line. */
function escaped(name: string): string {
  return name.replace(/[^!-~]/g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, '0')}`);
}

/** By type: its number (RFC 1035 3.2.2, 3596 2.1, 6698 2.1), and what its data says, which begins at `at`; null: nothing. */
const KINDS: {
  readonly [type in RecordType]: {
    readonly number: number;
    readonly read: (reader: Reader, end: number) => RecordData[type] | null;
  };
} = {
  MX: {
    number: 15,
    read(reader, end) {
      const { bytes, at } = reader;
      if (end < at + 3) return null;
      reader.at += 2;
      const exchange = readName(reader);
      return exchange === null
        ? null
        : { exchange: hostKey(escaped(exchange)), preference: bytes.readUInt16BE(at) };
    },
  },
  A: { number: 1, read: ({ bytes, at }, end) => (end === at + 4 ? bytes.subarray(at, end).join('.') : null) },
  AAAA: {
    number: 28,
    read({ bytes, at }, end) {
      if (end !== at + 16) return null;
      const groups = Array.from({ length: 8 }, (_, n) => bytes.readUInt16BE(at + 2 * n).toString(16));
      // As RFC 5952 has it.
      return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
    },
  },
  TXT: {
    number: 16,
    read({ bytes, at }, end) {
      let text = '';
      for (let from = at; from < end; ) {
        const next = from + 1 + bytes.readUInt8(from);
        if (next > end) return null;
        text += bytes.toString('latin1', from + 1, next);
        from = next;
      }
      return text;
    },
  },
  TLSA: {
    number: 52,
    read({ bytes, at }, end) {
      const [usage, selector, matchingType] = bytes.subarray(at, end);
      if (usage === undefined || selector === undefined || matchingType === undefined) return null;
      return { usage, selector, matchingType, data: bytes.toString('hex', at + 3, end) };
    },
  },
};
