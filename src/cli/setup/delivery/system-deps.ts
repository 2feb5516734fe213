/** The system's sockets, name servers and random numbers, and the policies that domains publish. */
import { connect } from '#net-stream-utils';
import type { Clock } from '../../../platform/clock.ts';
import { createResolver, type SystemResolver } from '../../../platform/dns/resolver.ts';
import type { Resolver } from '../../../platform/dns.ts';
import type { DeliveryDeps } from '../../../runner/deliveries.ts';
import type { Settings } from '../../../settings/table.ts';
import { nodeDisk } from '../../../storage/disk.ts';
import { layoutOf } from '../../../storage/layout.ts';
import type { StsDeps } from '../../../tls-policy/sts-policies.ts';
import { certificatesFrom } from '../load-config.ts';
import { onDemand } from './on-demand.ts';

export interface PolicyKeeping {
  /** null: nothing is kept */
  readonly spool: string | null;
  /** whether new policies are written */
  readonly writes: boolean;
  readonly fetchFailed?: StsDeps['fetchFailed'];
  readonly warn: (text: string) => void;
}

export interface SystemDeps extends Omit<DeliveryDeps, 'queue' | 'events'> {
  readonly resolver: SystemResolver & Pick<Resolver, 'sts'>;
  /** ends what is going on in the background */
  close(): void;
}

const HTTPS = 443;

export function systemDeps(settings: Settings, clock: Clock, keeping: PolicyKeeping): SystemDeps {
  const clear = settings.tls === 'none';
  const resolver = createResolver({
    servers: settings.dns,
    timeout: settings['timeout.lookup'],
    tries: 3,
    clock,
    dane: clear ? 'off' : settings.dane,
  });
  const rest = { connect, clock, random: Math.random };
  if (clear || settings['mta-sts'] === 'off') return { ...rest, resolver, close: () => {} };
  const policies = onDemand(() => loadPolicies(settings, clock, resolver, keeping));
  const sts: Resolver['sts'] = async (domain) => (await policies.get()).lookup(domain);
  return {
    ...rest,
    resolver: { ...resolver, sts },
    close: () => void policies.ifThere((each) => each.close()),
  };
}

/** For a command that looks and changes nothing: policies that runs have fetched count, new ones are forgotten. */
export function readOnlyDeps(settings: Settings, clock: Clock): SystemDeps {
  const spool = settings.state ?? settings.spool;
  return systemDeps(settings, clock, { spool, writes: false, warn: () => {} });
}

async function loadPolicies(
  settings: Settings,
  clock: Clock,
  resolver: SystemResolver,
  { spool, writes, warn, fetchFailed }: PolicyKeeping,
) {
  const { StsPolicies } = await import('../../../tls-policy/sts-policies.ts');
  const { diskStsCache, memoryStsCache } = await import('../../../tls-policy/sts-cache.ts');
  const layout = spool === null ? null : layoutOf(spool);
  const kept = layout === null ? null : diskStsCache(nodeDisk, layout);
  const given = certificatesFrom(settings);
  const ca = 'kind' in given ? [] : given;
  return new StsPolicies({
    resolver,
    cache: kept !== null && writes ? kept : memoryStsCache(kept),
    clock,
    fetch: async (domain, addresses, signal) => {
      const { fetchStsPolicy } = await import('../../../tls-policy/sts-fetch.ts');
      return fetchStsPolicy(domain, { addresses, port: HTTPS, ca, signal });
    },
    ...(fetchFailed === undefined ? {} : { fetchFailed }),
    warn,
  });
}
