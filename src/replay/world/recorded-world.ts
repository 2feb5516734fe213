/**
 * A world made from a transcript: the names that were asked, the servers that answered, with the time each answer
 * took. Called by `replay` when it is asked what would have happened otherwise. It holds what was recorded and
 * nothing else: a world like this stops at the first question without an answer.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { SessionEffect, SessionEvent } from '../../smtp/machine/session.ts';
import { describeClose, NETWORK_ERRORS } from '../../smtp/network-errors.ts';
import type { Reply } from '../../smtp/reply.ts';
import type { Transcript, TranscriptLine } from '../transcript/transcript.ts';
import type { ScriptedReply, ServerFault, ServerScript } from './server.ts';
import type { WorldScript, Zone } from './world.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Step = Extract<TranscriptLine, { what: 'session' }>;

/** What a server's answers are called in its script; RCPTs have an address besides. */
type Key = 'greeting' | 'ehlo' | 'helo' | 'starttls' | 'auth' | 'mail' | 'data' | 'dot' | 'rset' | 'quit';
type Asked = Key | { readonly rcpt: ByteString };

interface Server {
  readonly script: Mutable<ServerScript>;
  readonly answers: Map<Key, ScriptedReply[]>;
  readonly rcpt: Map<ByteString, ScriptedReply[]>;
}

/** A session under way: what was asked and is not answered, and since when the peer has had time to answer. */
interface Talk {
  readonly server: Server;
  readonly owed: Asked[];
  since: number;
}

export function recordedWorld({ lines }: Transcript): WorldScript {
  const names = new Map<string, Mutable<Zone>>();
  const servers = new Map<string, Server>();
  const talks = new Map<number, Talk>();
  let asked = 0;
  for (const line of lines) {
    switch (line.what) {
      case 'lookup':
        noteLookup(names, line, asked);
        break;
      case 'delivery':
        noteRefusal(servers, line, line.t - asked);
        asked = line.t;
        break;
      case 'connected': {
        const server = serverAt(servers, line.address);
        server.script.connectAfter = `${Math.max(0, line.t - asked)}ms`;
        talks.set(line.session, { server, owed: ['greeting'], since: line.t });
        break;
      }
      case 'session': {
        const talk = talks.get(line.session);
        if (talk !== undefined) noteStep(talk, line);
        break;
      }
      case 'session-state':
      case 'body':
      case 'digest':
      case 'outcome':
        break;
    }
  }
  return {
    names: Object.fromEntries(names),
    servers: Object.fromEntries([...servers].map(([address, server]) => [address, scriptOf(server)])),
    latency: 0,
    recorded: true,
  };
}

function serverAt(servers: Map<string, Server>, address: string): Server {
  const server = servers.get(address) ?? { script: {}, answers: new Map(), rcpt: new Map() };
  servers.set(address, server);
  return server;
}

function scriptOf({ script, answers, rcpt }: Server): ServerScript {
  return { ...script, ...Object.fromEntries(answers), rcpt: Object.fromEntries(rcpt) };
}

function noteLookup(
  names: Map<string, Mutable<Zone>>,
  { question, name, answer, t }: Extract<TranscriptLine, { what: 'lookup' }>,
  asked: number,
): void {
  const zone = names.get(name) ?? {};
  names.set(name, zone);
  zone.after = `${Math.max(0, t - asked)}ms`;
  if (answer.kind === 'failed') {
    zone[question] = answer.fault;
    return;
  }
  const records = answer.records;
  if (question === 'mx') {
    zone.mx = records.flatMap((record) =>
      typeof record === 'string' ? [] : [[record.preference, record.exchange] as const],
    );
  } else {
    zone[question] = records.filter((record) => typeof record === 'string');
  }
}

const REFUSALS: ReadonlyMap<string | undefined, NonNullable<ServerScript['connect']>> = new Map([
  [NETWORK_ERRORS.ECONNREFUSED, 'refused'],
  [NETWORK_ERRORS.EHOSTUNREACH, 'unreachable'],
  [NETWORK_ERRORS.ETIMEDOUT, 'silence'],
]);

