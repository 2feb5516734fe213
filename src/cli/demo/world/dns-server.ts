/**
 * A small authoritative DNS server on loopback, UDP and TCP on one port, for the demo and the tests. It answers MX, A, AAAA,
 * TXT, TLSA and CNAME queries from a map of names, and NXDOMAIN for every other name. It neither forwards nor caches. To a
 * client that asks for it, it says that what is `secure` is proved, as a validating resolver does.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import {
  type Answer,
  AUTHENTIC_DATA,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  TRUNCATED_RESPONSE,
} from 'dns-packet';

/** The records of one name. A `CNAME` excludes other records and is followed within the zones. */
export interface Records {
  readonly MX?: readonly { readonly preference: number; readonly exchange: string }[];
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly TXT?: readonly string[];
  /** `3 1 1 HEX` */
  readonly TLSA?: readonly string[];
  readonly CNAME?: string;
  /** as in a zone that is signed: answers about the name, and that it has no such record, are proved */
  readonly secure?: true;
  /** seconds, for all records of the name; default 60 */
  readonly ttl?: number;
}

/** Lower-case names without the final dot. */
export type Zones = Readonly<Record<string, Records>>;

export type Transport = 'udp' | 'tcp';

/** The packets to send back for one query, usually one. */
export type Respond = (query: Buffer, transport: Transport) => readonly Buffer[];

export interface DnsServer {
  /** `127.0.0.1:port`, as the setting `dns` takes it */
  readonly address: string;
  close(): Promise<void>;
}

export const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** What fits into a UDP answer without EDNS (RFC 1035 section 4.2.1). */
const UDP_LIMIT = 512;

/** How many CNAMEs are followed, which also ends loops. */
const CNAME_LIMIT = 8;

export function startDnsServer(zones: Zones): Promise<DnsServer> {
  return serveDns((query, transport) => {
    const packet = decodeQuery(query);
    return packet === null ? [] : [encodeFor(transport, answerFrom(zones, packet))];
  });
}

/** The answer from the zones. */
export function answerFrom(zones: Zones, query: DecodedPacket): Packet {
  const question = query.questions?.[0];
  if (question === undefined) return reply(query, RCODES.FORMERR, []);
  const answers: Answer[] = [];
  let name = question.name.toLowerCase();
  let isProved = ((query.flags ?? 0) & AUTHENTIC_DATA) !== 0;
  for (let links = 0; links < CNAME_LIMIT; links++) {
    const records = Object.hasOwn(zones, name) ? zones[name] : undefined;
    if (records === undefined) return reply(query, RCODES.NXDOMAIN, answers);
    isProved &&= records.secure === true;
    if (records.CNAME === undefined) {
      const own = answersOf(name, records).filter(({ type }) => type === question.type);
      return proved(reply(query, RCODES.NOERROR, [...answers, ...own]), isProved);
    }
    answers.push({ type: 'CNAME', name, ttl: records.ttl ?? 60, data: records.CNAME });
    name = records.CNAME;
  }
  return reply(query, RCODES.SERVFAIL, []);
}

function answersOf(
  name: string,
  { MX = [], A = [], AAAA = [], TXT = [], TLSA = [], ttl = 60 }: Records,
): readonly Answer[] {
  return [
    ...MX.map((data): Answer => ({ type: 'MX', name, ttl, data })),
    ...A.map((data): Answer => ({ type: 'A', name, ttl, data })),
    ...AAAA.map((data): Answer => ({ type: 'AAAA', name, ttl, data })),
    ...TXT.map((text): Answer => ({ type: 'TXT', name, ttl, data: text.match(/.{1,255}/g) ?? [''] })),
    ...TLSA.map((text): Answer => ({ type: 'TLSA', name, ttl, data: tlsaData(text) })),
  ];
}

function tlsaData(text: string) {
  const [usage, selector, matchingType, hex = ''] = text.split(' ');
  return {
    usage: Number(usage),
    selector: Number(selector),
    matchingType: Number(matchingType),
    certificate: Buffer.from(hex, 'hex'),
  };
}

function proved(packet: Packet, isProved: boolean): Packet {
  return isProved ? { ...packet, flags: (packet.flags ?? 0) | AUTHENTIC_DATA } : packet;
}

export function reply(query: DecodedPacket, rcode: number, answers: readonly Answer[]): Packet {
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: AUTHORITATIVE_ANSWER | rcode,
    questions: query.questions ?? [],
    answers: [...answers],
  };
}

/** An answer too long for UDP becomes an empty, truncated one, after which the client asks by TCP. */
export function encodeFor(transport: Transport, packet: Packet): Buffer {
  const whole = encode(packet);
  if (transport === 'tcp' || whole.length <= UDP_LIMIT) return whole;
  return encode({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] });
}

/** Null: the bytes are not a DNS query, and cannot be answered. */
export function decodeQuery(bytes: Buffer): DecodedPacket | null {
  try {
    return decode(bytes);
  } catch {
    return null;
  }
}

/** Both transports on one free port of 127.0.0.1. */
export async function serveDns(respond: Respond): Promise<DnsServer> {
  const connections = new Set<TcpSocket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
    answerStream(socket, respond);
  });
  const { udp, port } = await bindBoth(tcp);
  udp.on('message', (query, { port, address }) => {
    for (const packet of respond(query, 'udp')) udp.send(packet, port, address);
  });

  return {
    address: `127.0.0.1:${port}`,
    async close() {
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((closed) => void udp.close(closed)),
        new Promise((closed) => tcp.close(closed)),
      ]);
    },
  };
}

/** The system picks a port that is free for TCP; another program may hold the same one for UDP. */
async function bindBoth(tcp: Server): Promise<{ readonly udp: Socket; readonly port: number }> {
  for (let attempt = 1; ; attempt++) {
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const address = tcp.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const udp = createSocket('udp4');
    udp.bind(port, '127.0.0.1');
    try {
      await once(udp, 'listening');
      return { udp, port };
    } catch (error) {
      udp.close();
      await new Promise((closed) => tcp.close(closed));
      if (attempt === 5) throw error;
    }
  }
}

/** Over TCP each packet is preceded by its length in two bytes (RFC 1035 section 4.2.2). */
function answerStream(socket: TcpSocket, respond: Respond): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      for (const packet of respond(rest.subarray(2, end), 'tcp')) socket.write(framed(packet));
      rest = rest.subarray(end);
    }
  });
}

function framed(packet: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  return Buffer.concat([length, packet]);
}
