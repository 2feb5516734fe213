/**
 * A stub resolver that shows whether an answer is proved by DNSSEC, which Node's DNS client does not: one question to one name
 * server at a time, over UDP, and over TCP where the answer does not fit (RFC 1035 4.2). It validates nothing itself: the AD bit
 * is the name server's word (RFC 4035 4.9), to be believed only where the way to it is trusted (trust.ts).
 */
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { AUTHENTIC_DATA, type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { TlsaRecord } from '#net-stream-utils';
import type { Clock } from '../clock.ts';
import { hostKey, type LookupError, type LookupResult, type MxRecord } from '../dns.ts';
import { askByUdp, type NameServer } from './udp-exchange.ts';

/** What each type of record is read into. */
export interface RecordData {
  readonly MX: MxRecord;
  readonly A: string;
  readonly AAAA: string;
  /** the strings of a record, joined */
  readonly TXT: string;
  readonly TLSA: TlsaRecord;
}

export type RecordType = keyof RecordData;

export interface StubLookup<T> {
  readonly lookup: LookupResult<T>;
  /** seconds, the shortest of the records; 0 where there are none */
  readonly ttl: number;
}

export interface StubOptions {
  readonly servers: readonly NameServer[];
  /** milliseconds for the first try with a server; doubled with each round */
  readonly timeout: number;
  readonly tries: number;
  readonly clock: Clock;
}

/** Bytes of UDP that are not cut into fragments on their way (DNS flag day 2020). */
const UDP_SIZE = 1232;

/** The records of a name; a lookup that failed is a value. `name` is lower case, without the final dot. */
export async function lookup<K extends RecordType>(
  name: string,
  type: K,
  options: StubOptions,
): Promise<StubLookup<RecordData[K]>> {
  const packet = await query(name, type, options);
  if (typeof packet === 'string') return { lookup: { kind: 'failed', fault: packet }, ttl: 0 };
  const answers = (packet.answers ?? []).flatMap((answer) => (answer.type === type ? [answer] : []));
  const [first] = answers as readonly { readonly name: string; readonly ttl?: number }[];
  const canonical = first === undefined ? name : hostKey(first.name);
  const alias = canonical === name ? {} : { canonical };
  const proved = packet.flag_ad ? { secure: true as const, ...alias } : {};
  if (packet.rcode !== 'NOERROR' || first === undefined) {
    const fault = packet.rcode === 'NOERROR' ? 'no-data' : (FAULTS.get(packet.rcode) ?? 'bad-answer');
    return { lookup: { kind: 'failed', fault, ...proved }, ttl: 0 };
  }
  const records = answers.map((answer) =>
    READERS[type]((answer as { readonly data: unknown }).data as never),
  );
  const ttl = Math.min(...answers.map((answer) => (answer as { readonly ttl?: number }).ttl ?? 0));
  return { lookup: { kind: 'found', records, ...proved }, ttl };
}

const FAULTS: ReadonlyMap<string, LookupError> = new Map([
  ['NXDOMAIN', 'no-domain'],
  ['SERVFAIL', 'server-failure'],
  ['NOTIMP', 'server-failure'],
  ['REFUSED', 'refused'],
]);

/** From what dns-packet makes of a record. */
const READERS: { readonly [type in RecordType]: (data: never) => RecordData[type] } = {
  MX: ({ exchange, preference = 0 }: { readonly exchange: string; readonly preference?: number }) => ({
    exchange: hostKey(escaped(exchange)),
    preference,
  }),
  A: (address: string) => address,
  AAAA: (address: string) => address,
  TXT: (strings: readonly Buffer[]) => Buffer.concat(strings).toString('latin1'),
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

/** Why there is no answer: nothing came in time that belongs to the question, or no server can be reached. */
type Unanswered = 'timeout' | 'local-fault';

async function query(
  name: string,
  type: RecordType,
  { servers, timeout, tries, clock }: StubOptions,
): Promise<Answered | Unanswered> {
  let failed: Answered | Unanswered = 'local-fault';
  for (let round = 0; round < tries; round++) {
    for (const server of servers) {
      const limit = timeout * 2 ** round;
      const overUdp = await ask('udp', server, name, type, limit, clock);
      const isCut = typeof overUdp !== 'string' && overUdp.flag_tc;
      const packet = isCut ? await ask('tcp', server, name, type, limit, clock) : overUdp;
      if (packet === 'local-fault') continue;
      failed = packet;
      if (packet === 'timeout') continue;
      if (packet.rcode === 'NOERROR' || packet.rcode === 'NXDOMAIN') return packet;
    }
    // Another server might have done better; asking the same ones again rarely helps.
    if (typeof failed !== 'string') return failed;
  }
  return failed;
}

type Answered = DecodedPacket & {
  readonly rcode: string;
  readonly flag_ad: boolean;
  readonly flag_tc: boolean;
};

/** @param limit milliseconds */
function ask(
  transport: 'udp' | 'tcp',
  server: NameServer,
  name: string,
  type: RecordType,
  limit: number,
  clock: Clock,
): Promise<Answered | Unanswered> {
  const id = randomInt(0x10000);
  const question = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ type, name }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  return new Promise((resolve) => {
    const timer = clock.after(limit, () => finish('timeout'));
    const close = EXCHANGES[transport](server, question, {
      packet: (bytes) => {
        const answer = answerTo(bytes, id, name, type);
        if (answer !== null) finish(answer);
      },
      failed: () => finish('local-fault'),
    });
    function finish(answer: Answered | Unanswered): void {
      timer.cancel();
      close();
      resolve(answer);
    }
  });
}

/** Anything else is forged or late, and the wait goes on. */
function answerTo(bytes: Buffer, id: number, name: string, type: RecordType): Answered | null {
  try {
    const packet = decode(bytes) as Answered;
    const asked = packet.questions?.[0];
    const isOurs = packet.type === 'response' && packet.id === id && asked?.type === type;
    return isOurs && asked.name.toLowerCase() === name.toLowerCase() ? packet : null;
  } catch {
    return null;
  }
}

type Exchange = typeof askByUdp;

const EXCHANGES: { readonly [transport in 'udp' | 'tcp']: Exchange } = {
  udp: askByUdp,
  tcp: ({ address, port }, question, events) => {
    const socket = connect({ host: address, port });
    let rest = Buffer.alloc(0);
    socket.on('error', events.failed);
    socket.on('end', events.failed);
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      if (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) events.packet(rest.subarray(2));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
    return () => socket.destroy();
  },
};
