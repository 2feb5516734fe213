/**
 * Parses and orders `smarthost` and `fallbackhost` entries, in the syntax of all Citadel versions. A bad entry becomes a value
 * with a reason, never another host. No reason contains a password.
 */
import { redactEntry } from '../settings/redact.ts';
import type { Credentials, Relay } from './hosts.ts';

export type RelayKind = Relay['kind'];

export interface InvalidRelay {
  readonly kind: 'bad';
  /** the entry without its credentials */
  readonly shown: string;
  /** a sentence without its full stop */
  readonly reason: string;
}

export type ParsedRelay = { readonly kind: 'relay'; readonly relay: Relay } | InvalidRelay;

export interface InternetConfig {
  /** in the order of the lines */
  readonly relays: readonly Relay[];
  readonly problems: readonly (InvalidRelay & { readonly line: number })[];
}

const DEFAULT_PORT = { smtp: 25, smtps: 465 } as const;
type Scheme = keyof typeof DEFAULT_PORT;

const HOST_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/**
 * Percent-decoding; escapes are UTF-8 where they can be. Null when a `%` is not followed by two hexadecimal digits. A `+` stays:
 * servers of 2012 took it for a blank as in a form, and no password with one ever worked.
 */
function decoded(text: string): string | null {
  const written = text.trimEnd();
  if (/%(?![0-9A-Fa-f]{2})/.test(written)) return null;
  return written.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    const bytes = Buffer.from(run.replaceAll('%', ''), 'hex');
    const utf8 = bytes.toString('utf8');
    return utf8.includes('\ufffd') ? bytes.toString('latin1') : utf8;
  });
}

export interface Invalid {
  readonly reason: string;
}

/** `user:password`, percent-encoded. */
export function parseCredentials(userInfo: string | null): Credentials | null | Invalid {
  if (userInfo === null) return null;
  const colon = userInfo.indexOf(':');
  if (colon < 0) return { reason: 'it names a user without a password; write user:password@host' };
  const user = decoded(userInfo.slice(0, colon));
  const password = decoded(userInfo.slice(colon + 1));
  if (user === null || password === null) {
    return {
      reason: 'a % in its user or password is not followed by two hexadecimal digits; write %25 for a %',
    };
  }
  if (`${user}${password}`.includes('\0')) return { reason: 'its user or password holds a NUL byte' };
  return { user, password };
}

function literalFamily(host: string): 4 | 6 | null {
  if (IPV4.test(host)) return 4;
  // The pattern excludes tabs and line ends, which URL would drop.
  return /^[0-9a-f.]*:[0-9a-f:.]*$/i.test(host) && URL.canParse(`http://[${host}]/`) ? 6 : null;
}

interface HostAndPort {
  readonly host: string;
  readonly literal: 4 | 6 | null;
  /** as written, undefined when there is none */
  readonly port: string | undefined;
}

/** `host`, `host:port`, `[literal]`, `[literal]:port`, or an IPv6 address alone. */
function hostAndPort(text: string): HostAndPort | Invalid {
  if (literalFamily(text) === 6) return { host: text, literal: 6, port: undefined };
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text);
  if (bracketed) {
    const host = (bracketed[1] ?? '').replace(/^IPv6:/i, '');
    const family = literalFamily(host);
    if (family === null) return { reason: 'the text in its square brackets is not an IP address' };
    return { host, literal: family, port: bracketed[2] };
  }
  const [, host = '', port] = /^\s*([^:]*?)\s*(?::\s*(.*))?$/s.exec(text) ?? [];
  if (host === '') return { reason: 'it names no host' };
  if (!HOST_NAME.test(host)) return { reason: 'its host is not a host name' };
  return { host, literal: literalFamily(host), port };
}

function portNumber(written: string | undefined, scheme: Scheme): number | Invalid {
  if (written === undefined) return DEFAULT_PORT[scheme];
  const port = /^\d{1,5}$/.test(written) ? Number(written) : 0;
  return port >= 1 && port <= 65_535 ? port : { reason: 'its port is not a number from 1 to 65535' };
}

function isInvalid(value: unknown): value is Invalid {
  return typeof value === 'object' && value !== null && 'reason' in value;
}

