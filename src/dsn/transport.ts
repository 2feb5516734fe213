/**
 * The ways back: how a report reaches its reader, by LMTP or SMTP with the session machine, or through the room itself.
 * Called by the reporter, one report after the other. Never tries twice; says what became of it, and the reporter decides.
 */
import { lookupAddresses } from '../delivery/lookups.ts';
import type { DeliveryRules } from '../delivery/rules.ts';
import { hasEightBit } from '../message/charset.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import { summarizeMessage } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Resolver } from '../platform/dns.ts';
import type { DsnStore } from '../queue/dsn-store.ts';
import type { Queue } from '../queue/queue.ts';
import type { ClientDeps, ClientListener } from '../smtp/client.ts';
import { SmtpClient } from '../smtp/client.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Failure, Outcome, Peer } from '../smtp/outcome.ts';
import { describePeer, statusText } from '../smtp/status-text.ts';
import type { Transaction } from '../smtp/transaction.ts';
import type { DsnRecipient } from './recipient.ts';

export type DsnTransportSetting =
  | { readonly kind: 'lmtp'; readonly socket: string }
  /** `host` is a name or an IP literal without brackets */
  | { readonly kind: 'smtp'; readonly host: string; readonly literal: 4 | 6 | null; readonly port: number }
  | { readonly kind: 'room' };

/** What became of a report. `where` and `why` are for people. */
export type HandoverResult =
  | { readonly kind: 'safe'; readonly where: string }
  /** safe in a file, which somebody has to bring to its reader */
  | { readonly kind: 'left'; readonly where: string }
  /** this addressee will never get it this way */
  | { readonly kind: 'refused'; readonly why: string }
  /** the server takes no 8-bit mail */
  | { readonly kind: 'eight-bit'; readonly why: string }
  /** nobody can get it this way now */
  | { readonly kind: 'down'; readonly why: string };

export interface DsnTransport {
  /** as the setting `return` has it */
  readonly name: string;
  /** whether it may be offered 8-bit mail */
  readonly eightBit: boolean;
  /** `name` is a unique word of letters, digits and `-` */
  send(report: Buffer, to: DsnRecipient, name: string): Promise<HandoverResult>;
}

