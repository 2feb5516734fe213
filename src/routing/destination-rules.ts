/**
 * The entries of the setting `destinations` and its short forms, as deliveries use them: which hold for a recipient and a
 * sender, which for a host, and what follows. Where several hold: of relays, credentials, mechanism, source address and family
 * the first entry counts; of TLS the strictest; what is switched off is off; each limit holds. Pure.
 */
import { hostKey } from '../platform/dns.ts';
import { type DestinationEntry, entriesOf, fits, type PlacedEntry } from '../settings/destinations.ts';
import type { Settings } from '../settings/table.ts';
import type { Credentials, Host, Relay } from './hosts.ts';
import { parseCredentials, parseRelayEntry } from './relays.ts';

/** Hosts, destinations or senders that share limits: those of one entry. */
export interface LimitGroup {
  readonly name: string;
  /** sessions at once; infinite: no limit */
  readonly sessions: number;
  /** milliseconds from one new session to the next, and from message to message; 0: no limit */
  readonly betweenSessions: number;
  readonly betweenMessages: number;
}

/** What the entries say for one host, for the mail it is contacted for. */
export interface HostRules {
  /** of the entries that hold: sessions with different ones are never shared; '' where none holds */
  readonly key: string;
  /** those that hold, for people */
  readonly entries: readonly PlacedEntry[];
  /** null: as the other settings say */
  readonly tls: Said<'tls'> | null;
  readonly pins: readonly string[];
  /** an entry that says something about TLS names the host itself */
  readonly isTlsByName: boolean;
  readonly credentials: Credentials | null;
  readonly mechanism: Said<'auth-mechanism'> | null;
  readonly authInClear: boolean;
  readonly extensionsOff: readonly string[];
  readonly localAddresses: readonly string[] | null;
  readonly family: Said<'family'> | null;
  /** in one session; infinite: no limit of its own */
  readonly messages: number;
  readonly groups: readonly LimitGroup[];
}

export const NO_RULES: HostRules = {
  key: '',
  entries: [],
  tls: null,
  pins: [],
  isTlsByName: false,
  credentials: null,
  mechanism: null,
  authInClear: false,
  extensionsOff: [],
  localAddresses: null,
  family: null,
  messages: Number.POSITIVE_INFINITY,
  groups: [],
};

/** One entry with what its words stand for. */
interface Rule extends PlacedEntry {
  /** null: it says nothing about them */
  readonly relays: readonly Relay[] | null;
  readonly credentials: Credentials | null;
  readonly group: LimitGroup | null;
}

/** Positions of entries, in order. */
type Positions = readonly number[];

const NONE: Positions = [];

/** So many hosts are remembered with their rules. */
const MOST_REMEMBERED = 10_000;

