/**
 * What a sender asked for: the parameters of RFC 3461 (reports) and RFC 8689 (TLS), as a client gave them to the intake or to
 * `enqueue`. Values are kept as they came (xtext stays encoded), so that they can be passed on byte for byte. Pure.
 */
import type { ByteString } from '../platform/bytes.ts';

export interface RecipientDsn {
  /** `NEVER`, or some of `SUCCESS`, `FAILURE` and `DELAY` with commas; null: not given */
  readonly notify: string | null;
  /** `rfc822;` or another type, and xtext; null: not given */
  readonly orcpt: ByteString | null;
}

export interface MessageDsn {
  readonly ret: 'FULL' | 'HDRS' | null;
  /** xtext; null: not given */
  readonly envid: ByteString | null;
  /** REQUIRETLS (RFC 8689); absent: it was not asked for */
  readonly requireTls?: true;
}

export interface DsnRequest extends MessageDsn {
  /** by address as in the delivery list; those that are not here asked for nothing */
  readonly recipients: ReadonlyMap<ByteString, RecipientDsn>;
}

/** RFC 3461 4: a `+` begins two hexadecimal digits, and neither `=` nor blanks occur. */
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/;

/** RFC 3461 4.1; null: it is none. */
export function readNotify(value: string): string | null {
  const words = value.toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') return 'NEVER';
  const known = words.every((word) => /^(?:SUCCESS|FAILURE|DELAY)$/.test(word));
  return known && new Set(words).size === words.length ? words.join(',') : null;
}

/** RFC 3461 4.2: at most 500 characters; null: it is none. */
export function readOrcpt(value: ByteString): ByteString | null {
  const [, type = '', address = ''] = /^([A-Za-z0-9-]+);(.+)$/.exec(value) ?? [];
  // UTF-8 is allowed with SMTPUTF8 (RFC 6533 3).
  const isText = XTEXT.test(address) || (/^utf-8$/i.test(type) && /^[!-<>-~\x80-\xff]+$/.test(address));
  return value.length <= 500 && isText ? value : null;
}

/** RFC 3461 4.3; null: it is none. */
export function readRet(value: string): 'FULL' | 'HDRS' | null {
  const word = value.toUpperCase();
  return word === 'FULL' || word === 'HDRS' ? word : null;
}

/** RFC 3461 4.4: at most 100 characters; null: it is none. */
export function readEnvid(value: ByteString): ByteString | null {
  return value.length <= 100 && XTEXT.test(value) ? value : null;
}

export function xtextOf(text: ByteString): ByteString {
  return text.replace(
    /[^!-*,-<>-~]/g,
    (byte) => `+${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

export function textOfXtext(xtext: ByteString): ByteString {
  return xtext.replace(/\+([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** Whether the sender wants to hear of it; null: nothing was said. */
export function wants(
  { notify }: Pick<RecipientDsn, 'notify'>,
  what: 'SUCCESS' | 'FAILURE' | 'DELAY',
): boolean | null {
  return notify === null ? null : notify.split(',').includes(what);
}

/** Null: nothing was asked for. */
export function dsnRequest(
  message: MessageDsn,
  recipients: ReadonlyMap<ByteString, RecipientDsn>,
): DsnRequest | null {
  const { ret, envid, requireTls } = message;
  const isAsked = ret !== null || envid !== null || requireTls === true || recipients.size > 0;
  return isAsked ? { ret, envid, ...(requireTls === true ? { requireTls } : {}), recipients } : null;
}

/** RFC 3461 4.1 to 4.4, as parameters of RCPT and MAIL; those of a recipient of whom nothing is known are none. */
export function rcptDsnParameters({ notify, orcpt }: RecipientDsn): readonly string[] {
  return [...(notify === null ? [] : [`NOTIFY=${notify}`]), ...(orcpt === null ? [] : [`ORCPT=${orcpt}`])];
}

export function mailDsnParameters({ ret, envid }: MessageDsn): readonly string[] {
  return [...(ret === null ? [] : [`RET=${ret}`]), ...(envid === null ? [] : [`ENVID=${envid}`])];
}