const bad = (shown: string, reason: string): InvalidRelay => ({ kind: 'bad', shown, reason });

/** Parses an entry without the sender after it. */
function parseUrl(entry: string, kind: RelayKind, sender: string | null): ParsedRelay {
  const shown = redactEntry(sender === null ? entry : `${entry} ${sender}`);
  const [, written, rest = entry] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(entry) ?? [];
  const scheme = written?.toLowerCase() ?? 'smtp';
  if (scheme !== 'smtp' && scheme !== 'smtps')
    return bad(shown, `"${scheme}://" is neither smtp:// nor smtps://`);
  const at = rest.lastIndexOf('@');
  const credentials = parseCredentials(at < 0 ? null : rest.slice(0, at));
  if (isInvalid(credentials)) return bad(shown, credentials.reason);
  const target = hostAndPort(
    rest
      .slice(at + 1)
      .replace(/\/.*$/, '')
      .trim(),
  );
  if (isInvalid(target)) return bad(shown, target.reason);
  const port = portNumber(target.port, scheme);
  if (isInvalid(port)) return bad(shown, port.reason);
  const { host, literal } = target;
  return {
    kind: 'relay',
    relay: {
      kind,
      host,
      literal,
      port,
      scheme: written === undefined ? null : scheme,
      credentials,
      sender,
      shown,
    },
  };
}

/**
 * Parses one entry: `[smtp://|smtps://][user:password@]host[:port][/][ sender]`. The last @ ends the credentials (R020). With a
 * sender (2012 to 2017) the relay is only for that author's name or address. A sender has no colon, so that a blank in a
 * password does not make the rest of it a sender, which would be shown.
 */
export function parseRelayEntry(text: string, kind: RelayKind): ParsedRelay {
  const entry = text.trim();
  for (const { index } of entry.matchAll(/[ \t]+/g)) {
    const sender = entry.slice(index).trim();
    const relay = parseUrl(entry.slice(0, index), kind, sender);
    if (relay.kind === 'relay' && !/^@|:|@$/.test(sender)) return relay;
  }
  return parseUrl(entry, kind, null);
}

/**
 * Parses a Citadel server's table (`CONF GETSYS|application/x-citadel-internet-config`) of `value|type` lines. Only the two
 * relay types count here. As in C the type must match exactly, but in any case.
 */
export function parseInternetConfig(text: string): InternetConfig {
  const relays: Relay[] = [];
  const problems: (InvalidRelay & { readonly line: number })[] = [];
  for (const [index, row] of text.split('\n').entries()) {
    const [value = '', written = ''] = row.split('|', 2);
    const type = written.toLowerCase();
    if (type === 'smarthost' || type === 'fallbackhost') {
      const parsed = parseRelayEntry(value, type);
      if (parsed.kind === 'relay') relays.push(parsed.relay);
      else problems.push({ ...parsed, line: index + 1 });
    } else if (/^\s*(?:smarthost|fallbackhost)\s*$/.test(type)) {
      const reason = `Citadel ignores the line, because there are blanks or a CR around "${type.trim()}"`;
      problems.push({ ...bad(redactEntry(value), reason), line: index + 1 });
    } else if (/@[^|]*\|(?:smarthost|fallbackhost)\s*$/i.test(row)) {
      const reason =
        'Citadel ignores the line, because its value has a bar in it; in a user or password write %7C for one';
      problems.push({ ...bad(redactEntry(row.slice(0, row.lastIndexOf('|'))), reason), line: index + 1 });
    }
  }
  return { relays, problems };
}

/** In the order they are tried: smart hosts, then fallback hosts, each as configured. */
export function relaysInOrder(relays: readonly Relay[]): readonly Relay[] {
  const ofKind = (kind: RelayKind) => relays.filter((relay) => relay.kind === kind);
  return [...ofKind('smarthost'), ...ofKind('fallbackhost')];
}

/** The relays a message may use: those without a sender, and those for one of the names or addresses of its author. */
export function relaysFor(relays: readonly Relay[], author: readonly string[]): readonly Relay[] {
  const names = new Set(author.map((name) => name.toLowerCase()));
  return relays.filter(({ sender }) => sender === null || names.has(sender.toLowerCase()));
}
