/** The hosts of each destination in a timeline, in order, why they are these, and which of them were contacted. Pure. */
import type { Timeline, TimelineDelivery, TimelineEvent } from '../../replay/timeline.ts';
import type { Host } from '../../routing/hosts.ts';
import { directRoute, mxRoute, type RoutingRules } from '../../routing/route.ts';
import { entryName, entryText } from '../destination-text.ts';
import type { DecodeText } from '../text.ts';

export interface ShownRoute {
  readonly destination: string;
  readonly why: readonly string[];
  readonly hosts: readonly ShownHost[];
}

interface ShownHost {
  readonly name: string;
  readonly why: string;
  readonly contacted: boolean;
}

const ORIGINS: { readonly [origin in Host['origin']]: (host: Host) => string } = {
  mx: ({ preference }) => `MX, preference ${preference}`,
  domain: () => 'the domain itself',
  literal: () => 'address literal',
  smarthost: () => 'smart host',
  fallbackhost: () => 'fallback host',
};

export function routesIn(
  timeline: Timeline,
  routing: RoutingRules,
  readable: DecodeText,
): readonly ShownRoute[] {
  return timeline.deliveries.map(({ destination }, number) => {
    const own = timeline.events.filter(({ deliveries }) => deliveries.includes(number));
    const contacted = contactedIn(own);
    return {
      destination: readable(destination.name),
      why: reasonsOf(destination, own, routing).map(readable),
      hosts: hostsIn(own).map((host) => ({
        name: readable(host.port === 25 ? host.name : `${host.name}:${host.port}`),
        why: `${ORIGINS[host.origin](host)}${policyText(host)}${rulesText(host, routing)}`,
        contacted: contacted.has(keyOf(host)),
      })),
    };
  });
}

/** Behind the reason for a host: what its domain says of it. */
function policyText({ policy }: Host): string {
  if (policy === undefined) return '';
  const sts = policy.sts === undefined ? '' : `, MTA-STS ${policy.sts}`;
  const unlisted = policy.unlisted === true ? ' (not listed)' : '';
  return `${sts}${unlisted}${policy.secure === true ? ', proved by DNSSEC' : ''}`;
}

/** And what the settings say of it. */
function rulesText(host: Host, { destinations }: RoutingRules): string {
  const { entries } = destinations.forHost(host);
  return entries.map((placed) => `, ${entryName(placed)} (${entryText(placed)})`).join('');
}

function keyOf({ name, port }: Host): string {
  return `${name}:${port}`;
}

function hostsIn(events: readonly TimelineEvent[]): readonly Host[] {
  return events.flatMap((entry): readonly Host[] => {
    if (entry.what !== 'delivery') return [];
    return entry.event.type === 'hosts' || entry.event.type === 'reuse' ? entry.event.hosts : [];
  });
}

/** A host that failed for another delivery not long ago is not contacted again. */
function contactedIn(events: readonly TimelineEvent[]): ReadonlySet<string> {
  const contacted = new Set<string>();
  let wanted: Host | null = null;
  for (const entry of events) {
    if (entry.what === 'connected' || entry.what === 'session') {
      if (wanted !== null) contacted.add(keyOf(wanted));
      continue;
    }
    if (entry.what !== 'delivery') continue;
    const { event, effects } = entry;
    const isFailure = event.type === 'host-failed' && event.remembered !== true;
    if (wanted !== null && isFailure) contacted.add(keyOf(wanted));
    if (event.type === 'reuse') wanted = event.hosts[event.host] ?? wanted;
    for (const effect of effects) if (effect.type === 'acquire-connection') wanted = effect.host;
  }
  return contacted;
}

function reasonsOf(
  destination: TimelineDelivery['destination'],
  events: readonly TimelineEvent[],
  routing: RoutingRules,
): readonly string[] {
  if (destination.kind !== 'mx') {
    const route = directRoute(destination, routing);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  for (const entry of events) {
    if (entry.what !== 'lookup' || entry.question !== 'mx') continue;
    const { answer } = entry;
    const records =
      answer.kind === 'failed'
        ? answer
        : {
            ...answer,
            records: answer.records.flatMap((record) =>
              typeof record === 'object' && 'exchange' in record ? [record] : [],
            ),
          };
    const route = mxRoute(destination.domain, records, routing, () => 0.5);
    return route.kind === 'hosts' ? route.notes : [route.text];
  }
  return hostsIn(events).length > 0
    ? ['the hosts are known from an earlier delivery']
    : ['the DNS was not asked for its hosts'];
}
