/**
 * The setting `destinations`: what holds for mail to some domains, from some senders, or with some hosts. An entry says for what
 * it holds (`to`, `from`, `host`) and what. The settings that name a host (`tls-host` and others) are short forms of such
 * entries, so that there is one list and one mechanism. Pure.
 */
import { hostKey } from '../platform/dns.ts';
import { didYouMean } from '../platform/suggest.ts';
import type { Kind, Read } from './kinds.ts';
import {
  choice,
  count,
  EXTENSION_NAMES,
  flag,
  ipAddress,
  list,
  MECHANISM_NAMES,
  relayEntry,
  shaped,
} from './kinds.ts';
import { redactWords } from './redact.ts';
import type { SettingName, Settings } from './table.ts';

/** A name, `*.name` for all names below it, or `*` for all. */
const PATTERN = /^(?:\*|(?:\*\.)?[^\s@*,=]+)$/;

const pattern = (hint: string, what: string, shape = PATTERN): Kind<string> => {
  const kind = shaped(hint, shape, what);
  return { ...kind, read: (given) => lowered(kind.read(given)) };
};

function lowered(read: Read<string>): Read<string> {
  return read.ok ? { ok: true, value: hostKey(read.value) } : read;
}

interface Field {
  readonly kind: Kind<unknown>;
  readonly about: string;
}

const MATCHES = {
  to: {
    kind: list(pattern('DOMAIN', 'a domain, *.DOMAIN or *')),
    about: 'domain of the recipient; `*.example.com` is every domain below example.com, `*` every domain',
  },
  from: {
    kind: list(
      pattern(
        'ADDRESS',
        'an address, a domain, *.DOMAIN, * or <> (the null sender)',
        /^(?:<>|\*|[^\s*<>,=]+|\*\.[^\s@*<>,=]+)$/,
      ),
    ),
    about: 'envelope sender, or its domain; `<>` is the null sender, which reports have',
  },
  host: {
    kind: list(pattern('HOST', 'a host name, *.NAME, an IP address or *')),
    about: 'host that is contacted, an MX host or a relay; `*.google.com` is every host below google.com',
  },
} as const;