export class DestinationRules {
  readonly #rules: readonly Rule[];
  /** those that name a recipient or a sender */
  readonly #ofMail: Positions;
  readonly #remembered = new Map<string, HostRules>();

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#ofMail = rules.flatMap(({ entry }, at) => (isOfMail(entry) ? [at] : []));
  }

  /** The relays of all entries. */
  get relays(): readonly Relay[] {
    return this.#rules.flatMap(({ relays }) => relays ?? []);
  }

  /** The entries that name relays, with their positions. */
  get withRelays(): readonly {
    readonly placed: PlacedEntry;
    readonly position: number;
    readonly relays: readonly Relay[];
  }[] {
    return this.#rules.flatMap((placed, position) =>
      placed.relays === null ? [] : [{ placed, position, relays: placed.relays }],
    );
  }

  /** For people: where they were written, and what they say. */
  get entries(): readonly PlacedEntry[] {
    return this.#rules;
  }

  /** The entries that name this recipient's domain or this sender ('' is the null sender). */
  ofMail(domain: string, sender: string): Positions {
    if (this.#ofMail.length === 0) return NONE;
    const to = hostKey(domain);
    const from = sender === '' ? '<>' : sender.toLowerCase();
    return this.#ofMail.filter((at) => {
      const entry = this.#rules[at]?.entry;
      return holds(entry?.to, to) && holds(entry?.from, from);
    });
  }

  /** The relays that the first of these entries names; null: none says anything about them. */
  relaysOf(positions: Positions): readonly Relay[] | null {
    return positions.map((at) => this.#rules[at]?.relays ?? null).find((relays) => relays !== null) ?? null;
  }

  /** What holds for a host, found once for each. */
  forHost({ name, entries = NONE }: Pick<Host, 'name' | 'entries'>): HostRules {
    if (this.#rules.length === 0) return NO_RULES;
    const key = `${entries.join('+')} ${name}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const host = hostKey(name);
    const rules = this.#rules.filter(
      ({ entry }, at) => (!isOfMail(entry) || entries.includes(at)) && holds(entry.host, host),
    );
    const found = rules.length === 0 ? NO_RULES : combined(rules, host, this.#rules);
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, found);
    return found;
  }
}

export const NO_DESTINATION_RULES = new DestinationRules([]);

function isOfMail({ to, from }: DestinationEntry): boolean {
  return to !== undefined || from !== undefined;
}

function holds(patterns: readonly string[] | undefined, name: string): boolean {
  return patterns?.some((pattern) => fits(pattern, name)) ?? true;
}

type Said<Name extends keyof DestinationEntry> = Exclude<DestinationEntry[Name], undefined>;

const STRICTNESS = ['none', 'opportunistic', 'require'] as const;

function combined(rules: readonly Rule[], host: string, all: readonly Rule[]): HostRules {
  const entries = rules.map(({ entry }) => entry);
  const first = <Name extends keyof DestinationEntry>(name: Name): Said<Name> | null =>
    (entries.find((entry) => entry[name] !== undefined)?.[name] as Said<Name> | undefined) ?? null;
  const says = (name: keyof DestinationEntry, value: unknown): boolean =>
    entries.some((entry) => entry[name] === value);
  const levels = entries.flatMap(({ tls }) => (tls === undefined ? [] : [STRICTNESS.indexOf(tls)]));
  return {
    key: rules.map((rule) => all.indexOf(rule)).join('+'),
    entries: rules,
    tls: STRICTNESS[Math.max(...levels)] ?? null,
    pins: entries.flatMap((entry) => entry['tls-pin'] ?? []),
    isTlsByName: entries.some(
      (entry) =>
        (entry.tls !== undefined || entry['tls-pin'] !== undefined) && entry.host?.includes(host) === true,
    ),
    credentials: rules.find(({ credentials }) => credentials !== null)?.credentials ?? null,
    mechanism: first('auth-mechanism'),
    authInClear: says('auth-in-clear', true) && !says('auth-in-clear', false),
    extensionsOff: [...new Set(entries.flatMap((entry) => entry['extension-off'] ?? []))],
    localAddresses: first('local-address'),
    family: first('family'),
    messages: Math.min(...entries.map((entry) => entry['messages-per-session'] ?? Number.POSITIVE_INFINITY)),
    groups: rules.flatMap(({ group }) => group ?? []),
  };
}

/** The entries of the settings; a sentence without its full stop where a relay or credentials cannot be read. */
export function destinationRules(settings: Settings): DestinationRules | string {
  const placed = entriesOf(settings);
  if (placed.length === 0) return NO_DESTINATION_RULES;
  const rules: Rule[] = [];
  for (const [at, each] of placed.entries()) {
    const { entry, number } = each;
    const relays: Relay[] = [];
    for (const text of entry.relays ?? []) {
      const parsed = parseRelayEntry(text, 'smarthost');
      if (parsed.kind === 'bad') return `entry ${number}: ${parsed.shown}: ${parsed.reason}`;
      if (parsed.relay.sender !== null)
        return `entry ${number}: ${parsed.relay.shown}: the sender belongs into from`;
      relays.push(parsed.relay);
    }
    const credentials = parseCredentials(entry.credentials ?? null);
    if (credentials !== null && 'reason' in credentials) return `entry ${number}: ${credentials.reason}`;
    rules.push({
      ...each,
      relays: entry.relays === undefined ? null : relays,
      credentials,
      group: groupOf(entry, nameOf(entry, at, placed)),
    });
  }
  return new DestinationRules(rules);
}

const MINUTE = 60_000;

/** By what it holds for: on another machine, where it stands elsewhere in the list, it has the same name. */
function nameOf(entry: DestinationEntry, at: number, all: readonly PlacedEntry[]): string {
  const about = ({ to, from, host }: DestinationEntry): string => JSON.stringify({ to, from, host });
  const before = all.slice(0, at).filter((each) => about(each.entry) === about(entry)).length;
  return before === 0 ? about(entry) : `${about(entry)} ${before + 1}`;
}

function groupOf(entry: DestinationEntry, name: string): LimitGroup | null {
  const { sessions = Number.POSITIVE_INFINITY } = entry;
  const between = (perMinute: number | undefined): number =>
    perMinute === undefined ? 0 : MINUTE / perMinute;
  const betweenSessions = between(entry['sessions-per-minute']);
  const betweenMessages = between(entry['messages-per-minute']);
  const isLimited = Number.isFinite(sessions) || betweenSessions > 0 || betweenMessages > 0;
  return isLimited ? { name, sessions, betweenSessions, betweenMessages } : null;
}

/** The host with what the entries say before it is contacted; the same object where they say nothing. */
export function withRules(host: Host, entries: Positions | undefined, rules: DestinationRules): Host {
  const of: Host = entries === undefined || entries.length === 0 ? host : { ...host, entries };
  const { credentials } = rules.forHost(of);
  return credentials === null || host.credentials !== null ? of : { ...of, credentials };
}
