/**
 * A world made from a transcript: the lookups and servers of the recording, with the time each answer took. It contains what
 * was recorded and nothing else; a replay in it stops where the recording has no answer.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { SessionEffect, SessionEvent } from '../../smtp/machine/session.ts';
import { describeClose, NETWORK_ERRORS } from '../../smtp/network-errors.ts';
import type { Reply } from '../../smtp/reply.ts';
import { tlsaText } from '../../tls-policy/tlsa.ts';
import type { Transcript, TranscriptLine } from '../transcript/transcript.ts';
import type { ScriptedReply, ServerFault, ServerScript } from './server.ts';
import type { WorldScript, Zone } from './world.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Step = Extract<TranscriptLine, { what: 'session' }>;

/** The names of replies in a server script; those to RCPT have an address besides. */
type ReplyName =
  | 'greeting'
  | 'ehlo'
  | 'helo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'data'
  | 'dot'
  | 'rset'
  | 'quit';
type Command = ReplyName | { readonly rcpt: ByteString };

interface Server {
  readonly script: Mutable<ServerScript>;
  readonly replies: Map<ReplyName, ScriptedReply[]>;
  readonly rcpt: Map<ByteString, ScriptedReply[]>;
}

/** An open session: the commands without a reply so far, and since when the server could reply (milliseconds). */
interface OpenSession {
  readonly server: Server;
  readonly pending: Command[];
  since: number;
}

export function recordedWorld({ lines }: Transcript): WorldScript {
  const names = new Map<string, Mutable<Zone>>();
  const servers = new Map<string, Server>();
  const sessions = new Map<number, OpenSession>();
  let previous = 0;
  for (const line of lines) {
    switch (line.what) {
      case 'lookup':
        noteLookup(names, line, previous);
        break;
      case 'delivery':
        noteRefusal(servers, line, line.t - previous);
        previous = line.t;
        break;
      case 'connected': {
        const server = serverAt(servers, line.address);
        server.script.connectAfter = `${Math.max(0, line.t - previous)}ms`;
        sessions.set(line.session, { server, pending: ['greeting'], since: line.t });
        break;
      }
      case 'session': {
        const session = sessions.get(line.session);
        if (session !== undefined) noteStep(session, line);
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
  const server = servers.get(address) ?? { script: {}, replies: new Map(), rcpt: new Map() };
  servers.set(address, server);
  return server;
}

function scriptOf({ script, replies, rcpt }: Server): ServerScript {
  return { ...script, ...Object.fromEntries(replies), rcpt: Object.fromEntries(rcpt) };
}

function noteLookup(
  names: Map<string, Mutable<Zone>>,
  { question, name, answer, t }: Extract<TranscriptLine, { what: 'lookup' }>,
  previous: number,
): void {
  const zone = names.get(name) ?? {};
  names.set(name, zone);
  zone.after = `${Math.max(0, t - previous)}ms`;
  if (answer.secure === true)
    zone.secure = [...(typeof zone.secure === 'object' ? zone.secure : []), question];
  if (answer.canonical !== undefined) zone.canonical = answer.canonical;
  if (answer.kind === 'failed') {
    zone[question] = answer.fault;
    return;
  }
  const records = answer.records.filter((record) => typeof record === 'object');
  switch (question) {
    case 'a':
    case 'aaaa':
      zone[question] = answer.records.filter((record) => typeof record === 'string');
      return;
    case 'mx':
      zone.mx = records.flatMap((record) =>
        'exchange' in record ? [[record.preference, record.exchange] as const] : [],
      );
      return;
    case 'tlsa':
      zone.tlsa = records.flatMap((record) => ('usage' in record ? tlsaText(record) : []));
      return;
    case 'sts':
      for (const record of records) if ('mode' in record) zone.sts = { mode: record.mode, mx: record.mx };
      return;
  }
}

const REFUSALS: ReadonlyMap<string | undefined, NonNullable<ServerScript['connect']>> = new Map([
  [NETWORK_ERRORS.ECONNREFUSED, 'refused'],
  [NETWORK_ERRORS.EHOSTUNREACH, 'unreachable'],
  [NETWORK_ERRORS.ETIMEDOUT, 'silence'],
]);

/** How a server ends a connection. We caused any other end. */
const ENDS: ReadonlyMap<string, ServerFault> = new Map([
  [describeClose({ kind: 'ended' }), 'close'],
  [NETWORK_ERRORS.ECONNRESET ?? '', 'reset'],
]);

/** A connection that could not be opened is an event of the delivery, not of a session. */
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

function noteStep(session: OpenSession, { t, event, effects }: Step): void {
  noteEvent(session, t, event);
  for (const effect of effects) noteWrite(session, t, effect);
  if (effects.some(({ type }) => type === 'send-body')) session.since = t;
}

/** What describeClose puts before the reason. */
const TLS_FAILED = describeClose({ kind: 'tls', message: '' });

function noteEvent(session: OpenSession, t: number, event: SessionEvent): void {
  const after = `${Math.max(0, t - session.since)}ms`;
  switch (event.type) {
    case 'reply':
      addReply(session, { say: wireForm(event.reply), after });
      session.since = t;
      return;
    case 'protocol-error':
      addReply(session, { say: event.text, after });
      return;
    case 'timeout':
      // We closed the connection then; what the server would have sent later is not recorded.
      addReply(session, { after: `${t - session.since + 1}ms`, end: 'unrecorded' });
      return;
    case 'connection-lost':
      addReply(session, { after, end: ENDS.get(event.text) ?? 'unrecorded' });
      return;
    case 'tls-failed':
      if (event.code === undefined) session.server.script.tlsBroken = true;
      else
        session.server.script.certificate = {
          code: event.code,
          message: event.text.replace(TLS_FAILED, ''),
        };
      return;
    case 'secured':
      if (event.tls?.proof === null)
        session.server.script.certificate = { code: event.tls.problem ?? '', message: '' };
      session.server.script.handshakeAfter = after;
      session.since = t;
      return;
    case 'body-sent':
      session.pending.push('dot');
      session.since = t;
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

function addReply({ server, pending }: OpenSession, reply: ScriptedReply): void {
  const command = pending.shift();
  if (command === undefined) return;
  if (typeof command === 'string') listOf(server.replies, command).push(reply);
  else listOf(server.rcpt, command.rcpt).push(reply);
}

function listOf<K>(lists: Map<K, ScriptedReply[]>, key: K): ScriptedReply[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

const VERBS: { readonly [verb: string]: ReplyName } = {
  EHLO: 'ehlo',
  HELO: 'helo',
  STARTTLS: 'starttls',
  MAIL: 'mail',
  DATA: 'data',
  RSET: 'rset',
  QUIT: 'quit',
};

function noteWrite(session: OpenSession, t: number, effect: SessionEffect): void {
  const commands = effect.type === 'authenticate' ? (['auth'] as const) : commandsIn(effect);
  if (commands.length === 0) return;
  // A server that is still replying has not begun with the next command.
  if (session.pending.length === 0) session.since = t;
  session.pending.push(...commands);
}

function commandsIn(effect: SessionEffect): readonly Command[] {
  if (effect.type !== 'write') return [];
  return effect.bytes.split('\r\n').flatMap((line): readonly Command[] => {
    const address = /^RCPT TO:<(.*?)>(?: |$)/.exec(line)?.[1];
    if (address !== undefined) return [{ rcpt: address }];
    const name = VERBS[/^[A-Z]+/.exec(line)?.[0] ?? ''];
    return name === undefined ? [] : [name];
  });
}
