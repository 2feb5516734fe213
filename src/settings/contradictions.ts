/**
 * Settings about one host that cannot hold together. They are errors, because either choice would go against what somebody
 * wrote. A word about one host beside a general setting (`tls`, `relay-tls`) is an exception, not a contradiction. Pure.
 */
import { hostKey } from '../platform/dns.ts';
import type { SettingName, Settings } from './table.ts';

export interface Contradiction {
  readonly name: SettingName;
  readonly other: SettingName;
  /** follows the place of `name` */
  readonly says: string;
  /** follows the place of `other` */
  readonly otherSays: string;
}

export function contradictions(
  settings: Pick<Settings, 'tls-host' | 'tls-pin' | 'auth-in-clear'>,
): readonly Contradiction[] {
  const policies = byHost(settings['tls-host']);
  const pins = byHost(settings['tls-pin']);
  const inClear = new Set(settings['auth-in-clear'].map(hostKey));
  const found: Contradiction[] = [];
  for (const [host, words] of policies) {
    const different = [...new Set(words)];
    const looser = different.find((word) => word !== 'require');
    const named = (word: string | undefined): string => `has ${host}=${word}`;
    if (different.length > 1)
      found.push({
        ...both('tls-host', 'tls-host'),
        says: named(different[0]),
        otherSays: named(different[1]),
      });
    if (looser !== undefined && pins.has(host))
      found.push({ ...both('tls-host', 'tls-pin'), says: named(looser), otherSays: DEMANDS.pin(host) });
    if (different.includes('require') && inClear.has(host))
      found.push({
        ...both('auth-in-clear', 'tls-host'),
        says: `names ${host}`,
        otherSays: DEMANDS.policy(host),
      });
  }
  for (const host of inClear)
    if (pins.has(host))
      found.push({
        ...both('auth-in-clear', 'tls-pin'),
        says: `names ${host}`,
        otherSays: DEMANDS.pin(host),
      });
  return found;
}

const DEMANDS = {
  pin: (host: string): string => `has a fingerprint for ${host}, which demands TLS`,
  policy: (host: string): string => `demands TLS with ${host}`,
} as const;

function both(name: SettingName, other: SettingName): Pick<Contradiction, 'name' | 'other'> {
  return { name, other };
}

/** `HOST=VALUE` entries by host, in order. */
export function byHost(entries: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const entry of entries) {
    const [host = '', value = ''] = entry.split('=', 2);
    values.set(hostKey(host), [...(values.get(hostKey(host)) ?? []), value]);
  }
  return values;
}
