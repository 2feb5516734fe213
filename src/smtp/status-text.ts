/**
 * A verdict as a status digit and one line of text for the delivery list: the remote's words first, as the C module
 * wrote them, then the code and the host, which it left out (R082, R101). Called by the queue run.
 */
import type { Dialect } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Outcome, Peer } from './outcome.ts';

/** 2012 and 2016 readers take lines of any length, 2017's cut them at 4095 bytes (formats 1.5). */
const LONGEST_TEXT = 1000;

export function statusDigit(verdict: Outcome): 2 | 4 | 5 {
  if (verdict.kind === 'delivered') return 2;
  return verdict.permanent ? 5 : 4;
}

/** Ready for a `remote|` line: no line end, no bar, no NUL (R066). 2017 writes `CODE (text)`. */
export function statusText(verdict: Outcome, dialect: Dialect): ByteString {
  const text = shortened(oneLine(sentence({ ...verdict, text: oneLine(verdict.text) }, dialect)));
  return dialect === '2017' ? `${verdict.code ?? codeWithoutReply(verdict)} (${text})` : text;
}

function sentence(verdict: Outcome, dialect: Dialect): ByteString {
  const where = verdict.peer === null ? '' : place(verdict.peer);
  const doubt = verdict.kind === 'failed' && verdict.maybeDelivered ? '; the message may have arrived' : '';
  if (verdict.code === null) return `${where === '' ? '' : `${where} `}${verdict.text}${doubt}`;
  const said = `${verdict.code} ${verdict.text}`;
  return dialect === '2017'
    ? `${said}, ${where}${doubt}`
    : `${verdict.text} (${verdict.code}, ${where})${doubt}`;
}

export function place(peer: Peer): string {
  const port = peer.port === 25 ? '' : `:${peer.port}`;
  return peer.address === null || peer.address === peer.host
    ? `[${peer.host}]${port}`
    : `${peer.host} [${peer.address}]${port}`;
}

/** What a 2017 server writes when no answer came. */
function codeWithoutReply(verdict: Outcome): number {
  return statusDigit(verdict) === 5 ? 550 : 421;
}

function oneLine(text: ByteString): ByteString {
  // trim() would also take 0xA0, the last byte of a UTF-8 letter.
  return text.replace(/[\r\n\0|]+/g, ' ').replace(/^[ \t]+|[ \t]+$/g, '');
}

function shortened(text: ByteString): ByteString {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 3)}...` : text;
}
