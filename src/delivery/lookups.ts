/**
 * The lookups of a delivery: the hosts of a destination, the addresses of a host. Asks the resolver and turns its
 * answers into delivery events; what an answer means is decided in routing/route.ts.
 */
import type { TlsaRecord } from '#net-stream-utils';
import type { Random } from '../platform/clock.ts';
import type { AddressLookup, LookupError, LookupResult, Resolver } from '../platform/dns.ts';
import { familiesFor, withRoute } from '../routing/address-order.ts';
import { withRules } from '../routing/destination-rules.ts';
import { type Destination, type Host, isRelay, type Protection } from '../routing/hosts.ts';
import type { RoutingRules } from '../routing/route.ts';
import { directRoute, LOOKUP_ERRORS, leadsToUs, mxRoute, type Route } from '../routing/route.ts';
import type { Failure, Stage } from '../smtp/outcome.ts';
import { protectionOf, withPolicy } from '../tls-policy/decision.ts';
import { isProved, protectionFor, type TlsWish } from '../tls-policy/wish.ts';
import type { DeliveryAttempt } from './attempt.ts';
import type { DeliveryEffect, DeliveryEvent } from './delivery.ts';
import type { DeliveryDeps, DeliveryRules } from './rules.ts';
import type { LookupAnswer, Question, TraceEvent } from './trace.ts';

async function lookupHosts(
  destination: Destination,
  rules: RoutingRules,
  resolver: Resolver,
  random: Random,
  wish: TlsWish | null = null,
): Promise<DeliveryEvent> {
  const ruled = (hosts: readonly Host[]): readonly Host[] =>
    hosts.map((host) => withRules(host, destination.entries, rules.destinations));
  return destination.kind === 'mx'
    ? lookupMx(destination.domain, rules, resolver, random, wish, ruled)
    : routeEvent(directRoute(destination, rules), ruled);
}

async function lookupMx(
  domain: string,
  rules: RoutingRules,
  resolver: Resolver,
  random: Random,
  wish: TlsWish | null,
  ruled: (hosts: readonly Host[]) => readonly Host[],
): Promise<DeliveryEvent> {
  const [answer, sts] = await Promise.all([
    resolver.mx(domain),
    wish === 'waived' ? undefined : resolver.sts?.(domain),
  ]);
  const route = mxRoute(domain, answer, rules, random);
  if (route.kind === 'none' || wish === 'waived') return routeEvent(route, ruled);
  const policy = sts?.kind === 'found' ? (sts.records[0] ?? null) : null;
  const isRequired = wish === 'required';
  const listed = withPolicy(
    ruled(route.hosts),
    domain,
    answer.secure === true,
    policy,
    (host) => !isRequired && rules.destinations.forHost(host).isTlsByName,
  );
  const hosts = isRequired ? listed.filter(isProved) : listed;
  if (hosts.length > 0) return { type: 'hosts', hosts };
  const names = route.hosts.map(({ name }) => name).join(', ');
  if (listed.length > 0) {
    const text = `the sender of the message demands TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS proves that ${names} is a mail host of ${domain}`;
    return { type: 'no-hosts', failure: lookupFailure('routing', true, '5.7.10', text) };
  }
  const text = `the MTA-STS policy of ${domain} lists none of its mail hosts (${names})`;
  return { type: 'no-hosts', failure: lookupFailure('routing', false, '4.7.0', text) };
}

function routeEvent(route: Route, ruled: (hosts: readonly Host[]) => readonly Host[]): DeliveryEvent {
  return route.kind === 'hosts'
    ? { type: 'hosts', hosts: ruled(route.hosts) }
    : { type: 'no-hosts', failure: lookupFailure('routing', route.permanent, route.enhanced, route.text) };
}

/** Addresses of one host. */
export const MOST_ADDRESSES = 20;

