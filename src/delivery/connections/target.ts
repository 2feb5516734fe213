/** Where a connection leads, and where its session counts. */
import { plainAddress } from '../../platform/ip-address.ts';
import type { LimitGroup } from '../../routing/destination-rules.ts';
import type { Host } from '../../routing/hosts.ts';
import type { SharedLimits } from '../../routing/shared-limits.ts';
import { protectionKey } from '../../tls-policy/decision.ts';
import type { AcquireConnection } from '../attempt.ts';
import type { DeliveryRules } from '../rules.ts';
import type { Refusal } from './refusals.ts';

/** Connections with the same name are interchangeable. */
export interface ConnectionTarget {
  readonly host: Host;
  readonly address: string;
  readonly withoutTls: boolean;
  /** what this host refused not long ago */
  readonly without: readonly Refusal[];
  /** same host name, address, port, protection, extensions left out, credentials, and entries of `destinations` */
  readonly name: string;
  /** address and port: what the limit of sessions per host counts */
  readonly place: string;
  /** limits it shares with other hosts or destinations */
  readonly groups: readonly LimitGroup[];
  /** its place, and the names of its groups */
  readonly places: readonly string[];
  /** messages to it are spread over time */
  readonly isPaced: boolean;
  /** messages in one session */
  readonly messages: number;
}

export function placeOf({ host, address }: Pick<AcquireConnection, 'host' | 'address'>): string {
  return `${plainAddress(address)}:${host.port}`;
}

/**
 * What the host refused or broke not long ago is left out. `destination`: whose mail it is for, and how many hosts that has, where
 * other processes share the limits; null: this one is alone.
 */
export function targetFor(
  { host, address, withoutTls: given }: AcquireConnection,
  refused: readonly Refusal[],
  { routing, limits }: Pick<DeliveryRules, 'routing' | 'limits'>,
  destination: { readonly key: string; readonly hosts: number } | null,
): ConnectionTarget {
  const place = placeOf({ host, address });
  // What a policy protects never goes in clear text, whatever happened to connections of others.
  const withoutTls = host.protection === undefined && (given || refused.includes('STARTTLS'));
  const without = refused.filter((extension) => extension !== 'STARTTLS');
  const scheme = host.implicitTls ? 'smtps' : withoutTls ? 'clear' : 'smtp';
  const protection = `${scheme}${protectionKey(host.protection)}`;
  const endpoint = `${host.credentials?.user ?? ''}@${host.name}[${address}]:${host.port}`;
  const { key, groups: ruled, messages } = routing.destinations.forHost(host);
  const plain = [`${protection}://${endpoint}`, ...without].join(' without ');
  const name = key === '' ? plain : `${plain} by ${key}`;
  const groups = withDestination(ruled, destination, limits.destination);
  return {
    ...{ host, address, withoutTls, without, name, place, groups },
    places: groups.length === 0 ? [place] : [place, ...groups.map((group) => group.name)],
    isPaced: ruled.some(({ betweenMessages }) => betweenMessages > 0),
    messages: Math.min(messages, limits.messages),
  };
}

/** Of one host its own limit says enough; of several, other processes have sessions for the same destination as well. */
function withDestination(
  groups: readonly LimitGroup[],
  destination: { readonly key: string; readonly hosts: number } | null,
  sessions: number,
): readonly LimitGroup[] {
  if (destination === null || destination.hosts < 2) return groups;
  return [...groups, { name: `to ${destination.key}`, sessions, betweenSessions: 0, betweenMessages: 0 }];
}

/** Sessions are open that other processes are to have now. */
export function isOver({ places }: ConnectionTarget, shared: SharedLimits): boolean {
  return places.some((place) => shared.isOver(place));
}

/** Whether a session with the one leaves one less for the other. */
export function sharesLimit(one: ConnectionTarget, other: ConnectionTarget): boolean {
  return (
    one.place === other.place ||
    one.groups.some(
      ({ name, sessions }) =>
        sessions < Number.POSITIVE_INFINITY && other.groups.some((group) => group.name === name),
    )
  );
}
