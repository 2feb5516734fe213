/**
 * A stub resolver that shows whether an answer is proved by DNSSEC, which Node's DNS client does not: one question to one name
 * server at a time, over UDP, and over TCP where the answer does not fit (RFC 1035 4.2). It validates nothing itself: the AD bit
 * is the name server's word (RFC 4035 4.9), to be believed only where the way to it is trusted (trust.ts).
 */
import { randomFillSync } from 'node:crypto';
import { connect } from 'node:net';
import { hostKey, type LookupError, type LookupResult } from '../dns.ts';
import type { DelayedCalls } from '../timers.ts';
import { type Answer, questionFor, type RecordData, type RecordType, readAnswer } from './packet.ts';
import { askByUdp, type NameServer } from './udp-exchange.ts';

export interface StubLookup<T> {
  readonly lookup: LookupResult<T>;
  /** seconds, the shortest of the records; 0 where there are none */
  readonly ttl: number;
}

export interface StubOptions {
  readonly servers: readonly NameServer[];
  /** for each round of tries: the time that a server has */
  readonly rounds: readonly DelayedCalls[];
}

/** The records of a name; a lookup that failed is a value. `name` is lower case, without the final dot. */
export async function lookup<K extends RecordType>(
  name: string,
  type: K,
  options: StubOptions,
): Promise<StubLookup<RecordData[K]>> {
  const answer = await query(name, type, options);
  if (typeof answer === 'string') return { lookup: { kind: 'failed', fault: answer }, ttl: 0 };
  const { rcode, isProved, records } = answer;
  const [first] = records;
  const canonical = first === undefined ? name : hostKey(first.name);
  const alias = canonical === name ? {} : { canonical };
  const proved = isProved ? { secure: true as const, ...alias } : {};
  if (rcode !== 'NOERROR' || first === undefined) {
    const fault = rcode === 'NOERROR' ? 'no-data' : (FAULTS.get(rcode) ?? 'bad-answer');
    return { lookup: { kind: 'failed', fault, ...proved }, ttl: 0 };
  }
  const ttl = Math.min(...records.map((record) => record.ttl));
  return { lookup: { kind: 'found', records: records.map(({ data }) => data), ...proved }, ttl };
}

const FAULTS: ReadonlyMap<string, LookupError> = new Map([
  ['NXDOMAIN', 'no-domain'],
  ['SERVFAIL', 'server-failure'],
  ['NOTIMP', 'server-failure'],
  ['REFUSED', 'refused'],
]);

/** Why there is no answer: nothing came in time that belongs to the question, or no server can be reached. */
type Unanswered = 'timeout' | 'local-fault';

async function query<K extends RecordType>(
  name: string,
  type: K,
  { servers, rounds }: StubOptions,
): Promise<Answer<RecordData[K]> | Unanswered> {
  let failed: Answer<RecordData[K]> | Unanswered = 'local-fault';
  for (const deadlines of rounds) {
    for (const server of servers) {
      const overUdp = await ask('udp', server, name, type, deadlines);
      const isCut = typeof overUdp !== 'string' && overUdp.isCut;
      const answer = isCut ? await ask('tcp', server, name, type, deadlines) : overUdp;
      if (answer === 'local-fault') continue;
      failed = answer;
      if (answer === 'timeout') continue;
      if (answer.rcode === 'NOERROR' || answer.rcode === 'NXDOMAIN') return answer;
    }
    // Another server might have done better; asking the same ones again rarely helps.
    if (typeof failed !== 'string') return failed;
  }
  return failed;
}

/** What does not belong to the question is forged or late, and the wait goes on. */
function ask<K extends RecordType>(
  transport: 'udp' | 'tcp',
  server: NameServer,
  name: string,
  type: K,
  deadlines: DelayedCalls,
): Promise<Answer<RecordData[K]> | Unanswered> {
  const question = questionFor(newId(), name, type);
  return new Promise((resolve) => {
    const expire = (): void => finish('timeout');
    deadlines.add(expire);
    const close = EXCHANGES[transport](server, question.packet, {
      packet: (bytes) => {
        const answer = readAnswer(bytes, question);
        if (answer !== null) finish(answer);
      },
      failed: () => finish('local-fault'),
    });
    function finish(answer: Answer<RecordData[K]> | Unanswered): void {
      deadlines.delete(expire);
      close();
      resolve(answer);
    }
  });
}

/** Ids that nobody can guess, drawn ahead: to draw one costs as much as to draw them all. */
const ids = new Uint16Array(256);
let used = ids.length;

function newId(): number {
  if (used === ids.length) {
    randomFillSync(ids);
    used = 0;
  }
  return ids[used++] ?? 0;
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
