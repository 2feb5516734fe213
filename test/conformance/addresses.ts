/** Suites about addresses: addr (recipients), url (relay entries and lists of them), envfrom (envelope senders). */
import { isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { addressInField } from '../../src/message/sender.ts';
import type { ByteString } from '../../src/platform/bytes.ts';
import { recipientAddress } from '../../src/routing/address.ts';
import type { Relay } from '../../src/routing/hosts.ts';
import { parseInternetConfig, parseRelayEntry, relaysInOrder } from '../../src/routing/relays.ts';
import { ANYTHING, type Suite, undefinedInC } from './compare.ts';
import { bytes, bytesOf, numberOf, type Row, rowsOf } from './vectors.ts';

/** Null: not an address, nothing is sent. */
type Taken = {
  readonly user: ByteString;
  readonly node: ByteString;
  readonly name: ByteString;
  readonly command: ByteString;
} | null;

function taken(user: ByteString, node: ByteString, name: ByteString): Taken {
  return { user, node, name, command: `RCPT TO:<${user}@${node}>\r\n` };
}

const LOCAL = String.raw`(?:"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"|[\w!#$%&'*+/=?^${'`'}{|}~.\x80-\xff-]+)`;
const LABEL = String.raw`(?!-)[\w\x80-\xff-]{1,63}(?<!-)`;
const DOMAIN = String.raw`(?=[^ >)]{1,256}[ \t\r>(]*)(?:${LABEL}(?:\.${LABEL})*\.?|\[[^\]\s]+\])`;
/** Comments may stand around each part of an address (RFC 5322 3.4.1). */
const COMMENTS = String.raw`[ \t]*(?:\((?:[^()"<>]|\([^()"<>]*\))*\)[ \t]*)*`;
const SPEC = String.raw`${COMMENTS}(?<local>${LOCAL})${COMMENTS}@${COMMENTS}(?<domain>${DOMAIN})[ \t\r]*${COMMENTS}`;

/** RFC 5322 mailboxes with their spec bare or in the one pair of brackets; `outside` is what stands around that. */
const BARE = new RegExp(`^${SPEC}$`);
const BRACKETED = /^(?<before>[^<>]*)<(?<inside>[^<>]*)>(?<after>[^<>]*)$/;

/** Exported for the tests that hold the parsers against this second grammar. Local part and domain of an entry that is one mail address; null when it is not one. */
function spec(entry: ByteString): { readonly local: ByteString; readonly domain: ByteString } | null {
  const { before = '', inside, after = '' } = BRACKETED.exec(entry)?.groups ?? {};
  if (isEnclosed(before, after)) return null;
  const match = BARE.exec(inside ?? entry);
  const { local = '', domain = '' } = match?.groups ?? {};
  return match === null || local.length + domain.length > 979 ? null : { local, domain };
}

/** Whether a quotation or a comment that begins in one text ends in the other. */
function isEnclosed(before: ByteString, after: ByteString): boolean {
  const open = before.replace(/"[^"]*"|\([^()]*\)/g, '');
  return (open.includes('"') && after.includes('"')) || (open.includes('(') && after.includes(')'));
}

/** The one quoted string beside the brackets, without its quotes, else the last comment, whole; null without either. */
function rightName(entry: ByteString): ByteString | null {
  const outside = entry.replace(/<[^<>]*>/, '');
  const quoted = [...outside.matchAll(/"((?:[^"\\]|\\.)*)"/g)];
  if (quoted.length === 1) return quoted[0]?.[1] ?? null;
  return [...outside.matchAll(/\(((?:[^()]|\([^()]*\))*)\)/g)].at(-1)?.[1] ?? null;
}

