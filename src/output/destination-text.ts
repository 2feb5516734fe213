/** Entries of `destinations` and their short forms, as sentences for people. No password is shown. Pure. */
import {
  DESTINATION_VALUES,
  type DestinationEntry,
  type DestinationValue,
  type PlacedEntry,
} from '../settings/destinations.ts';
import { redactEntry } from '../settings/redact.ts';
import { escapeControl } from './text.ts';

/** `destinations entry 2`, or `tls-host` for a short form. */
export function entryName({ setting, number }: PlacedEntry): string {
  return setting === 'destinations' ? `destinations entry ${number}` : setting;
}

/** `mail to example.com with hosts below google.com: TLS is demanded; at most 5 sessions at once`. */
export function entryText({ entry }: PlacedEntry): string {
  const said = DESTINATION_VALUES.flatMap((name) => valueText(name, entry) ?? []);
  return escapeControl(`${conditionText(entry)}: ${said.join('; ')}`);
}

function conditionText({ to, from, host }: DestinationEntry): string {
  const names = (patterns: readonly string[]): string => patterns.map(patternText).join(' or ');
  return [
    'mail',
    ...(to === undefined ? [] : [`to ${names(to)}`]),
    ...(from === undefined ? [] : [`from ${names(from)}`]),
    ...(host === undefined ? [] : [`through ${names(host)}`]),
  ].join(' ');
}

function patternText(pattern: string): string {
  if (pattern === '*') return 'any';
  if (pattern === '<>') return 'the null sender';
  return pattern.startsWith('*.') ? `any below ${pattern.slice(2)}` : pattern;
}

const FAMILIES = {
  ipv4: 'only IPv4 addresses',
  ipv6: 'only IPv6 addresses',
  'ipv4-first': 'IPv4 addresses first',
  'ipv6-first': 'IPv6 addresses first',
} as const;

const TLS = { none: 'no TLS', opportunistic: 'TLS where it is offered', require: 'TLS is demanded' } as const;

type Said = { readonly [name in DestinationValue]: Exclude<DestinationEntry[name], undefined> };

const PHRASES: { readonly [name in DestinationValue]: (value: Said[name]) => string } = {
  relays: (relays) =>
    relays.length === 0 ? 'straight to its MX hosts' : `relays ${relays.map(redactEntry).join(', ')}`,
  credentials: () => 'with a user and a password',
  'auth-mechanism': (name) => `only by ${name}`,
  'auth-in-clear': (may) => `the password ${may ? 'may' : 'may not'} be sent without TLS`,
  'local-address': (addresses) => `from ${addresses.join(' and ')}`,
  family: (family) => FAMILIES[family],
  tls: (level) => TLS[level],
  'tls-pin': (pins) =>
    pins.length === 1 ? 'a pinned certificate' : `one of ${pins.length} pinned certificates`,
  'extension-off': (names) => `without ${names.join(', ')}`,
  sessions: (count) => `at most ${some(count, 'session')} at once`,
  'messages-per-session': (count) => `at most ${some(count, 'message')} in a session`,
  'sessions-per-minute': (count) => `at most ${some(count, 'new session')} a minute`,
  'messages-per-minute': (count) => `at most ${some(count, 'message')} a minute`,
};

function some(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function valueText<Name extends DestinationValue>(name: Name, entry: DestinationEntry): string | null {
  const value = entry[name];
  return value === undefined ? null : PHRASES[name](value as Said[Name]);
}
