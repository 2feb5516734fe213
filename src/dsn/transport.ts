/**
 * How a report reaches its reader: by LMTP or by SMTP to a server that takes reports. A transport makes one attempt and
 * returns the result; retries are the caller's. No report goes through our own queue: it could come back to it.
 */
import { lookupAddresses } from '../delivery/lookups.ts';
import type { DeliveryRules } from '../delivery/rules.ts';
import { hasEightBit } from '../message/charset.ts';
import type { OutgoingMessage } from '../message/outgoing.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Resolver } from '../platform/dns.ts';
import { NO_DESTINATION_RULES } from '../routing/destination-rules.ts';
import type { Refusable } from '../smtp/capabilities.ts';
import { SmtpClient } from '../smtp/client/client.ts';
import type { ClientDeps, ClientListener, SessionOptions } from '../smtp/client/listener.ts';
import type { RecipientDsn } from '../smtp/dsn-request.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Failure, Outcome, Peer } from '../smtp/outcome.ts';
import { describePeer, statusText } from '../smtp/status-text.ts';
import type { Transaction } from '../smtp/transaction.ts';
import { describeTransport, type ServerSetting } from './return-path.ts';

/** The result of one attempt. `where` and `why` are for people. */
export type HandoverResult =
  | { readonly kind: 'safe'; readonly where: string }
  /** refused for good: this recipient, or the report in this form */
  | { readonly kind: 'refused'; readonly what: 'recipient' | 'report'; readonly why: string }
  /** the server does not take this report at the moment */
  | { readonly kind: 'deferred'; readonly why: string }
  /** the server takes no report at the moment */
  | { readonly kind: 'unavailable'; readonly why: string };

export interface DsnTransport {
  /** as in the setting `return` */
  readonly name: string;
  /**
   * `to` is an envelope address without brackets; `requireTls`: the message it is about demands TLS (RFC 8689), and so does the
   * report where the server takes that
   */
  send(report: OutgoingMessage, to: ByteString, requireTls?: boolean): Promise<HandoverResult>;
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
  const attempt = (
    transaction: Transaction,
    message: OutgoingMessage,
    peer: Peer,
    change: Partial<SessionPolicy> = {},
  ) => {
    const session = handoverSession(setting.kind, peer, deadlines, ehloName);
    return runSession(transaction, message, deps, {
      ...session,
      policy: { ...session.policy, ...change },
    });
  };

  /** With one server: again without what it cannot do after all, and in 7 bits where it demands that. */
  const handOver = async (
    report: OutgoingMessage,
    to: ByteString,
    requireTls: boolean,
    peer: Peer,
  ): Promise<HandoverResult> => {
    const transaction = transactionFor(report, to, requireTls);
    let change: Partial<SessionPolicy> = {};
    let result = await attempt(transaction, report, peer, change);
    // Ends: what is left out is not used, so that it cannot fail again.
    while (result.kind === 'unusable') {
      change = { ...change, ...withoutIt(result, change) };
      result = await attempt(transaction, report, peer, change);
    }
    const sevenBit = needsSevenBits(result) ? await report.sevenBit() : null;
    return sevenBit === null || sevenBit === report
      ? handoverOf(result)
      : handOver(sevenBit, to, requireTls, peer);
  };

  return {
    name: describeTransport(setting),
    async send(report, to, requireTls = false) {
      const peers = await peersOf(setting, deps.resolver);
      if ('scope' in peers) return { kind: 'unavailable', why: peers.text };
      let handover: HandoverResult = {
        kind: 'unavailable',
        why: `${describeTransport(setting)} has no address`,
      };
      for (const peer of peers) {
        handover = await handOver(report, to, requireTls, peer);
        if (handover.kind !== 'unavailable') break;
      }
      return handover;
    },
  };
}

/** A session in which reports are handed over: TLS where it is offered, any certificate, no password. */
export function handoverSession(
  protocol: ServerSetting['kind'],
  peer: Peer,
  deadlines: DeliveryRules['deadlines'],
  ehloName: string,
): SessionOptions {
  return {
    number: 0,
    endpoint: { address: peer.address ?? peer.host, port: peer.port },
    peer,
    policy: {
      ehloName,
      tls: protocol === 'lmtp' ? 'none' : 'opportunistic',
      credentials: false,
      authInClear: false,
      recipients: 1,
      ...(protocol === 'lmtp' ? { lmtp: true } : {}),
    },
    credentials: null,
    tls: { serverName: peer.host, verify: false },
    deadlines,
  };
}

/** The server offers the extension and cannot do it. */
interface Unusable {
  readonly kind: 'unusable';
  readonly extension: Refusable;
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
  plan: SessionOptions,
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
      // Another form of the report is the caller's work.
      convertMessage: () => client.startTransaction(transaction),
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
      hostFailed: (failure) => {
        resolve({ kind: 'failed', ...failure });
        client.quit();
      },
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
  if (result.permanent)
    return { kind: 'refused', what: result.scope === 'recipient' ? 'recipient' : 'report', why };
  return { kind: result.scope === 'host' || result.code === null ? 'unavailable' : 'deferred', why };
}

/** RFC 3463: conversion required but not supported. */
const CONVERSION_REQUIRED = '.6.3';

/** Found by us before MAIL, not said by the server. */
function needsSevenBits(result: Outcome): boolean {
  return result.kind === 'failed' && result.code === null && result.enhanced.endsWith(CONVERSION_REQUIRED);
}

async function peersOf(setting: ServerSetting, resolver: Resolver): Promise<readonly Peer[] | Failure> {
  if (setting.kind === 'lmtp') return [{ host: setting.socket, address: null, port: 25 }];
  const { host: name, literal, port } = setting;
  const origin = 'smarthost';
  const event = await lookupAddresses(
    { name, literal, port, origin, preference: null, credentials: null, implicitTls: false },
    resolver,
    { destinations: NO_DESTINATION_RULES },
  );
  if (event.type === 'no-addresses') return event.failure;
  if (event.type !== 'addresses') throw new Error(`a lookup of addresses ended in ${event.type}`);
  return event.addresses.map((address) => ({ host: name, address, port }));
}

const NO_REPORT: RecipientDsn = { notify: 'NEVER', orcpt: null };

/** From the null sender (RFC 3464 section 2), so that a report never causes another one. */
function transactionFor(
  { size, eightBit }: OutgoingMessage,
  to: ByteString,
  requireTls: boolean,
): Transaction {
  return {
    id: 1,
    sender: '',
    recipients: [{ id: 0, address: to, dsn: NO_REPORT }],
    size,
    eightBit,
    smtpUtf8: hasEightBit(to),
    dsn: null,
    ...(requireTls ? { requireTls: 'offered' } : {}),
  };
}