function utf8(text: ByteString): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** What AUTH sends for a text. */
function utf8Bytes(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function isUtf8(text: ByteString): boolean {
  return !utf8(text).includes('\ufffd');
}

export const addr: Suite<Taken> = {
  name: 'addr',
  expected: (row) => taken(bytesOf(row, 'user'), bytesOf(row, 'node'), bytesOf(row, 'name')),
  ours: (row) => {
    const address = recipientAddress(bytesOf(row, 'address'));
    if (address.kind === 'unusable') return null;
    const { local, domain, display, command } = address;
    return { user: local, node: domain, name: display, command: `RCPT TO:<${command}>\r\n` };
  },
  rules: [
    undefinedInC(),
    {
      reason: 'no local part or no domain: C fills in its own node, here the recipient is refused',
      correct: (expected, row) => {
        const entry = bytesOf(row, 'address');
        const ownNode = expected?.node === 'citnode' && !/@[ \t]*citnode/.test(entry);
        const lacking = expected === null || expected.user === '' || expected.node === '' || ownNode;
        return lacking && spec(entry) === null ? null : expected;
      },
    },
    {
      reason: 'not one mail address (RFC 5321): C sends what it cuts out, here the recipient is refused',
      correct: (expected, row) => (spec(bytesOf(row, 'address')) === null ? null : expected),
    },
    {
      reason: 'neither ASCII nor UTF-8: refused',
      correct: (expected, row) => {
        const right = spec(bytesOf(row, 'address'));
        return right === null || isUtf8(`${right.local}@${right.domain}`) ? expected : null;
      },
    },
    {
      reason:
        'address rewriting of C: the address is left as it is written (%, !, quotes, comments; IDN in A-labels)',
      correct: (expected, row) => {
        const right = spec(bytesOf(row, 'address'));
        if (expected === null || right === null) return expected;
        const domain = domainToASCII(utf8(right.domain)) || right.domain;
        const node = /^[\x00-\x7f]*$/.test(right.domain) ? right.domain.replace(/\.$/, '') : domain;
        return taken(right.local, node, expected.name === expected.user ? right.local : expected.name);
      },
    },
    {
      reason:
        'the name is the quoted text without its quotes, or the last comment whole (C: the nearest signs)',
      correct: (expected, row) => {
        const name = rightName(bytesOf(row, 'address'));
        return expected === null || name === null ? expected : { ...expected, name };
      },
    },
    {
      reason: 'an @ in the name beside the brackets is part of the name',
      correct: (expected, row) => {
        const { before = '', after = '' } = BRACKETED.exec(bytesOf(row, 'address'))?.groups ?? {};
        const outside = `${before}${after}`.trim();
        return expected !== null && outside.includes('@') ? { ...expected, name: outside } : expected;
      },
    },
  ],
};

/** What counts of a relay; null where the entry cannot be used. */
type Contact = {
  readonly host: ByteString;
  readonly user: ByteString | null;
  readonly pass: ByteString | null;
  readonly port: number;
  readonly is_ip: number;
} | null;

function contactOf({ host, credentials, port, literal }: Relay): Contact {
  return {
    host,
    user: credentials && utf8Bytes(credentials.user),
    pass: credentials && utf8Bytes(credentials.password),
    port,
    is_ip: literal === null ? 0 : 1,
  };
}

function expectedContact(expect: Row): Contact {
  if (expect.ok === false) return null;
  return {
    host: bytes(expect, 'host') ?? '',
    user: bytes(expect, 'user'),
    pass: bytes(expect, 'pass'),
    port: numberOf(expect, 'port'),
    is_ip: numberOf(expect, 'is_ip'),
  };
}

interface ContactRule {
  readonly reason: string;
  correct(expected: NonNullable<Contact>, entry: ByteString): Contact;
}

/** The entry behind its scheme and its credentials, up to a path. */
function placeOf(entry: ByteString): ByteString {
  const rest = entry.trim().replace(/^smtps?:\/\//i, '');
  return rest
    .slice(rest.lastIndexOf('@') + 1)
    .replace(/\/.*$/, '')
    .trim();
}

/** The text that a person who typed these bytes saw. */
function textOf(entry: ByteString): string {
  return isUtf8(entry) ? utf8(entry) : entry;
}

const asUtf8 = (text: ByteString | null): ByteString | null =>
  text && (isUtf8(text) ? text : utf8Bytes(text));

const CONTACT_RULES: readonly ContactRule[] = [
  {
    reason: 'user and password go out in UTF-8; bytes that are none are taken as Latin-1',
    correct: (expected) => ({ ...expected, user: asUtf8(expected.user), pass: asUtf8(expected.pass) }),
  },
  {
    reason: 'what follows a blank behind the entry is the sender the relay is for (since July 2012)',
    correct: (expected, entry) => {
      const head = /^[ \t]*(?:([^:@\s]+):([^@\s]*)@)?([\w.-]+)(?::(\d+))?[ \t]+[^:@\s](?:[^:]*[^:@])?$/.exec(
        entry,
      );
      if (head === null) return expected;
      const [, user = null, pass = null, host = '', port = '25'] = head;
      return { host, user, pass, port: Number(port), is_ip: isIP(host) > 0 ? 1 : 0 };
    },
  },
  {
    reason: 'blanks around an entry, and a path behind it, belong to no host name',
    correct: (expected) => {
      const host = expected.host.trim().replace(/(?<=.)\/.*$/, '');
      return host === expected.host ? expected : { ...expected, host, is_ip: isIP(host) > 0 ? 1 : 0 };
    },
  },
  {
    reason: 'the last @ ends the credentials, also behind a / (C starts the path there)',
    correct: (expected, entry) => {
      const [, user, pass = '', host = '', port = '25'] =
        /^([^:@]*):(.*)@([\w.-]+)(?::(\d+))?$/.exec(entry) ?? [];
      const slash = `${user}${pass}`.includes('/') && !entry.includes('://');
      return user === undefined || !slash ? expected : { ...expected, user, pass, host, port: Number(port) };
    },
  },
  {
    reason: 'a scheme other than smtp:// and smtps:// is refused (C ignores it)',
    correct: (expected, entry) => (/^\s*(?!smtps?:)[^/@]*:\/\//i.test(entry) ? null : expected),
  },
  {
    reason: 'square brackets hold an IP address',
    correct: (expected, entry) => {
      const inside = /^\[([^\]]*)\]/.exec(placeOf(entry))?.[1]?.replace(/^IPv6:/i, '');
      if (inside === undefined) return expected;
      return isIP(inside) > 0 && !inside.includes('%') ? { ...expected, host: inside } : null;
    },
  },
  {
    reason: 'an IPv6 literal is an address (C looks it up as a name)',
    correct: (expected, entry) => {
      const place = placeOf(entry);
      if (isIPv6(place)) return { ...expected, host: place, is_ip: 1, port: 25 };
      return isIPv6(expected.host) ? { ...expected, is_ip: 1 } : expected;
    },
  },
  {
    reason: 'smtps:// is TLS from the first byte, port 465 by default (C ignores the scheme)',
    correct: (expected, entry) =>
      /^smtps:/i.test(entry) && !/:\d*$/.test(placeOf(entry).replace(/\[.*\]/, ''))
        ? { ...expected, port: 465 }
        : expected,
  },
  {
    reason: 'a user without a password is refused (C crashes when it logs in)',
    correct: (expected) => (expected.user !== null && expected.pass === null ? null : expected),
  },
  {
    reason: 'an escape that is not %xx is refused',
    correct: (expected, entry) => (/%(?![0-9a-f]{2}).*@/i.test(entry) ? null : expected),
  },
  {
    reason: 'a port that is not 1 to 65535 is refused',
    correct: (expected, entry) => {
      const port = /^(?:\[[^\]]*\]|[^:[]*)(?::(.*))?$/.exec(placeOf(entry));
      const written = port?.[1]?.trim() ?? (port === null && !isIPv6(placeOf(entry)) ? 'none' : '25');
      return /^\d{1,5}$/.test(written) && Number(written) >= 1 && Number(written) <= 65_535 ? expected : null;
    },
  },
  {
    reason: 'a host that is neither a name nor an address is refused',
    correct: (expected) =>
      isIP(expected.host) > 0 || /^[a-z0-9_][a-z0-9_.-]*$/i.test(expected.host) ? expected : null,
  },
];

/** `host|type` lines with their place in the list of the C code, which puts each new entry in front. */
function reversed(contacts: readonly Contact[], config: ByteString): readonly Contact[] {
  const smarthosts = config.split('\n').filter((line) => /^[^|]*\|smarthost(?:\||$)/i.test(line)).length;
  return [...contacts.slice(0, smarthosts).reverse(), ...contacts.slice(smarthosts).reverse()];
}

const isList = (row: Row): boolean => row.kind === 'relay list';

export const url: Suite<readonly Contact[]> = {
  name: 'url',
  expected: (row) => {
    if (isList(row)) return rowsOf(row, 'attempt_order').map(expectedContact);
    return row.expect === null ? [] : [expectedContact(row.expect as Row)];
  },
  ours: (row) => {
    if (isList(row))
      return relaysInOrder(parseInternetConfig(textOf(bytesOf(row, 'inetcfg'))).relays).map(contactOf);
    const parsed = parseRelayEntry(textOf(bytesOf(row, 'entry')), 'smarthost');
    return [parsed.kind === 'relay' ? contactOf(parsed.relay) : null];
  },
  rules: [
    undefinedInC(),
    {
      reason: 'a line of more than 255 bytes is not cut',
      correct: (expected, row) =>
        isList(row) && /[^\n]{256}/.test(bytesOf(row, 'inetcfg')) ? ANYTHING : expected,
    },
    {
      reason: 'relays are tried in the order of their lines (2012: last line first)',
      correct: (expected, row) => (isList(row) ? reversed(expected, bytesOf(row, 'inetcfg')) : expected),
    },
    ...CONTACT_RULES.map(({ reason, correct }) => ({
      reason,
      correct: (expected: readonly Contact[], row: Row) =>
        expected.map(
          (contact) =>
            contact && correct(contact, isList(row) ? entryOf(contact, row) : bytesOf(row, 'entry')),
        ),
    })),
    {
      reason: 'an entry that cannot be used is left out of the list',
      correct: (expected, row) => (isList(row) ? expected.filter((contact) => contact !== null) : expected),
    },
  ],
};

/** The line of a relay list that a contact was read from. */
function entryOf(contact: NonNullable<Contact>, row: Row): ByteString {
  const values = bytesOf(row, 'inetcfg')
    .split('\n')
    .map((line) => line.split('|', 1)[0] ?? '');
  return values.find((value) => value !== '' && value.includes(contact.host) && contact.host !== '') ?? '';
}

/** The address of a usable sender. */
function usable(sender: ByteString | null): ByteString | null {
  const address = sender === null ? null : recipientAddress(sender);
  return address?.kind === 'address' ? address.command : null;
}

/** What an address field says by RFC 5322; null when it is not one address in ASCII or UTF-8. */
function mailbox(field: ByteString): ByteString | null {
  const found = spec(field);
  const address = found && `${found.local}@${found.domain}`;
  return address !== null && isUtf8(address) ? address : null;
}

/** The value of the first From: of the header, unfolded. */
function fromField(message: ByteString): ByteString | null {
  const header = (/^[\s\S]*?(?=\r?\n\r?\n|\0|$(?![\s\S]))/.exec(message)?.[0] ?? '').replace(
    /\r?\n[ \t]+/g,
    ' ',
  );
  return /(?:^|\n)from[ \t]*:([^\r\n]*)/i.exec(header)?.[1] ?? null;
}

/** The last pair of brackets with nothing but text in it. */
function innermost(field: ByteString): ByteString {
  return [...field.matchAll(/<([^<>]*)>/g)].at(-1)?.[1] ?? '';
}

/** What the list says and, where that is no address, what the From: field says. */
function rightSender(row: Row, field: (from: ByteString) => ByteString): ByteString | null {
  const from = fromField(bytesOf(row, 'message')) ?? '';
  return mailbox(bytes(row, 'item_envelope_from') ?? '') ?? mailbox(field(from));
}

export const envfrom: Suite<ByteString | null> = {
  name: 'envfrom',
  expected: (row) => bytesOf(row, 'envelope_from'),
  // What cannot be said in MAIL FROM counts as nothing found, unless it is just what C found.
  ours: (row) => {
    const found = usable(bytes(row, 'item_envelope_from')) ?? addressInField(bytesOf(row, 'message'), 'from');
    return found === bytesOf(row, 'envelope_from') ? found : usable(found);
  },
  rules: [
    undefinedInC(),
    {
      reason: 'no usable sender: none is made up (C: someone@somewhere.org, a line of the body, a fragment)',
      correct: (expected, row) => (rightSender(row, (from) => from) === null ? null : expected),
    },
    {
      reason:
        'the sender is the whole address of the item or of the header (C loses bytes, keeps comments and brackets, and misses a field with a blank before its colon)',
      correct: (expected, row) => rightSender(row, (from) => from) ?? rightSender(row, innermost) ?? expected,
    },
  ],
};
