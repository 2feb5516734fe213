/**
 * An outcome as a status digit and one line of text for the delivery list: the server's text first, as the C module writes
 * it, then the code and the host, which the C module leaves out (R082, R101).
 */
import type { Dialect } from '../delivery-list/job.ts';
import { type ByteString, trimmed } from '../platform/bytes.ts';
import type { Outcome, Peer } from './outcome.ts';

/** In bytes. Servers since 2017 cut a line of the delivery list at 4095 bytes, older ones nowhere. */
const MAX_LENGTH = 1000;

export function statusDigit(outcome: Outcome): 2 | 4 | 5 {
  if (outcome.kind === 'delivered') return 2;
  return outcome.permanent ? 5 : 4;
}

/** The text field of a `remote|` line: no line end, no bar, no NUL (R066). The dialect of 2017 has `CODE (text)`. */
export function statusText(outcome: Outcome, dialect: Dialect): ByteString {
  const whole = inOneLine(fullText(outcome, inOneLine(outcome.text), dialect));
  const text = whole.length > MAX_LENGTH ? `${whole.slice(0, MAX_LENGTH - 3)}...` : whole;
  return dialect === '2017' ? `${outcome.code ?? codeWithoutReply(outcome)} (${text})` : text;
}

function fullText(outcome: Outcome, text: ByteString, dialect: Dialect): ByteString {
  const peer = outcome.peer === null ? '' : describePeer(outcome.peer);
  const doubt = outcome.kind === 'failed' && outcome.maybeDelivered ? '; the message may have arrived' : '';
  if (outcome.code === null) return `${peer === '' ? '' : `${peer} `}${text}${doubt}`;
  return dialect === '2017'
    ? `${outcome.code} ${text}, ${peer}${doubt}`
    : `${text} (${outcome.code}, ${peer})${doubt}`;
}

export function describePeer(peer: Peer): string {
  const port = peer.port === 25 ? '' : `:${peer.port}`;
  return peer.address === null || peer.address === peer.host
    ? `[${peer.host}]${port}`
    : `${peer.host} [${peer.address}]${port}`;
}

/** The code a server of 2017 writes when there was no reply. */
function codeWithoutReply(outcome: Outcome): number {
  return statusDigit(outcome) === 5 ? 550 : 421;
}

/**
 * The lines of a reply as one, for the log. Servers repeat the enhanced code (RFC 3463) in each line; here it stands once. In
 * delivery lists it stays repeated, as the C module writes it.
 */
export function joinedLines(text: ByteString): ByteString {
  return inOneLine(text.includes('\n') ? codeOnce(text) : text);
}

/** Still with its lines. */
export function codeOnce(text: ByteString): ByteString {
  const code = /^[245]\.\d{1,3}\.\d{1,3} /.exec(text)?.[0];
  return code === undefined ? text : text.replaceAll(`\n${code}`, '\n');
}

/** What a line of a delivery list cannot hold, a bar among it, and blanks at its ends. Most replies have neither. */
const UNFIT = /[\r\n\0|]|^[ \t]|[ \t]$/;

function inOneLine(text: ByteString): ByteString {
  return UNFIT.test(text) ? trimmed(text.replace(/[\r\n\0|]+/g, ' ')) : text;
}
