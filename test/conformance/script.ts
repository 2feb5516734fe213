/**
 * The `script` of a dialogue row: the queue, the names and the servers of one scenario, as values. Both the model of the
 * C module (c-module.ts) and this program (dialogue.ts) are given the same ones. The README of the vectors lists its
 * keywords; each `say` is one read.
 */
import type { ByteString } from '../../src/platform/bytes.ts';
import { bytesOf, type Row } from './vectors.ts';

/** What a server does after its last reply; `broken`: the next write to it fails. */
export type LastAction = 'close' | 'silence' | 'reset' | 'broken' | 'shutdown';

export interface ScriptedPeer {
  /** the connect; `socket` fails on our own side */
  readonly connect: 'ok' | 'refused' | 'timeout' | 'unreachable' | 'socket';
  readonly says: readonly ByteString[];
  readonly last: LastAction;
}

export type Zone = 'found' | 'no-domain' | 'no-data' | 'server-failure' | 'timeout';

export interface Script {
  /** Unix seconds */
  readonly now: number;
  readonly control: ByteString;
  readonly mail: ByteString;
  /** lines of the server's relay configuration */
  readonly relays: ByteString;
  readonly force: boolean;
  /** `mx NAME`, `a NAME` or `aaaa NAME` to records (`PREFERENCE HOST` or addresses) or to why there are none */
  answer(question: string): { readonly records: readonly string[]; readonly fault: Exclude<Zone, 'found'> };
  peer(address: string): ScriptedPeer;
  /** a read ends between a CR and its LF */
  readonly splitsLineEnd: boolean;
}

/** Numbers of the C resolver library. */
const FAULTS: { readonly [number: string]: Exclude<Zone, 'found'> } = {
  1: 'no-data',
  2: 'server-failure',
  3: 'server-failure',
  4: 'no-domain',
  11: 'timeout',
  12: 'timeout',
};

const CONNECTS: { readonly [word: string]: ScriptedPeer['connect'] } = {
  ok: 'ok',
  immediate: 'ok',
  refused: 'refused',
  timeout: 'timeout',
  unreach: 'unreachable',
};

const LAST_ACTIONS: { readonly [word: string]: LastAction } = {
  close: 'close',
  silent: 'silence',
  reset: 'reset',
  wreset: 'broken',
  shutdown: 'shutdown',
};

const decoded = (base64 = ''): ByteString => Buffer.from(base64, 'base64').toString('latin1');

export function scriptOf(row: Row): Script {
  const lines = bytesOf(row, 'script')
    .split('\n')
    .map((line) => line.split(' '));
  const first = (word: string): string | undefined => lines.find(([each]) => each === word)?.[1];
  const peers = new Map<string, ScriptedPeer>();
  const records = new Map<string, string[]>();
  const faults = new Map<string, Exclude<Zone, 'found'>>();
  for (const [word = '', one = '', two = '', three = ''] of lines) {
    const peer = peers.get(one);
    if (word === 'mx' || word === 'a' || word === 'aaaa') {
      const question = `${word} ${one}`;
      records.set(question, [...(records.get(question) ?? []), word === 'mx' ? `${two} ${three}` : two]);
    } else if (word === 'dnsfail') faults.set(`${one} ${two}`, FAULTS[three] ?? 'server-failure');
    else if (word === 'host')
      peers.set(one, { connect: CONNECTS[two] ?? 'refused', says: [], last: LAST_ACTIONS[three] ?? 'close' });
    else if (word === 'say' && peer !== undefined)
      peers.set(one, { ...peer, says: [...peer.says, decoded(two)] });
    else if (word in LAST_ACTIONS && peer !== undefined)
      peers.set(one, { ...peer, last: LAST_ACTIONS[word] ?? 'close' });
  }
  const socketFails = first('socketfail') !== undefined;
  return {
    now: Number(first('now') ?? 1_000_000),
    control: decoded(first('ctrl')),
    mail: decoded(first('mail')),
    relays: decoded(first('inetcfg')),
    force: row.run_queue_now === true,
    splitsLineEnd: [...peers.values()].some(({ says }) =>
      says.some((read, index) => read.endsWith('\r') && says[index + 1]?.startsWith('\n') === true),
    ),
    answer: (question) => {
      const fault = faults.get(question);
      return {
        records: fault === undefined ? (records.get(question) ?? []) : [],
        fault: fault ?? 'no-domain',
      };
    },
    peer: (address) => ({
      ...(peers.get(address) ?? { connect: 'refused', says: [], last: 'close' }),
      ...(socketFails ? { connect: 'socket' } : {}),
    }),
  };
}

/** What can be seen of a run from outside: the same form for the C module's traces and for ours. */
export interface Seen {
  /** `mx NAME` and `address NAME`, each once, in order. A and AAAA of a name count as one question. */
  readonly questions: readonly string[];
  /** `ADDRESS:PORT` in order */
  readonly contacts: readonly string[];
  /** what was sent, one entry a command; a long message as its size. ESMTP parameters (the C module had none) are left out. */
  readonly sent: readonly ByteString[];
  readonly outcomes: readonly Outcome[];
}

export interface Outcome {
  /** place of the recipient in the list */
  readonly n: number;
  readonly status: number;
  /** the server's words; null when it said nothing and the sentence is our own, or the C module's */
  readonly words: ByteString | null;
}

export const LONG = 4096;

export function entry(bytes: ByteString): ByteString {
  return bytes.length > LONG ? `${bytes.length} bytes` : bytes.replace(/\r\n$/, '');
}

export function eachOnce(items: readonly string[]): readonly string[] {
  return [...new Set(items)];
}
