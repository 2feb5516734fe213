/**
 * Settings that cannot hold together. They are errors, because either choice would go against what somebody wrote: two words
 * about one host, and a bound that another one makes useless. A word about one host beside a general setting (`tls`,
 * `relay-tls`) is an exception, not a contradiction. Pure.
 */
import { hostKey } from '../platform/dns.ts';
import { GIVEN, type SettingName, type Settings } from './table.ts';

export interface Contradiction {
  readonly name: SettingName;
  readonly other: SettingName;
  /** follows the place of `name`; null: its value is said */
  readonly says: string | null;
  /** follows the place of `other` */
  readonly otherSays: string | null;
}

export function contradictions(settings: Settings): readonly Contradiction[] {
  return [...aboutHosts(settings), ...outOfOrder(settings)];
}

interface Order {
  readonly lower: SettingName;
  /** has no effect on `lower` below it */
  readonly upper: SettingName;
  /** The default of `upper` counts as well. Where it does not, a high `lower` means never. */
  readonly isDefaultMeant: boolean;
}

/** The first may not be more than the second. */
const ORDERS: readonly Order[] = [
  { lower: 'retry.first', upper: 'retry.ceiling', isDefaultMeant: true },
  { lower: 'retry.notice', upper: 'retry.giveup', isDefaultMeant: false },
  { lower: 'limit.destination', upper: 'limit.sessions', isDefaultMeant: true },
  { lower: 'limit.host', upper: 'limit.sessions', isDefaultMeant: true },
  ...(
    [
      ...(['connect', 'greeting', 'ehlo', 'starttls', 'handshake', 'auth', 'mail', 'rcpt'] as const),
      ...(['data', 'body', 'dot', 'rset', 'lookup', 'silence'] as const),
    ] as const
  ).map((stage): Order => ({ lower: `timeout.${stage}`, upper: 'timeout.delivery', isDefaultMeant: true })),
];

function outOfOrder(settings: Settings): readonly Contradiction[] {
  const given = settings[GIVEN];
  return ORDERS.filter(
    ({ lower, upper, isDefaultMeant }) =>
      given.has(lower) &&
      (given.has(upper) || isDefaultMeant) &&
      Number(settings[lower]) > Number(settings[upper]),
  ).map(({ lower, upper }) => ({ ...both(lower, upper), says: null, otherSays: null }));
}

/** Settings that name hosts. */
function aboutHosts(settings: Settings): readonly Contradiction[] {
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
  return [...found, ...withoutWhatIsDemanded(settings)];
}

/** An extension that is not used, and another setting that cannot do without it. */
function withoutWhatIsDemanded(settings: Settings): readonly Contradiction[] {
  const off = byHost(settings['extension-off']);
  const mechanisms = byHost(settings['auth-mechanism']);
  const found: Contradiction[] = [];
  const without = (keyword: string, host: string): string | undefined =>
    [host, '*'].find((each) => off.get(each)?.includes(keyword));
  const report = (keyword: string, host: string, other: SettingName, otherSays: string): void => {
    const place = without(keyword, host);
    if (place === undefined) return;
    found.push({ ...both('extension-off', other), says: `has ${place}=${keyword}`, otherSays });
  };
  for (const [host, words] of byHost(settings['tls-host']))
    if (words.includes('require')) report('STARTTLS', host, 'tls-host', DEMANDS.policy(host));
  for (const host of byHost(settings['tls-pin']).keys())
    report('STARTTLS', host, 'tls-pin', DEMANDS.pin(host));
  for (const name of ['tls', 'relay-tls'] as const)
    if (settings[name] === 'require') report('STARTTLS', '*', name, 'demands TLS');
  for (const [host, words] of mechanisms) {
    report('AUTH', host, 'auth-mechanism', `names ${words[0]} for ${host}`);
    const [first, second] = new Set(words);
    if (second !== undefined)
      found.push({
        ...both('auth-mechanism', 'auth-mechanism'),
        says: `has ${host}=${first}`,
        otherSays: `has ${host}=${second}`,
      });
  }
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
