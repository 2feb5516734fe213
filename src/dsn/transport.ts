/**
 * How a report reaches its reader: by LMTP, by SMTP, or through the queue itself. A transport makes one attempt and returns
 * the result; retries are the caller's.
 */
import { lookupAddresses } from '../delivery/lookups.ts';
import type { DeliveryRules } from '../delivery/rules.ts';
import { hasEightBit } from '../message/charset.ts';
import { type OutgoingMessage, outgoingFrom } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Resolver } from '../platform/dns.ts';
import type { DsnStore } from '../queue/dsn-store.ts';
import type { Queue } from '../queue/queue.ts';
import type { Extension } from '../smtp/capabilities.ts';
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

/** The result of one attempt. `where` and `why` are for people. */
export type HandoverResult =
  | { readonly kind: 'safe'; readonly where: string }
  /** saved as a file that still has to be picked up */
  | { readonly kind: 'left'; readonly where: string }
  /** this recipient was refused for good */
  | { readonly kind: 'refused'; readonly why: string }
  /** the server does not offer 8BITMIME, which the report needs */
  | { readonly kind: 'no-8bitmime'; readonly why: string }
  /** the server takes no report at the moment */
  | { readonly kind: 'unavailable'; readonly why: string };

/** A server that takes reports. */
type ServerSetting = Exclude<DsnTransportSetting, { kind: 'room' }>;

export interface DsnTransport {
  /** as in the setting `return` */
  readonly name: string;
  /** whether a report with 8-bit bytes may be tried */
  readonly eightBit: boolean;
  /** `name` is unique; letters, digits and `-` */
  send(report: Buffer, to: DsnRecipient, name: string): Promise<HandoverResult>;
}

/** Parses the setting `return`: `lmtp:/path`, `smtp://host[:port]` or `room`; null for anything else. */
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

function format(setting: DsnTransportSetting): string {
  switch (setting.kind) {
    case 'room':
      return 'room';
    case 'lmtp':
      return `lmtp:${setting.socket}`;
    case 'smtp':
      return `smtp://${setting.literal === 6 ? `[${setting.host}]` : setting.host}:${setting.port}`;
  }
}

/** A new job for a recipient elsewhere, a file to be picked up for one at this site. */
export function queueTransport(
  queue: Pick<Queue, 'enqueue'>,
  store: Pick<DsnStore, 'saveForPickup'>,
  now: () => number,
): DsnTransport {
  return {
    name: 'room',
    // Which server the job goes to, and whether it offers 8BITMIME, is not known yet.
    eightBit: false,
    async send(report, to, name) {
      if (to.local) return { kind: 'left', where: await store.saveForPickup(report, name) };
      const job = { bounceto: '', envelopeFrom: '<>', sourceRoom: null, recipients: [to.address] };
      const { control } = await queue.enqueue(report, { ...job, submitted: now() });
      return { kind: 'safe', where: `job ${control}` };
    },
  };
}

export interface SessionTransportDeps extends ClientDeps {
  readonly resolver: Resolver;
}