const VALUES = {
  relays: {
    kind: list(relayEntry),
    about: 'relays for this mail, as in `smarthost`; an empty list: straight to the MX hosts',
  },
  credentials: {
    kind: {
      ...shaped('USER:PASSWORD', /^[^\s:]+:\S+$/, 'USER:PASSWORD, written as in a relay entry'),
      redact: () => '***',
    },
    about: 'user and password for a host whose relay entry has none',
  },
  'auth-mechanism': { kind: choice(...MECHANISM_NAMES), about: 'the only way to authenticate' },
  'auth-in-clear': { kind: flag, about: 'credentials may be sent without TLS' },
  'local-address': { kind: list(ipAddress), about: 'source addresses, at most one IPv4 and one IPv6' },
  family: {
    kind: choice('ipv4', 'ipv6', 'ipv4-first', 'ipv6-first'),
    about: 'which addresses of a host are tried, or which first',
  },
  tls: { kind: choice('none', 'opportunistic', 'require'), about: 'STARTTLS' },
  'tls-pin': {
    kind: list(
      shaped('SHA256', /^[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$/, 'the 64 hexadecimal digits of SHA-256'),
    ),
    about: 'fingerprints, one of which the certificate must have; demands TLS',
  },
  'extension-off': {
    kind: list(choice(...EXTENSION_NAMES)),
    about: 'extensions that are not used, even if offered',
  },
  sessions: {
    kind: count(1, 10_000),
    about: 'simultaneous sessions, of all that the entry holds for together',
  },
  'messages-per-session': { kind: count(1, 1_000_000), about: 'messages in one session' },
  'sessions-per-minute': { kind: count(1, 100_000), about: 'new sessions in a minute, evenly spread' },
  'messages-per-minute': { kind: count(1, 1_000_000), about: 'messages in a minute, evenly spread' },
} as const;

type Fields = { readonly [name: string]: Field };

export const DESTINATION_CONDITION_FIELDS: Fields = MATCHES;
export const DESTINATION_VALUE_FIELDS: Fields = VALUES;
const FIELDS: ReadonlyMap<string, Field> = new Map(Object.entries({ ...MATCHES, ...VALUES }));

type Values<F> = {
  readonly [name in keyof F]?: F[name] extends { readonly kind: Kind<infer T> } ? T : never;
};

/** What it holds for: all of the conditions, of each any of its patterns. What it says, checked. */
export type DestinationEntry = Values<typeof MATCHES> & Values<typeof VALUES>;

export type DestinationValue = keyof typeof VALUES;

/** Whether it may hold a password. */
export function isSecret(name: DestinationValue): boolean {
  return FIELDS.get(name)?.kind.redact !== undefined;
}

export const DESTINATION_VALUES = Object.keys(VALUES) as readonly DestinationValue[];

/** Entries as objects of a file, or as words: `to=example.com relays=smtp://relay.example.net`, a repeated word is a list. */
export const destinations: Kind<readonly DestinationEntry[]> = {
  hint: 'ENTRY',
  many: true,
  flag: false,
  secret: true,
  read: (given) => {
    const entries: DestinationEntry[] = [];
    for (const [index, each] of (Array.isArray(given) ? given : [given]).entries()) {
      const read = readEntry(each);
      if (!read.ok) return { ok: false, problem: `is wrong in entry ${index + 1}: ${read.problem}` };
      entries.push(read.value);
    }
    return { ok: true, value: entries };
  },
  redact: (given) => (Array.isArray(given) ? given.map(redacted) : redacted(given)),
};

/** An entry in the form it was given in. */
function redacted(given: unknown): unknown {
  if (typeof given === 'string') return wordsIn(given).map(redactedWord).join(' ');
  if (typeof given !== 'object' || given === null) return given;
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, redactedValue(name, value)]));
}

function redactedWord(word: string): string {
  const { name, value } = nameAndValue(word);
  return value === '' ? word : `${name}=${redactedValue(name, value)}`;
}

function redactedValue(name: string, value: unknown): unknown {
  const { redact } = FIELDS.get(name)?.kind ?? {};
  return redact === undefined ? value : redact(value);
}

function readEntry(given: unknown): Read<DestinationEntry> {
  const fields = typeof given === 'string' ? words(given) : given;
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    return problem('it is neither an object nor a text like to=example.com tls=require');
  const entry: { [name: string]: unknown } = {};
  for (const [name, raw] of Object.entries(fields)) {
    const field = FIELDS.get(name);
    if (field === undefined) return problem(unknownField(name, Object.keys(fields)));
    const read = field.kind.read(raw);
    const written = JSON.stringify(raw);
    const isShown = field.kind.redact === undefined && redactWords(written) === written;
    const shown = isShown ? ` ${written}` : '';
    if (!read.ok) return problem(`${name}${shown} ${read.problem}`);
    entry[name] = read.value;
  }
  return checked(entry as DestinationEntry);
}

/** `to=a to=b tls=none`: what stands behind the first `=` is the value; `relays=` alone is the empty list. */
function words(given: string): { readonly [name: string]: unknown } {
  const fields = new Map<string, string[]>();
  for (const word of wordsIn(given)) {
    const { name, value } = nameAndValue(word);
    const values = fields.get(name) ?? [];
    fields.set(name, values);
    values.push(value);
  }
  return Object.fromEntries(
    [...fields].map(([name, values]) => {
      if (FIELDS.get(name)?.kind.many === true) return [name, values.filter((value) => value !== '')];
      return [name, values.length === 1 ? values[0] : values];
    }),
  );
}

/** Beside a password it may be the rest of one that has a blank in it, and is not shown. */
function unknownField(name: string, given: readonly string[]): string {
  const meant = didYouMean(name, [...FIELDS.keys()]);
  const hasSecret = given.some((each) => FIELDS.get(each)?.kind.redact !== undefined);
  if (meant === '' && (hasSecret || !/^[a-z_-]{0,30}$/i.test(name)))
    return 'it has a word that is no field; a blank in a user or password is written %20';
  return `there is no ${name}${meant}`;
}

