/**
 * What deliveries work by: limits, deadlines, policies, and the outside world they reach through arguments. Made once for a
 * run; nothing in here changes while it lasts.
 */
import type { Connect, Endpoint, TlsOptions } from '#net-stream-utils';
import type { Clock, Random } from '../platform/clock.ts';
import type { Resolver } from '../platform/dns.ts';
import type { Host } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import type { SharedLimits } from '../routing/shared-limits.ts';
import { EXTENSIONS } from '../smtp/capabilities.ts';
import type { SessionOptions } from '../smtp/client/listener.ts';
import type { SessionPolicy } from '../smtp/machine/session.ts';
import type { Deadline } from '../smtp/machine/states.ts';
import { MECHANISMS } from '../smtp/mechanisms.ts';
import { type Refusal, type RefusalStore, recipientLimit } from './connections/refusals.ts';
import type { Throttle } from './throttling/throttle.ts';
import type { Trace } from './trace.ts';

export interface DeliveryRules {
  readonly routing: RoutingRules;
  readonly limits: {
    /** sessions at once, in all */
    readonly sessions: number;
    /** sessions at once for one destination */
    readonly destination: number;
    /** sessions at once with one host */
    readonly host: number;
    /** messages in one session */
    readonly messages: number;
    /** recipients in one transaction */
    readonly recipients: number;
    /** session starts a second; 0: no limit */
    readonly rate: number;
  };
  /** milliseconds */
  readonly deadlines: { readonly [name in Deadline | 'connect' | 'silence' | 'delivery' | 'stop']: number };
  /** source addresses, at most one of each family */
  readonly localAddresses: readonly string[];
  /** asks whether the recipients would be accepted; no message follows */
  readonly envelopeOnly?: true;
  policyFor(host: Host, withoutTls: boolean): SessionPolicy;
  tlsFor(host: Host): TlsOptions;
}

export interface DeliveryDeps {
  readonly connect: Connect;
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly throttle: Throttle;
  /** what hosts refused in earlier runs; absent: it is forgotten with the run */
  readonly refusalStore?: RefusalStore;
  readonly silent: (found: SilentHosts) => void;
  /** limits that hold for other processes as well; absent: this one is alone */
  readonly shared?: SharedLimits;
}

/** Sessions whose hosts did not answer while other messages waited for a session. */
export interface SilentHosts {
  /** cut off */
  readonly cut: number;
  /** that wait for the answer to a whole message, and are not cut off */
  readonly slow: number;
  /** how many there may be in all */
  readonly sessions: number;
  /** milliseconds after which they were cut off */
  readonly silence: number;
  /** destinations that waited */
  readonly waiting: number;
  /** milliseconds that the first of them had waited */
  readonly waited: number;
}

/** One address of a host, connected to from the source address of its family. */
function endpointOf(rules: DeliveryRules, host: Host, address: string): Endpoint {
  const { port } = host;
  const addresses = rules.routing.destinations.forHost(host).localAddresses ?? rules.localAddresses;
  const localAddress = addresses.find((each) => each.includes(':') === address.includes(':'));
  return { address, port, ...(localAddress === undefined ? {} : { localAddress }) };
}

interface SessionChoices {
  readonly number: number;
  readonly withoutTls: boolean;
  /** what this host refused */
  readonly without?: readonly Refusal[];
  readonly resumption?: TlsOptions['resumption'];
}

export function sessionOptions(
  rules: DeliveryRules,
  host: Host,
  address: string,
  { number, withoutTls, without = [], resumption }: SessionChoices,
): SessionOptions {
  return {
    number,
    endpoint: endpointOf(rules, host, address),
    peer: { host: host.name, address, port: host.port },
    policy: leaveOut(rules.policyFor(host, withoutTls), without),
    credentials: host.credentials,
    // Made when the session comes to TLS.
    get tls() {
      return resumption === undefined ? rules.tlsFor(host) : { ...rules.tlsFor(host), resumption };
    },
    deadlines: rules.deadlines,
  };
}

const LEFT_OUT = [...EXTENSIONS, 'EHLO'] as const;

/** Extensions are not used, mechanisms are tried last, and no transaction has more recipients than the host took. */
function leaveOut(policy: SessionPolicy, refused: readonly Refusal[]): SessionPolicy {
  if (refused.length === 0) return policy;
  const limits = refused.flatMap((each) => recipientLimit(each) ?? []);
  const mechanisms = MECHANISMS.map(({ name }) => name).filter((name) => refused.includes(`AUTH ${name}`));
  return {
    ...policy,
    recipients: Math.min(policy.recipients, ...limits),
    without: [...(policy.without ?? []), ...LEFT_OUT.filter((each) => refused.includes(each))],
    ...(mechanisms.length === 0 ? {} : { mechanismsLast: mechanisms }),
  };
}
