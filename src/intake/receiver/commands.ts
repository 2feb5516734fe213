/**
 * Command lines of SMTP and LMTP, read into what they ask for (RFC 5321 4.1.1). Addresses are judged here, because that needs
 * nothing but the address; whether a command may come now is the table's business. Linear in the length of the line.
 */
import { type ByteString, detached, trimmed } from '../../platform/bytes.ts';
import { recipientAddress } from '../../routing/address.ts';
import {
  type MessageDsn,
  type RecipientDsn,
  readEnvid,
  readNotify,
  readOrcpt,
  readRet,
} from '../../smtp/dsn-request.ts';
import { BOUNDS } from './bounds.ts';

/** An address as the queue keeps it, or why it cannot be used. */
export type Mailbox =
  | { readonly kind: 'address'; readonly address: ByteString; readonly smtputf8: boolean }
  /** a sentence without its final dot */
  | { readonly kind: 'unusable'; readonly why: string };

export type Command =
  | { readonly type: 'EHLO' | 'HELO' | 'LHLO'; readonly client: ByteString }
  | {
      readonly type: 'MAIL';
      readonly sender: Mailbox;
      /** SIZE=, bytes; 0: not given */
      readonly size: number;
      readonly smtputf8: boolean;
      readonly dsn: MessageDsn;
      /** it asks for what we do not offer and must not ignore */
      readonly unsupported: string | null;
    }
  /** null: `<Postmaster>` without a domain, which every server takes (RFC 5321 4.5.1) */
  | { readonly type: 'RCPT'; readonly recipient: Mailbox | null; readonly dsn: RecipientDsn }
  | { readonly type: 'BDAT'; readonly size: number; readonly last: boolean }
  | { readonly type: 'AUTH'; readonly mechanism: string; readonly initial: ByteString | null }
  | { readonly type: 'DATA' | 'RSET' | 'NOOP' | 'VRFY' | 'HELP' | 'QUIT' }
  /** `early`: the client went on without waiting for the answer */
  | { readonly type: 'STARTTLS'; readonly early: boolean }
  | { readonly type: 'bad-syntax'; readonly verb: Verb }
  /** nobody knows how many octets follow */
  | { readonly type: 'bad-chunk-size' }
  | { readonly type: 'unknown' }
  /** a browser was made to talk to us */
  | { readonly type: 'http' }
  | { readonly type: 'too-long' };

/** How each command is written; shown to clients that write it otherwise. */
export const SYNTAX = {
  EHLO: 'EHLO hostname',
  HELO: 'HELO hostname',
  LHLO: 'LHLO hostname',
  MAIL: 'MAIL FROM:<address> [parameters]',
  RCPT: 'RCPT TO:<address> [parameters]',
  DATA: 'DATA',
  BDAT: 'BDAT size [LAST]',
  RSET: 'RSET',
  NOOP: 'NOOP [text]',
  VRFY: 'VRFY address',
  HELP: 'HELP [text]',
  QUIT: 'QUIT',
  STARTTLS: 'STARTTLS',
  AUTH: 'AUTH mechanism [initial-response]',
} as const;

export type Verb = keyof typeof SYNTAX;

export const VERBS = Object.keys(SYNTAX) as readonly Verb[];

const HTTP = /^(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE) /i;

/** @param line without its line end, one character per byte */
export function readCommand(line: ByteString): Command {
  // What follows BDAT is a chunk, whatever stands behind the word: none of its bytes must become a command.
  const [, word = '', rest = ''] = /^([A-Za-z]{4,8})((?:[^A-Za-z0-9].*)?)$/s.exec(line) ?? [];
  const verb = word.toUpperCase();
  if (!(verb in READERS)) return { type: HTTP.test(line) ? 'http' : 'unknown' };
  const isEnded = rest === '' || /^[ \t]/.test(rest);
  const command = isEnded ? READERS[verb as Verb](trimmed(rest), rest) : null;
  return command ?? badSyntax(verb as Verb);
}

function badSyntax(verb: Verb): Command {
  return verb === 'BDAT' ? { type: 'bad-chunk-size' } : { type: 'bad-syntax', verb };
}

/** What stands behind the verb, without its blanks and as it came. Null: it is not understood. */
type Reader = (text: ByteString, raw: ByteString) => Command | null;

