/**
 * Which destination a recipient belongs to, and which of its hosts are tried in which order, with the reasons
 * (techdoc/smtpclient.md, RFC 5321 5.1). DNS answers are arguments; nothing is looked up here.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Random } from '../platform/clock.ts';
import type { LookupError, LookupResult, MxRecord } from '../platform/dns.ts';
import type { DestinationRules } from './destination-rules.ts';
import { type Destination, type Host, isRelay, isRelayMode, type Relay } from './hosts.ts';
import { isOwnAddress } from './own-address.ts';
import { relaysFor, relaysInOrder } from './relays.ts';

export interface RoutingRules {
  readonly relays: readonly Relay[];
  /** what holds for some domains, senders and hosts */
  readonly destinations: DestinationRules;
  /** our own names; MX hosts from one of them on are left out, because mail would loop (RFC 5321 5.1) */
  readonly ownNames: readonly string[];
  readonly mxPort: number;
  /** addresses of this machine's interfaces; absent: not known */
  readonly interfaces?: readonly string[];
  /** how strangers' hosts that lead back to this machine are recognised; null: they are contacted like any other */
  readonly loops: LoopRules | null;
}

export interface LoopRules {
  /** addresses of this machine's interfaces */
  readonly addresses: readonly string[];
  /** ports on which this machine takes mail: 25, and those of the intake */
  readonly ports: readonly number[];
}

/** All relays that the settings name, for any mail. */
export function everyRelay({ relays, destinations }: RoutingRules): readonly Relay[] {
  return [...relays, ...destinations.relays];
}

/** A relay of ours may well be this machine; a host that an MX record or an address literal names may not. */
export function leadsToUs(host: Host, address: string, { loops }: RoutingRules): boolean {
  if (loops === null || isRelay(host)) return false;
  return loops.ports.includes(host.port) && isOwnAddress(address, loops.addresses);
}

/** The hosts in order, with notes for people; or why there is none. */
export type Route =
  | { readonly kind: 'hosts'; readonly hosts: readonly Host[]; readonly notes: readonly string[] }
  | { readonly kind: 'none'; readonly permanent: boolean; readonly enhanced: string; readonly text: string };

/** Domains compare in lower case, so that they share one destination (RFC 5321 2.4). */
export function destinationOf(domain: string, sender: ByteString, rules: RoutingRules): Destination {
  const { destinations } = rules;
  const entries = destinations.ofMail(domain, sender);
  if (entries.length === 0) return baseDestination(domain, sender, rules, null);
  const destination = baseDestination(domain, sender, rules, destinations.relaysOf(entries));
  return { ...destination, key: `${destination.key} #${entries.join('+')}`, entries };
}

/** `named`: the relays of an entry; none: straight to the MX hosts; null: as the other settings say. */
function baseDestination(
  domain: string,
  sender: ByteString,
  rules: RoutingRules,
  named: readonly Relay[] | null,
): Destination {
  if (named !== null && named.length > 0) return relayDestination(named, sender);
  const relays = named === null ? configuredRelays(rules.relays, sender) : null;
  if (relays !== null) return relays;
  const literal = addressLiteral(domain);
  if (literal !== null) {
    return { key: `literal:${literal.address}`, name: domain, kind: 'literal', ...literal };
  }
  const name = domain.toLowerCase();
  return { key: `mx:${name}`, name, kind: 'mx', domain: name };
}

/** By the relays of the settings, where none is for one sender alone: the destination of everybody's mail; null: there is none. */
const forEverybody = new WeakMap<readonly Relay[], Destination | null>();

/** Null: mail does not go to relays. */
function configuredRelays(relays: readonly Relay[], sender: ByteString): Destination | null {
  const known = forEverybody.get(relays);
  if (known !== undefined) return known;
  const isForAll = relays.every((relay) => relay.sender === null);
  const own = isForAll ? relays : relaysFor(relays, [sender]);
  const destination = isRelayMode(relays) ? relayDestination(relaysInOrder(own), sender) : null;
  if (isForAll) forEverybody.set(relays, destination);
  return destination;
}

function relayDestination(relays: readonly Relay[], sender: ByteString): Destination {
  const own = relays.some((relay) => relay.sender !== null);
  const name = relays.map((relay) => relay.host).join(', ');
  return { key: own || relays.length === 0 ? `relays:${sender}` : 'relays', name, kind: 'relays', relays };
}

/** `[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 4.1.3); `[2001:db8::1]` is accepted as well. */
function addressLiteral(domain: string): { readonly address: string; readonly family: 4 | 6 } | null {
  const inside = /^\[(?:IPv6:)?([0-9a-f.:]+)\]$/i.exec(domain)?.[1];
  if (inside === undefined) return null;
  return { address: inside, family: inside.includes(':') ? 6 : 4 };
}