/** The addresses of a host in the order in which they are tried. */
export async function lookupAddresses(
  host: Host,
  resolver: Resolver,
  { destinations, interfaces = [] }: Pick<RoutingRules, 'destinations' | 'interfaces'>,
  wish: TlsWish | null = null,
): Promise<DeliveryEvent> {
  const families = familiesFor(destinations.forHost(host));
  if (host.literal !== null)
    return families.includes(host.literal)
      ? addressesEvent([host.name], protectionFor(wish, 'nothing'))
      : otherFamily(host);
  const how = howToAsk(host);
  const lookups = await Promise.all(families.map((family) => resolver.addresses(host.name, family, how)));
  const addresses = withRoute(lookups.flatMap(found), interfaces).slice(0, MOST_ADDRESSES);
  if (addresses.length > 0) return protectedAddresses(host, addresses, lookups, resolver, wish);
  const fault = faultOf(...lookups);
  if (fault === 'no-data' && families.length === 1) return otherFamily(host);
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

/**
 * A relay is named by an administrator; the names in MX records are whole (RFC 5321 2.3.5). Where nothing proves that it is a host of
 * the domain, a proof of its addresses proves nothing either.
 */
function howToAsk(host: Host): AddressLookup {
  if (isRelay(host)) return 'searched';
  return host.policy?.secure === true ? 'proved' : 'whole';
}

/** It has no address of the family to which the setting `destinations` limits it. */
function otherFamily({ name }: Host): DeliveryEvent {
  const text = `${name} has no address of the family that the setting destinations allows`;
  return { type: 'no-addresses', failure: lookupFailure('lookup', false, '4.4.4', text) };
}

/**
 * TLSA records are asked for where DNSSEC proves the addresses, too: elsewhere they would prove nothing, and name servers that
 * fail at them would hold up mail (RFC 7672 2.1.2).
 */
async function protectedAddresses(
  host: Host,
  addresses: readonly string[],
  lookups: readonly LookupResult<string>[],
  resolver: Resolver,
  wish: TlsWish | null,
): Promise<DeliveryEvent> {
  const { policy } = host;
  if (policy === undefined) return addressesEvent(addresses, protectionFor(wish, 'nothing'));
  const answers = lookups.filter(({ kind }) => kind === 'found');
  const isSecure = policy.secure === true && answers.every(({ secure }) => secure === true);
  const canonical = answers.find((answer) => answer.canonical !== undefined)?.canonical ?? host.name;
  const { base, answer } = isSecure
    ? await lookupTlsa(host, canonical, resolver)
    : { base: host.name, answer: null };
  const protection = protectionOf(policy, answer, [base, policy.domain]);
  if (protection !== null) return addressesEvent(addresses, protectionFor(wish, protection));
  const fault = answer?.kind === 'failed' ? answer.fault : 'bad-answer';
  const text = `the TLSA records of ${base} cannot be looked up (${LOOKUP_ERRORS[fault]}), and its zone is signed: without them nothing is sent there`;
  return { type: 'no-addresses', failure: lookupFailure('lookup', false, '4.7.5', text) };
}

function addressesEvent(addresses: readonly string[], protection: Protection | 'nothing'): DeliveryEvent {
  return { type: 'addresses', addresses, ...(protection === 'nothing' ? {} : { protection }) };
}

/** At the end of the aliases first, then at the name itself (RFC 7672 2.2.2). */
async function lookupTlsa(
  { name, port }: Host,
  canonical: string,
  resolver: Resolver,
): Promise<{ readonly base: string; readonly answer: LookupResult<TlsaRecord> | null }> {
  const ask = (base: string) => resolver.tlsa?.(`_${port}._tcp.${base}`);
  const answer = (await ask(canonical)) ?? null;
  const isNone = answer?.kind === 'failed' && (answer.fault === 'no-data' || answer.fault === 'no-domain');
  if (!isNone || canonical === name) return { base: canonical, answer };
  return { base: name, answer: (await ask(name)) ?? null };
}

/** The event of a lookup, unless the host turns out to be this machine. */
function refuseLoop(event: DeliveryEvent, host: Host, rules: RoutingRules): DeliveryEvent {
  if (event.type !== 'addresses') return event;
  const own = event.addresses.find((address) => leadsToUs(host, address, rules));
  if (own === undefined) return event;
  const text = `${host.name} is this machine itself (${own}): the message would loop`;
  return { type: 'own-host', failure: lookupFailure('lookup', true, '5.4.6', text) };
}

/** What an effect of the delivery machine asks for; everybody who follows the attempt is told of it. */
export async function lookUp(
  effect: Extract<DeliveryEffect, { type: 'lookup-hosts' | 'lookup-addresses' }>,
  { destination, tlsWish, alone }: DeliveryAttempt,
  { rules: { routing }, deps }: { readonly rules: DeliveryRules; readonly deps: DeliveryDeps },
): Promise<DeliveryEvent> {
  const resolver = traced(deps.resolver, (event) => deps.trace(alone, event));
  if (effect.type === 'lookup-hosts')
    return lookupHosts(destination, routing, resolver, deps.random, tlsWish);
  return refuseLoop(await lookupAddresses(effect.host, resolver, routing, tlsWish), effect.host, routing);
}

/** The same resolver, which calls `observe` with every question and its answer. */
function traced(resolver: Resolver, observe: (event: TraceEvent) => void): Resolver {
  const telling = async <T extends LookupAnswer>(
    question: Question,
    name: string,
    asked: Promise<T>,
  ): Promise<T> => {
    const answer = await asked;
    observe({ what: 'lookup', question, name, answer });
    return answer;
  };
  const { tlsa, sts } = resolver;
  return {
    mx: (name) => telling('mx', name, resolver.mx(name)),
    addresses: (name, family, how) =>
      telling(family === 4 ? 'a' : 'aaaa', name, resolver.addresses(name, family, how)),
    ...(tlsa === undefined ? {} : { tlsa: (name) => telling('tlsa', name, tlsa(name)) }),
    ...(sts === undefined ? {} : { sts: (domain) => telling('sts', domain, sts(domain)) }),
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