const READERS: { readonly [verb in Verb]: Reader } = {
  EHLO: (text) => hello('EHLO', text),
  HELO: (text) => hello('HELO', text),
  LHLO: (text) => hello('LHLO', text),
  MAIL: (text) => {
    const [path, parameters] = pathAndParameters('FROM', text) ?? [];
    return path === undefined || parameters === undefined ? null : mail(path, parameters);
  },
  RCPT: (text) => {
    const [path = '', parameters] = pathAndParameters('TO', text) ?? [];
    return path === '' || parameters === undefined ? null : rcpt(path, parameters);
  },
  BDAT: (_, raw) => {
    const [, size, last] = /^ +(\d{1,15})( +LAST)? *$/i.exec(raw) ?? [];
    return size === undefined ? null : { type: 'BDAT', size: Number(size), last: last !== undefined };
  },
  AUTH: (text) => {
    const [, mechanism = '', initial] = /^([\w-]{1,20})(?: +(\S+))?$/.exec(text) ?? [];
    return mechanism === ''
      ? null
      : { type: 'AUTH', mechanism: mechanism.toUpperCase(), initial: initial ?? null };
  },
  STARTTLS: (text) => (text === '' ? { type: 'STARTTLS', early: false } : null),
  DATA: (text) => (text === '' ? { type: 'DATA' } : null),
  RSET: (text) => (text === '' ? { type: 'RSET' } : null),
  QUIT: (text) => (text === '' ? { type: 'QUIT' } : null),
  VRFY: (text) => (text === '' || /[\0-\x1f]/.test(text) ? null : { type: 'VRFY' }),
  NOOP: () => ({ type: 'NOOP' }),
  HELP: () => ({ type: 'HELP' }),
};

/** Whatever a client calls itself is taken, as long as it is one word: it is only written down. */
function hello(type: 'EHLO' | 'HELO' | 'LHLO', text: ByteString): Command | null {
  return /^[!-~\x80-\xff]{1,255}$/.test(text) ? { type, client: text } : null;
}

/** `FROM:<path> parameters`; a source route is dropped (RFC 5321 4.1.1.3). Blanks before the bracket are common. */
const PATH =
  /^([A-Z]+)[ \t]*:[ \t]*<(?:@[^:<>"\x00-\x1f]*:)?((?:[^<>"\x00-\x1f\x7f]|"(?:[^"\\\x00-\x1f]|\\[ -~])*")*)>(?:[ \t]+(.*))?$/is;

type Parameters = ReadonlyMap<string, string | null>;

function pathAndParameters(
  word: 'FROM' | 'TO',
  text: ByteString,
): readonly [path: ByteString, parameters: Parameters] | null {
  const [, given = '', path, rest = ''] = PATH.exec(text) ?? [];
  if (path === undefined || given.toUpperCase() !== word) return null;
  const parameters = new Map<string, string | null>();
  for (const parameter of rest.split(/[ \t]+/)) {
    if (parameter === '') continue;
    const [, name, value = null] =
      /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?$/.exec(parameter) ?? [];
    if (name === undefined || parameters.has(name.toUpperCase())) return null;
    parameters.set(name.toUpperCase(), value);
  }
  return [path, parameters];
}

/** RFC 3461 4: a parameter that is wrong is an error of syntax. Undefined: it is wrong; null: not given. */
function dsnParameter<T>(
  parameters: Parameters,
  name: string,
  read: (value: string) => T | null,
): T | null | undefined {
  const given = parameters.get(name);
  if (given === undefined) return null;
  return given === null ? undefined : (read(given) ?? undefined);
}

function rcpt(path: ByteString, parameters: Parameters): Command | null {
  const notify = dsnParameter(parameters, 'NOTIFY', readNotify);
  const orcpt = dsnParameter(parameters, 'ORCPT', readOrcpt);
  if (notify === undefined || orcpt === undefined) return null;
  const recipient = /^postmaster$/i.test(path) ? null : mailbox(path);
  return { type: 'RCPT', recipient, dsn: { notify, orcpt: orcpt === null ? null : detached(orcpt) } };
}

/** Parameters that were not offered are ignored, but for those that demand what we cannot keep. */
function mail(path: ByteString, parameters: Parameters): Command | null {
  const {
    SIZE: size = '0',
    BODY: body = '7BIT',
    SMTPUTF8: utf8,
    REQUIRETLS: requireTls,
  } = Object.fromEntries(parameters);
  if (size === null || !/^\d{1,20}$/.test(size) || body === null || typeof utf8 === 'string') return null;
  if (typeof requireTls === 'string') return null;
  const ret = dsnParameter(parameters, 'RET', readRet);
  const envid = dsnParameter(parameters, 'ENVID', readEnvid);
  if (ret === undefined || envid === undefined) return null;
  const unsupported = /^(?:7BIT|8BITMIME)$/i.test(body) ? null : `BODY=${body.slice(0, 20)}`;
  return {
    type: 'MAIL',
    sender: path === '' ? { kind: 'address', address: '', smtputf8: false } : mailbox(path),
    size: Number(size),
    smtputf8: utf8 === null,
    dsn: {
      ret,
      envid: envid === null ? null : detached(envid),
      ...(requireTls === null ? { requireTls: true } : {}),
    },
    unsupported,
  };
}

function mailbox(path: ByteString): Mailbox {
  if (path.length > BOUNDS.address.value) return { kind: 'unusable', why: 'This address is too long' };
  const address = recipientAddress(path);
  if (address.kind === 'unusable')
    return { kind: 'unusable', why: `This address cannot be used: ${address.reason}` };
  if (address.command.includes('|'))
    return {
      kind: 'unusable',
      why: 'This address cannot be used: a delivery list cannot contain a bar (|)',
    };
  return { kind: 'address', address: detached(address.command), smtputf8: address.smtputf8 };
}