/** How a peer ends a connection. Any other end was our own doing. */
const ENDS: ReadonlyMap<string, ServerFault> = new Map([
  [describeClose({ kind: 'ended' }), 'close'],
  [NETWORK_ERRORS.ECONNRESET ?? '', 'reset'],
]);

/** A connection that never stood is no event of a session; the delivery hears of it. */
function noteRefusal(
  servers: Map<string, Server>,
  { event }: Extract<TranscriptLine, { what: 'delivery' }>,
  took: number,
): void {
  if (event.type !== 'host-failed' || event.failure.stage !== 'connect') return;
  const address = event.failure.peer?.address;
  const how = REFUSALS.get(event.failure.text);
  if (!address || how === undefined) return;
  const { script } = serverAt(servers, address);
  script.connect = how;
  script.connectAfter = `${took + (how === 'silence' ? 1 : 0)}ms`;
}

function noteStep(talk: Talk, { t, event, effects }: Step): void {
  noteEvent(talk, t, event);
  for (const effect of effects) noteWrite(talk, t, effect);
  if (effects.some(({ type }) => type === 'send-body')) talk.since = t;
}

function noteEvent(talk: Talk, t: number, event: SessionEvent): void {
  const after = `${Math.max(0, t - talk.since)}ms`;
  switch (event.type) {
    case 'reply':
      answer(talk, { say: wireForm(event.reply), after });
      talk.since = t;
      return;
    case 'protocol-error':
      answer(talk, { say: event.text, after });
      return;
    case 'timeout':
      // We hung up then; what the server would have said later is not known.
      answer(talk, { after: `${t - talk.since + 1}ms`, end: 'unknown' });
      return;
    case 'connection-lost':
      answer(talk, { after, end: ENDS.get(event.text) ?? 'unknown' });
      return;
    case 'tls-failed':
      talk.server.script.tlsBroken = true;
      return;
    case 'secured':
      talk.server.script.handshakeAfter = after;
      talk.since = t;
      return;
    case 'body-sent':
      talk.owed.push('dot');
      talk.since = t;
      return;
    case 'early-talker':
    case 'start-transaction':
    case 'quit':
    case 'payload-error':
      return;
  }
}

function wireForm({ code, text }: Reply): string {
  const lines = text.split('\n');
  return lines.map((line, at) => `${code}${at === lines.length - 1 ? ' ' : '-'}${line}`).join('\n');
}

function answer({ server, owed }: Talk, given: ScriptedReply): void {
  const asked = owed.shift();
  if (asked === undefined) return;
  if (typeof asked === 'string') listOf(server.answers, asked).push(given);
  else listOf(server.rcpt, asked.rcpt).push(given);
}

function listOf<K>(lists: Map<K, ScriptedReply[]>, key: K): ScriptedReply[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

const VERBS: { readonly [verb: string]: Key } = {
  EHLO: 'ehlo',
  HELO: 'helo',
  STARTTLS: 'starttls',
  MAIL: 'mail',
  DATA: 'data',
  RSET: 'rset',
  QUIT: 'quit',
};

function noteWrite(talk: Talk, t: number, effect: SessionEffect): void {
  const asked = effect.type === 'authenticate' ? (['auth'] as const) : askedBy(effect);
  if (asked.length === 0) return;
  // A server that is still answering does not begin to think about the next command.
  if (talk.owed.length === 0) talk.since = t;
  talk.owed.push(...asked);
}

function askedBy(effect: SessionEffect): readonly Asked[] {
  if (effect.type !== 'write') return [];
  return effect.bytes.split('\r\n').flatMap((line): readonly Asked[] => {
    const address = /^RCPT TO:<(.*?)>(?: |$)/.exec(line)?.[1];
    if (address !== undefined) return [{ rcpt: address }];
    const key = VERBS[/^[A-Z]+/.exec(line)?.[0] ?? ''];
    return key === undefined ? [] : [key];
  });
}
