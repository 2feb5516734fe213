/**
 * The lookups of a delivery: the hosts of a destination, the addresses of a host. Asks the resolver and turns its
 * answers into delivery events; what an answer means is decided in routing/route.ts.
 */

import type { Random } from '../platform/clock.ts';
import type { LookupError, LookupResult, MxRecord, Resolver } from '../platform/dns.ts';
import { type Destination, type Host, isRelay } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import { directRoute, LOOKUP_ERRORS, leadsToUs, mxRoute } from '../routing/route.ts';
import type { Failure, Stage } from '../smtp/outcome.ts';
import type { DeliveryEvent } from './delivery.ts';
import type { Question, TraceEvent } from './trace.ts';

export async function lookupHosts(
  destination: Destination,
  rules: RoutingRules,
  resolver: Resolver,
  random: Random,
): Promise<DeliveryEvent> {
  const route =
    destination.kind === 'mx'
      ? mxRoute(destination.domain, await resolver.mx(destination.domain), rules, random)
      : directRoute(destination, rules);
  return route.kind === 'hosts'
    ? { type: 'hosts', hosts: route.hosts }
    : { type: 'no-hosts', failure: lookupFailure('routing', route.permanent, route.enhanced, route.text) };
}

/** IPv4 first: a small site's IPv6 address more often lacks the reverse name that large receivers insist on. */
export async function lookupAddresses(host: Host, resolver: Resolver): Promise<DeliveryEvent> {
  if (host.literal !== null) return { type: 'addresses', addresses: [host.name] };
  // A relay is named by an administrator; the names in MX records are whole (RFC 5321 2.3.5).
  const search = isRelay(host);
  const [four, six] = await Promise.all([
    resolver.addresses(host.name, 4, search),
    resolver.addresses(host.name, 6, search),
  ]);
  const addresses = [...found(four), ...found(six)];
  if (addresses.length > 0) return { type: 'addresses', addresses };
  const fault = faultOf(four, six);
  // Only the recipient's own domain, proven to have no address, is the sender's mistake; a host in between is not.
  const proven = fault === 'no-domain' || fault === 'no-data';
  const permanent = proven && host.origin === 'domain';
  const text = permanent
    ? `${host.name} has neither a mail server nor an address`
    : `no address of ${host.name}: ${LOOKUP_ERRORS[fault]}`;
  return {
    type: 'no-addresses',
    failure: lookupFailure('lookup', permanent, permanent ? '5.1.2' : '4.4.3', text),
  };
}

/** The event of a lookup, unless the host turns out to be this machine. */
export function refuseLoop(event: DeliveryEvent, host: Host, rules: RoutingRules): DeliveryEvent {
  if (event.type !== 'addresses') return event;
  const own = event.addresses.find((address) => leadsToUs(host, address, rules));
  if (own === undefined) return event;
  const text = `${host.name} is this machine itself (${own}): the message would loop`;
  return { type: 'own-host', failure: lookupFailure('lookup', true, '5.4.6', text) };
}

/** The same resolver, which calls `observe` with every question and its answer. */
export function traced(resolver: Resolver, observe: (event: TraceEvent) => void): Resolver {
  const telling = async <T extends LookupResult<MxRecord> | LookupResult<string>>(
    question: Question,
    name: string,
    asked: Promise<T>,
  ): Promise<T> => {
    const answer = await asked;
    observe({ what: 'lookup', question, name, answer });
    return answer;
  };
  return {
    mx: (name) => telling('mx', name, resolver.mx(name)),
    addresses: (name, family, search) =>
      telling(family === 4 ? 'a' : 'aaaa', name, resolver.addresses(name, family, search)),
  };
}

function found(lookup: LookupResult<string>): readonly string[] {
  return lookup.kind === 'found' ? lookup.records : [];
}

/** The fault that keeps the question open, if one of the two lookups left it open. */
function faultOf(...lookups: readonly LookupResult<string>[]): LookupError {
  const faults = lookups.flatMap((lookup) => (lookup.kind === 'failed' ? [lookup.fault] : []));
  return faults.find((fault) => fault !== 'no-data' && fault !== 'no-domain') ?? faults[0] ?? 'no-data';
}

function lookupFailure(stage: Stage, permanent: boolean, enhanced: string, text: string): Failure {
  return { scope: 'host', stage, permanent, code: null, enhanced, text, peer: null, maybeDelivered: false };
}
