/**
 * What a slot may ask of the dispatcher: the rules, the ports, the shared limits and memories of the run. Kept
 * apart from the dispatcher so that slots know an interface and not their employer.
 */
import type { Connect, Endpoint, TlsOptions } from '#net-stream-utils';
import type { Clock, Random } from '../platform/clock.ts';
import { WaitingLine } from '../platform/deque.ts';
import type { Resolver } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import type { SessionDriver, SessionPlan } from '../smtp/client.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Deadline } from '../smtp/machine/states.ts';
import type { Failure, Verdict } from '../smtp/outcome.ts';
import type { Errand } from './attempt.ts';
import type { Observe } from './trace.ts';

export interface DispatchRules {
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
export function endpointOf({ localAddresses }: DispatchRules, { port }: Host, address: string): Endpoint {
  const localAddress = localAddresses.find((each) => each.includes(':') === address.includes(':'));
  return { address, port, ...(localAddress === undefined ? {} : { localAddress }) };
}

/** A session with this address of the host, as the rules have it. */
export function sessionPlan(
  rules: DispatchRules,
  host: Host,
  address: string,
  { number, withoutTls }: { readonly number: number; readonly withoutTls: boolean },
): SessionPlan {
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

export interface DispatchPorts {
  readonly connect: Connect;
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly random: Random;
  /** every step of every delivery and session, for transcripts and for the curious */
  readonly step: Observe;
}

/** Errands of one destination. */
export class Lane {
  readonly queue = new WaitingLine<Errand>();
  slots = 0;
  /** how many slots it may have by now */
  allowed = 1;
  inLine = false;
}

export interface Counter extends DispatchPorts {
  readonly rules: DispatchRules;
  nextTransaction(): number;
  judge(errand: Errand, recipients: readonly number[], verdict: Verdict, tls: string | null): void;
  /** the errand is over */
  finished(errand: Errand): void;
  /** the slot has nothing to carry any more */
  released(slot: { readonly lane: Lane }): void;
  /** whether a slot that has carried so many errands may take another one of its lane */
  mayGoOn(lane: Lane, carried: number): boolean;
  /** whether a slot may take its next errand ahead of time: not while another slot could begin it now */
  mayPrepare(lane: Lane): boolean;
  /** a message was taken: the lane may grow */
  prospered(lane: Lane): void;
  /** the failure of this endpoint not long ago, if there was one of the host, not of a mail */
  failure(endpoint: string): Failure | undefined;
  noteFailure(endpoint: string, failure: Failure): void;
  /** whether STARTTLS broke there not long ago */
  tlsIsBroken(host: Host, address: string): boolean;
  noteBrokenTls(host: Host, address: string): void;
  takeIdle(endpoint: string): SessionDriver | undefined;
  /** keep a session for whoever wants this endpoint next */
  keepIdle(endpoint: string, session: SessionDriver): void;
  /** it may not have, or does not take, another session beside those it has */
  hostIsFull(endpoint: string): boolean;
  /** the errand waits, without holding a slot, until the endpoint has a session to spare */
  park(endpoint: string, lane: Lane, errand: Errand): void;
  /** an errand that waited for this endpoint goes on, there or elsewhere */
  tookTurn(endpoint: string): void;
  /** the number of the session */
  sessionOpened(endpoint: string): number;
  /** it carries nothing any more, but may still be taking leave */
  sessionOver(endpoint: string, session: SessionDriver): void;
  /** its connection is closed */
  sessionGone(session: SessionDriver): void;
  /** milliseconds until the next session may start */
  startDelay(): number;
}