/** The hosts of a destination that needs no MX lookup. */
export function directRoute(destination: Exclude<Destination, { kind: 'mx' }>, rules: RoutingRules): Route {
  switch (destination.kind) {
    case 'literal':
      return hosts([literalHost(destination, rules)], ['the address contains its host']);
    case 'relays':
      return destination.relays.length === 0
        ? none(false, '4.4.4', 'relays are configured, but none of them is for this sender')
        : hosts(destination.relays.map(relayHost), [
            'relays are configured, in this order; no MX lookup is done',
          ]);
  }
}

/** MX hosts of a domain. Nobody needs more, and a stranger's record could send us to any number of other people's machines. */
export const MOST_HOSTS = 20;

/** The hosts of a domain from its MX records. Equal preferences are shuffled once, before sorting (R009). */
export function mxRoute(
  domain: string,
  answer: LookupResult<MxRecord>,
  rules: RoutingRules,
  random: Random,
): Route {
  const fallbacks = relaysFor(rules.relays, []).map(relayHost);
  if (answer.kind === 'failed') return withoutMx(domain, answer.fault, fallbacks, rules);
  const offered = answer.records.filter((record) => record.exchange !== '');
  if (offered.length === 0) return none(true, '5.1.10', `${domain} accepts no mail (null MX)`);
  const own = ownPreference(offered, rules.ownNames);
  const useful = offered.filter((record) => record.preference < own);
  if (useful.length === 0) {
    return none(true, '5.4.6', `the best mail server of ${domain} is this host: the message would loop`);
  }
  const sorted = unique(shuffled(useful, random).sort((a, b) => a.preference - b.preference));
  return hosts(
    [...sorted.slice(0, MOST_HOSTS).map((record) => mxHost(record, rules)), ...fallbacks],
    [
      `MX of ${domain}, by preference, equal ones in random order`,
      ...(useful.length < offered.length ? ['this host and those after it are left out'] : []),
      ...(sorted.length > MOST_HOSTS
        ? [`only the first ${MOST_HOSTS} of ${sorted.length} hosts are used`]
        : []),
      ...(fallbacks.length > 0 ? ['fallback hosts come last'] : []),
    ],
  );
}

/** The domain itself is used only if the DNS proved that it has no MX; a failed lookup is temporary (C03, C37). */
function withoutMx(
  domain: string,
  fault: LookupError,
  fallbacks: readonly Host[],
  rules: RoutingRules,
): Route {
  if (fault === 'no-domain') return none(true, '5.1.2', `the domain ${domain} does not exist`);
  if (fault === 'no-data') {
    const itself: Host = { ...plainHost(domain, rules.mxPort), origin: 'domain' };
    return hosts([itself, ...fallbacks], [`${domain} has no MX: its own address is used`]);
  }
  return fallbacks.length > 0
    ? hosts(fallbacks, [
        `the MX lookup for ${domain} failed (${LOOKUP_ERRORS[fault]}): only fallback hosts are left`,
      ])
    : none(false, '4.4.3', `the MX lookup for ${domain} failed: ${LOOKUP_ERRORS[fault]}`);
}

/** Lookup errors in status lines and logs (R046, R053). */
export const LOOKUP_ERRORS: { readonly [error in LookupError]: string } = {
  'no-domain': 'the name does not exist',
  'no-data': 'the name has no such record',
  'server-failure': 'the name server reports a failure',
  refused: 'the name server refuses to answer',
  timeout: 'no name server answered in time',
  'bad-answer': 'the answer of the name server is invalid',
  'local-fault': 'no name server can be reached from here',
};

function ownPreference(records: readonly MxRecord[], ownNames: readonly string[]): number {
  const own = records.filter(({ exchange }) => isOwnName(exchange.toLowerCase(), ownNames));
  return Math.min(...own.map((record) => record.preference));
}

/** `localhost` and names below it are this machine by definition (RFC 6761 6.3). */
function isOwnName(name: string, ownNames: readonly string[]): boolean {
  return ownNames.includes(name) || name === 'localhost' || name.endsWith('.localhost');
}

function unique(records: readonly MxRecord[]): readonly MxRecord[] {
  const seen = new Set<string>();
  return records.filter(({ exchange }) => !seen.has(exchange) && seen.add(exchange));
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

function plainHost(name: string, port: number): Host {
  return { name, literal: null, port, origin: 'mx', preference: null, credentials: null, implicitTls: false };
}

function mxHost(record: MxRecord, rules: RoutingRules): Host {
  return { ...plainHost(record.exchange, rules.mxPort), preference: record.preference };
}

function literalHost(
  literal: { readonly address: string; readonly family: 4 | 6 },
  rules: RoutingRules,
): Host {
  return { ...plainHost(literal.address, rules.mxPort), literal: literal.family, origin: 'literal' };
}

export function relayHost(relay: Relay): Host {
  return {
    name: relay.host,
    literal: relay.literal,
    port: relay.port,
    origin: relay.kind,
    preference: null,
    credentials: relay.credentials,
    implicitTls: relay.scheme === 'smtps',
  };
}

function hosts(list: readonly Host[], notes: readonly string[]): Route {
  return { kind: 'hosts', hosts: list, notes };
}

function none(permanent: boolean, enhanced: string, text: string): Route {
  return { kind: 'none', permanent, enhanced, text };
}
