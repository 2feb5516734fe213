/**
 * Settings that cannot hold together. They are errors, because either choice would go against what somebody wrote: two words
 * about one host, and a bound that another one makes useless. A word about one host beside a general setting (`tls`,
 * `relay-tls`) is an exception, not a contradiction. Pure.
 */
import { covers, type DestinationValue, entriesOf, isSecret, type PlacedEntry } from './destinations.ts';
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

/** Words about hosts, domains and senders, in the setting `destinations` and in its short forms. */
function aboutHosts(settings: Settings): readonly Contradiction[] {
  const entries = entriesOf(settings);
  const found: Contradiction[] = [];
  const report = (one: Said, other: Said): void => {
    found.push({ name: one.by.setting, other: other.by.setting, says: one.says, otherSays: other.says });
  };
  for (const [at, by] of entries.entries()) {
    for (const other of entries.slice(at + 1)) for (const pair of differing(by, other)) report(...pair);
    for (const demanding of entries) for (const pair of looser(by, demanding)) report(...pair);
  }
  for (const name of ['tls', 'relay-tls'] as const) {
    if (settings[name] !== 'require') continue;
    for (const by of entries.filter(isForAll)) {
      const without = withoutStarttls(by);
      if (without !== null)
        found.push({ ...both(by.setting, name), says: without.says, otherSays: 'demands TLS' });
    }
  }
  return found;
}

/** Something an entry says. */
interface Said {
  readonly by: PlacedEntry;
  /** follows the place of its setting */
  readonly says: string;
}

/** Of these the first entry counts that holds. One behind it that never counts is a mistake. */
const FIRST_COUNTS = ['relays', 'credentials', 'auth-mechanism', 'local-address', 'family'] as const;
/** Each of these holds by itself. Two for exactly the same mail are a mistake. */
const EACH_HOLDS = [
  ...(['sessions', 'messages-per-session', 'sessions-per-minute', 'messages-per-minute'] as const),
] as const;

/** What two entries say differently, though one of them holds wherever the other does. */
function differing(first: PlacedEntry, second: PlacedEntry): readonly (readonly [Said, Said])[] {
  const differ = (name: DestinationValue): boolean =>
    isSaid(first, name) && isSaid(second, name) && wordOf(first, name) !== wordOf(second, name);
  const covered = covers(first.entry, second.entry);
  const same = covered && covers(second.entry, first.entry);
  const useless = [
    ...(covered ? FIRST_COUNTS : []),
    ...(same ? [...EACH_HOLDS, 'tls' as const, 'auth-in-clear' as const] : []),
  ];
  return useless.filter(differ).map((name) => [said(first, name), said(second, name)]);
}

/** What one entry allows, or does without, where the other demands it: the stricter word would never yield. */
function looser(by: PlacedEntry, demanding: PlacedEntry): readonly (readonly [Said, Said])[] {
  const covered = covers(demanding.entry, by.entry);
  const covering = covers(by.entry, demanding.entry);
  const pairs: (readonly [Said, Said])[] = [];
  const demand = tlsDemand(demanding);
  if (demand !== null) {
    const { tls } = by.entry;
    // Two words `tls` for exactly the same have been told as such.
    const isTold = covered && covering && demanding.entry.tls !== undefined && by !== demanding;
    if (covered && tls !== undefined && tls !== 'require' && !isTold) pairs.push([said(by, 'tls'), demand]);
    if (covered && by.entry['auth-in-clear'] === true) pairs.push([said(by, 'auth-in-clear'), demand]);
    const without = withoutStarttls(by);
    if (without !== null && (covered || covering)) pairs.push([without, demand]);
  }
  if (covering && by.entry['extension-off']?.includes('AUTH') === true)
    for (const name of ['auth-mechanism', 'credentials'] as const)
      if (isSaid(demanding, name)) pairs.push([said(by, 'extension-off', 'AUTH'), demandOf(demanding, name)]);
  return pairs;
}

function tlsDemand(by: PlacedEntry): Said | null {
  if (isSaid(by, 'tls-pin')) return demandOf(by, 'tls-pin');
  return by.entry.tls === 'require' ? demandOf(by, 'tls') : null;
}

function withoutStarttls(by: PlacedEntry): Said | null {
  return by.entry['extension-off']?.includes('STARTTLS') === true
    ? said(by, 'extension-off', 'STARTTLS')
    : null;
}

function isSaid({ entry }: PlacedEntry, name: DestinationValue): boolean {
  return entry[name] !== undefined;
}

/** As it is compared, never shown where it may hold a password. */
function wordOf({ entry }: PlacedEntry, name: DestinationValue): string {
  return JSON.stringify(entry[name]);
}

/** `has mx.example=require` of a short form, `has tls require in entry 2` of the long one. */
function said(by: PlacedEntry, name: DestinationValue, value?: string): Said {
  const { entry, setting, number } = by;
  const word = value ?? String(entry[name]);
  if (setting !== 'destinations') {
    const [host] = entry.host ?? [];
    return { by, says: name === 'auth-in-clear' ? `names ${host}` : `has ${host}=${word}` };
  }
  return { by, says: `has ${isSecret(name) ? name : `${name} ${word}`} in entry ${number}` };
}

function demandOf(by: PlacedEntry, name: DestinationValue): Said {
  const { entry, setting, number } = by;
  const whom = setting === 'destinations' ? `in entry ${number}` : `${entry.host?.[0]}`;
  switch (name) {
    case 'tls':
      return { by, says: `demands TLS ${setting === 'destinations' ? whom : `with ${whom}`}` };
    case 'tls-pin':
      return {
        by,
        says: `has a fingerprint ${setting === 'destinations' ? whom : `for ${whom}`}, which demands TLS`,
      };
    case 'auth-mechanism':
      return setting === 'destinations' ? said(by, name) : { by, says: `names ${entry[name]} for ${whom}` };
    default:
      return said(by, name);
  }
}

function isForAll({ entry: { to, from, host } }: PlacedEntry): boolean {
  return [to, from, host].every((patterns) => patterns?.includes('*') !== false);
}

function both(name: SettingName, other: SettingName): Pick<Contradiction, 'name' | 'other'> {
  return { name, other };
}
