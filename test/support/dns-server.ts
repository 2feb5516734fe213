/**
 * The DNS server of the demo with faults for chosen names, and a record of the queries. A name with a fault has it for
 * every type; all other names are answered from the zones.
 */
import { type DecodedPacket, encode } from 'dns-packet';
import {
  answerFrom,
  type DnsServer,
  decodeQuery,
  encodeFor,
  RCODES,
  reply,
  serveDns,
  type Transport,
  type Zones,
} from '../../src/cli/demo/world/dns-server.ts';

export type DnsFault =
  | keyof typeof RCODES
  /** no answer at all */
  | 'silence'
  /** bytes that are not a DNS packet */
  | 'garbage'
  /** the right answer without its last bytes */
  | 'cut'
  /** an answer with another id, then silence */
  | 'wrong-id'
  /** a forged answer with another id, then the right one */
  | 'forged-first';

export interface FaultyDnsServer extends DnsServer {
  /** `MX example.com`, in the order they came, over either transport */
  readonly queries: readonly string[];
  readonly transports: readonly Transport[];
  /** may be changed while the server runs */
  zones: Zones;
  faults: Readonly<Record<string, DnsFault>>;
}

export async function startFaultyDnsServer(
  zones: Zones,
  faults: Readonly<Record<string, DnsFault>> = {},
): Promise<FaultyDnsServer> {
  const queries: string[] = [];
  const transports: Transport[] = [];
  const server = await serveDns((bytes, transport) => {
    const query = decodeQuery(bytes);
    const question = query?.questions?.[0];
    if (query === null || question === undefined) return [];
    queries.push(`${question.type} ${question.name}`);
    transports.push(transport);
    const right = encodeFor(transport, answerFrom(state.zones, query));
    const fault = state.faults[question.name.toLowerCase()];
    return fault === undefined ? [right] : faulty(fault, query, right);
  });
  const state = { ...server, queries, transports, zones, faults };
  return state;
}

function faulty(fault: DnsFault, query: DecodedPacket, right: Buffer): readonly Buffer[] {
  switch (fault) {
    case 'silence':
      return [];
    case 'garbage':
      return [Buffer.from('these bytes are no DNS packet, although they are long enough for one')];
    case 'cut':
      return [right.subarray(0, -3)];
    case 'wrong-id':
      return [withOtherId(right)];
    case 'forged-first':
      return [withOtherId(right), right];
    case 'NOERROR':
    case 'FORMERR':
    case 'SERVFAIL':
    case 'NXDOMAIN':
    case 'NOTIMP':
    case 'REFUSED':
      return [encode(reply(query, RCODES[fault], []))];
  }
}

function withOtherId(packet: Buffer): Buffer {
  const other = Buffer.from(packet);
  other.writeUInt16BE(packet.readUInt16BE() ^ 0xffff);
  return other;
}