/** The setting `return`: `lmtp:/path`, `smtp://host[:port]` or `room`; null when it is none of them. */
export function parseDsnTransport(text: string): DsnTransportSetting | null {
  if (text === 'room') return { kind: 'room' };
  const [, socket] = /^lmtp:(?:\/\/)?(\/[^\0]+)$/.exec(text) ?? [];
  if (socket !== undefined) return { kind: 'lmtp', socket };
  const [, six, name = '', digits = '25'] =
    /^smtp:\/\/(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/i.exec(text) ?? [];
  const port = Number(digits);
  if ((six ?? name) === '' || port < 1 || port > 65_535) return null;
  if (six !== undefined) return { kind: 'smtp', host: six, literal: 6, port };
  return { kind: 'smtp', host: name, literal: /^[\d.]+$/.test(name) ? 4 : null, port };
}

function shown(path: DsnTransportSetting): string {
  switch (path.kind) {
    case 'room':
      return 'room';
    case 'lmtp':
      return `lmtp:${path.socket}`;
    case 'smtp':
      return `smtp://${path.literal === 6 ? `[${path.host}]` : path.host}:${path.port}`;
  }
}

/** A job of its own for a reader elsewhere, a file to be picked up for one here. */
export function roomTransport(
  room: Pick<Queue, 'enqueue'>,
  reports: Pick<DsnStore, 'saveForPickup'>,
  now: () => number,
): DsnTransport {
  return {
    name: 'room',
    // Nobody knows yet which server will be asked to take it.
    eightBit: false,
    async send(report, to, name) {
      if (to.local) return { kind: 'left', where: await reports.saveForPickup(report, name) };
      const job = { bounceto: '', envelopeFrom: '<>', sourceRoom: null, recipients: [to.address] };
      const { control } = await room.enqueue(report, { ...job, submitted: now() });
      return { kind: 'safe', where: `job ${control}` };
    },
  };
}

export interface SessionTransportPorts extends ClientDeps {
  readonly resolver: Resolver;
}

/** A session of its own for each report: there are few, and the server is near. */
export function sessionTransport(
  path: Exclude<DsnTransportSetting, { kind: 'room' }>,
  ports: SessionTransportPorts,
  deadlines: DeliveryRules['deadlines'],
  ehloName: string,
): DsnTransport {
  const policy: SessionPolicy = {
    ehloName,
    tls: path.kind === 'lmtp' ? 'none' : 'opportunistic',
    credentials: false,
    authInClear: false,
    recipients: 1,
    ...(path.kind === 'lmtp' ? { lmtp: true } : {}),
  };
  const attempt = (
    transaction: Transaction,
    message: OutgoingMessage,
    peer: Peer,
    tls: SessionPolicy['tls'],
  ) =>
    converse(transaction, message, ports, {
      number: 0,
      endpoint: { address: peer.address ?? peer.host, port: peer.port },
      peer,
      policy: { ...policy, tls },
      credentials: null,
      tls: { serverName: peer.host, verify: false },
      deadlines,
    });

  return {
    name: shown(path),
    eightBit: true,
    async send(report, to) {
      const peers = await peersOf(path, ports.resolver);
      if ('scope' in peers) return { kind: 'down', why: peers.text };
      const message = outgoing(report);
      const transaction = transactionFor(message, to.address);
      let handover: HandoverResult = { kind: 'down', why: `${shown(path)} has no address` };
      for (const peer of peers) {
        let end = await attempt(transaction, message, peer, policy.tls);
        if (end.kind === 'tls-unusable') end = await attempt(transaction, message, peer, 'none');
        handover = handoverOf(end);
        if (handover.kind !== 'down') break;
      }
      return handover;
    },
  };
}

type End = Outcome | { readonly kind: 'tls-unusable'; readonly failure: Failure };

/** One transaction with one recipient, from the connect to the answer. */
function converse(
  transaction: Transaction,
  message: OutgoingMessage,
  ports: ClientDeps,
  plan: ConstructorParameters<typeof SmtpClient>[0],
): Promise<End> {
  return new Promise((resolve) => {
    let verdict: Outcome | null = null;
    let offered = false;
    const nothing = (): void => {};
    const listenerFor = (driver: SmtpClient): ClientListener => ({
      connected: nothing,
      ready: () => {
        if (offered) driver.quit();
        else driver.startTransaction(transaction);
        offered = true;
      },
      body: () => message,
      nextTransaction: () => null,
      outcome: (_transaction, _recipients, value) => {
        verdict = value;
      },
      transactionDone: () => {
        if (verdict === null) throw new Error('a transaction ended without a verdict');
        resolve(verdict);
      },
      requeue: () => {
        throw new Error('a fresh session hands nothing back');
      },
      hostFailed: (failure) => resolve({ kind: 'failed', ...failure }),
      tlsUnusable: (failure) => resolve({ kind: 'tls-unusable', failure }),
      ended: nothing,
      closed: nothing,
      trace: nothing,
    });
    new SmtpClient(plan, ports, listenerFor);
  });
}

function handoverOf(end: End): HandoverResult {
  if (end.kind === 'tls-unusable') return { kind: 'down', why: end.failure.text };
  if (end.kind === 'delivered') return { kind: 'safe', where: describePeer(end.peer) };
  const why = statusText(end, '2012');
  if (end.code === null && end.enhanced === EIGHT_BIT_OBSTACLE) return { kind: 'eight-bit', why };
  return { kind: end.permanent ? 'refused' : 'down', why };
}

/** RFC 3463: conversion required but not supported. */
const EIGHT_BIT_OBSTACLE = '5.6.3';

async function peersOf(
  path: Exclude<DsnTransportSetting, { kind: 'room' }>,
  resolver: Resolver,
): Promise<readonly Peer[] | Failure> {
  if (path.kind === 'lmtp') return [{ host: path.socket, address: null, port: 25 }];
  const { host: name, literal, port } = path;
  const origin = 'smarthost';
  const event = await lookupAddresses(
    { name, literal, port, origin, preference: null, credentials: null, implicitTls: false },
    resolver,
  );
  if (event.type === 'no-addresses') return event.failure;
  if (event.type !== 'addresses') throw new Error(`a lookup of addresses ended in ${event.type}`);
  return event.addresses.map((address) => ({ host: name, address, port }));
}

function outgoing(bytes: Buffer): OutgoingMessage {
  const text = bytes.toString('latin1');
  const header = text.slice(0, text.indexOf('\r\n\r\n') + 2);
  return {
    kind: 'outgoing',
    size: bytes.length,
    eightBit: hasEightBit(text),
    sender: null,
    headers: summarizeMessage(header),
    bytes,
    problems: [],
    async *chunks() {
      yield bytes;
    },
  };
}

/** From the null sender (RFC 3464 section 2), so that nobody reports on a report. */
function transactionFor({ size, eightBit }: OutgoingMessage, to: ByteString): Transaction {
  return {
    id: 1,
    sender: '',
    recipients: [{ id: 0, address: to }],
    size,
    eightBit,
    smtpUtf8: hasEightBit(to),
    dsn: { notify: 'NEVER' },
  };
}