/** One session for each report: reports are few, and the server is near. */
export function sessionTransport(
  setting: ServerSetting,
  deps: SessionTransportDeps,
  deadlines: DeliveryRules['deadlines'],
  ehloName: string,
): DsnTransport {
  const policy: SessionPolicy = {
    ehloName,
    tls: setting.kind === 'lmtp' ? 'none' : 'opportunistic',
    credentials: false,
    authInClear: false,
    recipients: 1,
    ...(setting.kind === 'lmtp' ? { lmtp: true } : {}),
  };
  const attempt = (
    transaction: Transaction,
    message: OutgoingMessage,
    peer: Peer,
    change: Partial<SessionPolicy> = {},
  ) =>
    runSession(transaction, message, deps, {
      number: 0,
      endpoint: { address: peer.address ?? peer.host, port: peer.port },
      peer,
      policy: { ...policy, ...change },
      credentials: null,
      tls: { serverName: peer.host, verify: false },
      deadlines,
    });

  return {
    name: format(setting),
    eightBit: true,
    async send(report, to) {
      const peers = await peersOf(setting, deps.resolver);
      if ('scope' in peers) return { kind: 'unavailable', why: peers.text };
      const message = outgoingFrom(report);
      const transaction = transactionFor(message, to.address);
      let handover: HandoverResult = { kind: 'unavailable', why: `${format(setting)} has no address` };
      for (const peer of peers) {
        let change: Partial<SessionPolicy> = {};
        let result = await attempt(transaction, message, peer, change);
        // Ends: what is left out is not used, so that it cannot fail again.
        while (result.kind === 'unusable') {
          change = { ...change, ...withoutIt(result, change) };
          result = await attempt(transaction, message, peer, change);
        }
        handover = handoverOf(result);
        if (handover.kind !== 'unavailable') break;
      }
      return handover;
    },
  };
}

/** The server offers the extension and cannot do it. */
interface Unusable {
  readonly kind: 'unusable';
  readonly extension: Extension;
}

type SessionResult = Outcome | Unusable;

function withoutIt(
  { extension }: Unusable,
  { without = [] }: Partial<SessionPolicy>,
): Partial<SessionPolicy> {
  return extension === 'STARTTLS' ? { tls: 'none' } : { without: [...without, extension] };
}

/** One transaction with one recipient, from the connect to the final reply. */
function runSession(
  transaction: Transaction,
  message: OutgoingMessage,
  deps: ClientDeps,
  plan: ConstructorParameters<typeof SmtpClient>[0],
): Promise<SessionResult> {
  return new Promise((resolve) => {
    let outcome: Outcome | null = null;
    let started = false;
    const ignore = (): void => {};
    const listenerFor = (client: SmtpClient): ClientListener => ({
      connected: ignore,
      ready: () => {
        if (started) client.quit();
        else client.startTransaction(transaction);
        started = true;
      },
      body: () => message,
      nextTransaction: () => null,
      outcome: (_transaction, _recipients, value) => {
        outcome = value;
      },
      transactionDone: () => {
        if (outcome === null) throw new Error('a transaction ended without an outcome');
        resolve(outcome);
      },
      requeue: () => {
        throw new Error('a session with one transaction requeued it');
      },
      hostFailed: (failure) => resolve({ kind: 'failed', ...failure }),
      tlsUnusable: () => resolve({ kind: 'unusable', extension: 'STARTTLS' }),
      extensionRefused: (extension) => resolve({ kind: 'unusable', extension }),
      ended: ignore,
      closed: ignore,
      trace: ignore,
    });
    new SmtpClient(plan, deps, listenerFor);
  });
}

function handoverOf(result: Outcome): HandoverResult {
  if (result.kind === 'delivered') return { kind: 'safe', where: describePeer(result.peer) };
  const why = statusText(result, '2012');
  if (result.code === null && result.enhanced === CONVERSION_REQUIRED) return { kind: 'no-8bitmime', why };
  return { kind: result.permanent ? 'refused' : 'unavailable', why };
}

/** RFC 3463: conversion required but not supported. */
const CONVERSION_REQUIRED = '5.6.3';

async function peersOf(setting: ServerSetting, resolver: Resolver): Promise<readonly Peer[] | Failure> {
  if (setting.kind === 'lmtp') return [{ host: setting.socket, address: null, port: 25 }];
  const { host: name, literal, port } = setting;
  const origin = 'smarthost';
  const event = await lookupAddresses(
    { name, literal, port, origin, preference: null, credentials: null, implicitTls: false },
    resolver,
  );
  if (event.type === 'no-addresses') return event.failure;
  if (event.type !== 'addresses') throw new Error(`a lookup of addresses ended in ${event.type}`);
  return event.addresses.map((address) => ({ host: name, address, port }));
}

/** From the null sender (RFC 3464 section 2), so that a report never causes another one. */
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
