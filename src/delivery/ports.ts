/**
 * What a slot may ask of the dispatcher: the rules, the ports, the shared limits and memories of the run. Kept
 * apart from the dispatcher so that slots know an interface and not their employer.
 */
import type { Connect, Endpoint, TlsOptions } from '#net-stream-utils';
import type { Clock, Random } from '../platform/clock.ts';
import { Deque } from '../platform/deque.ts';
import type { Resolver } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import type { SessionOptions, SmtpClient } from '../smtp/client.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Deadline } from '../smtp/machine/states.ts';
import type { Failure, Outcome } from '../smtp/outcome.ts';
import type { RunningAttempt } from './attempt.ts';
import type { Trace } from './trace.ts';

export interface DeliveryRules {
  readonly routing: RoutingRules;
  readonly limits: {
    readonly sessions: number;
    readonly destination: number;
    readonly host: number;
    /** messages in one session */
    readonly messages: number;
    /** session starts a second, 0 = as many as come */
    readonly rate: number;
  };
  /** milliseconds */
  readonly deadlines: { readonly [name in Deadline | 'connect' | 'delivery' | 'stop']: number };
  /** source addresses, at most one of each family */
  readonly localAddresses: readonly string[];
  policyFor(host: Host, withoutTls: boolean): SessionPolicy;
  tlsFor(host: Host): TlsOptions;
}

/** This address of the host, reached from where the rules say. */
export function endpointOf({ localAddresses }: DeliveryRules, { port }: Host, address: string): Endpoint {
  const localAddress = localAddresses.find((each) => each.includes(':') === address.includes(':'));
  return { address, port, ...(localAddress === undefined ? {} : { localAddress }) };
}

/** A session with this address of the host, as the rules have it. */
export function sessionOptions(
  rules: DeliveryRules,
  host: Host,
  address: string,
  { number, withoutTls }: { readonly number: number; readonly withoutTls: boolean },
): SessionOptions {
  return {
    number,
    endpoint: endpointOf(rules, host, address),
    peer: { host: host.name, address, port: host.port },
    policy: rules.policyFor(host, withoutTls),
    credentials: host.credentials,
    tls: rules.tlsFor(host),
    deadlines: rules.deadlines,
  };
}

export interface DeliveryDeps {
  readonly connect: Connect;
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly random: Random;
  /** every step of every delivery and session, for transcripts and for the curious */
  readonly step: Trace;
}

/** Errands of one destination. */
export class DestinationQueue {
  readonly queue = new Deque<RunningAttempt>();
  slots = 0;
  /** how many slots it may have by now */
  allowed = 1;
  inLine = false;
}

export interface SchedulerPort extends DeliveryDeps {
  readonly rules: DeliveryRules;
  nextTransaction(): number;
  recordOutcome(
    errand: RunningAttempt,
    recipients: readonly number[],
    verdict: Outcome,
    tls: string | null,
  ): void;
  /** the errand is over */
  finished(errand: RunningAttempt): void;
  /** the slot has nothing to carry any more */
  released(slot: { readonly lane: DestinationQueue }): void;
  /** whether a slot that has carried so many errands may take another one of its lane */
  mayContinue(lane: DestinationQueue, carried: number): boolean;
  /** whether a slot may take its next errand ahead of time: not while another slot could begin it now */
  mayPrefetch(lane: DestinationQueue): boolean;
  /** a message was taken: the lane may grow */
  raiseConcurrency(lane: DestinationQueue): void;
  /** the failure of this endpoint not long ago, if there was one of the host, not of a mail */
  failure(endpoint: string): Failure | undefined;
  noteFailure(endpoint: string, failure: Failure): void;
  /** whether STARTTLS broke there not long ago */
  tlsIsBroken(host: Host, address: string): boolean;
  noteBrokenTls(host: Host, address: string): void;
  acquireIdle(endpoint: string): SmtpClient | undefined;
  /** keep a session for whoever wants this endpoint next */
  release(endpoint: string, session: SmtpClient): void;
  /** it may not have, or does not take, another session beside those it has */
  hostIsFull(endpoint: string): boolean;
  /** the errand waits, without holding a slot, until the endpoint has a session to spare */
  enqueueWaiter(endpoint: string, lane: DestinationQueue, errand: RunningAttempt): void;
  /** an errand that waited for this endpoint goes on, there or elsewhere */
  wakeNext(endpoint: string): void;
  /** the number of the session */
  sessionOpened(endpoint: string): number;
  /** it carries nothing any more, but may still be taking leave */
  sessionOver(endpoint: string, session: SmtpClient): void;
  /** its connection is closed */
  sessionGone(session: SmtpClient): void;
  /** milliseconds until the next session may start */
  startDelay(): number;
}