function wordsIn(given: string): readonly string[] {
  return given.trim().split(/\s+/);
}

function nameAndValue(word: string): { readonly name: string; readonly value: string } {
  const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(word) ?? [];
  return { name, value };
}

function checked(entry: DestinationEntry): Read<DestinationEntry> {
  const { to, from, host } = entry;
  const said = DESTINATION_VALUES.filter((name) => entry[name] !== undefined);
  if (to === undefined && from === undefined && host === undefined)
    return problem('it does not say for what it holds: give to, from or host');
  for (const [name, patterns] of Object.entries({ to, from, host }))
    if (patterns?.length === 0) return problem(`${name} is empty, so it would hold for nothing`);
  if (said.length === 0) return problem('it says nothing for what it holds for');
  if (entry.relays !== undefined && host !== undefined)
    return problem('it has host and relays: which hosts are contacted is not known before the relays are');
  if (entry.credentials !== undefined && (host === undefined ? !entry.relays?.length : host.includes('*')))
    return problem('its credentials would be sent to any host: give relays, or the host they are for');
  const families = (entry['local-address'] ?? []).map((address) => address.includes(':'));
  if (new Set(families).size < families.length) return problem('it has two local-address of the same family');
  return { ok: true, value: entry };
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text };
}

/** An entry, and where it was written. */
export interface PlacedEntry {
  readonly entry: DestinationEntry;
  readonly setting: SettingName;
  /** 1 is the first entry of the setting */
  readonly number: number;
}

/** `HOST=VALUE` settings, and what they are short for. */
const SHORT_FORMS = {
  'tls-host': (value: string) => ({ tls: value as 'none' | 'opportunistic' | 'require' }),
  'tls-pin': (value: string) => ({ 'tls-pin': [value] }),
  'auth-in-clear': () => ({ 'auth-in-clear': true }),
  'auth-mechanism': (value: string) => ({ 'auth-mechanism': value as (typeof MECHANISM_NAMES)[number] }),
  'extension-off': (value: string) => ({ 'extension-off': [value as (typeof EXTENSION_NAMES)[number]] }),
} as const satisfies { readonly [name in SettingName]?: (value: string) => DestinationEntry };

type NamesHosts = 'destinations' | keyof typeof SHORT_FORMS;

/** In order of precedence: those of `destinations`, then the short forms. */
export function entriesOf(settings: Pick<Settings, NamesHosts>): readonly PlacedEntry[] {
  const long = settings.destinations.map((entry, at) => ({
    entry,
    setting: 'destinations' as const,
    number: at + 1,
  }));
  const short = Object.entries(SHORT_FORMS).flatMap(([name, valuesOf]) => {
    const setting = name as keyof typeof SHORT_FORMS;
    return settings[setting].map((written, at) => {
      const [host = '', value = ''] = written.split('=', 2);
      return { entry: { host: [hostKey(host)], ...valuesOf(value) }, setting, number: at + 1 };
    });
  });
  return [...long, ...short];
}

/** Whether the first holds wherever the second does. */
export function covers(general: DestinationEntry, special: DestinationEntry): boolean {
  return (['to', 'from', 'host'] as const).every((name) => {
    const wide = general[name];
    if (wide === undefined) return true;
    return special[name]?.every((each) => wide.some((pattern) => fits(pattern, each))) ?? wide.includes('*');
  });
}

/** Whether a name fits a pattern, or all names that fit another pattern do. An address fits the patterns of its domain. */
export function fits(pattern: string, name: string): boolean {
  if (pattern === '*' || pattern === name) return true;
  const at = name.lastIndexOf('@');
  const domain = name.slice(at + 1);
  if (!pattern.startsWith('*.')) return at >= 0 && pattern === domain;
  return domain.length > pattern.length - 1 && domain.endsWith(pattern.slice(1)) && domain !== pattern;
}
