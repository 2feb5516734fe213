/**
 * What the sender is to be told of one recipient. Made from the verdict while the run knows it, else from the status
 * line, which is all that is left of a failure whose report a crash or a dead return path held up. Called by the
 * reporter (dsn/reporter.ts); decides nothing about who is told.
 */
import type { Recipient } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import { mappedEnhancedCode } from '../smtp/enhanced-code.ts';
import type { Failure } from '../smtp/outcome.ts';
import { statusText } from '../smtp/status-text.ts';

export type NoticeKind = 'failed' | 'gave-up' | 'delayed';

export interface Notice {
  readonly kind: NoticeKind;
  /** as the delivery list spells it */
  readonly recipient: ByteString;
  /** RFC 3463, of the class that fits what became of the mail */
  readonly enhanced: string;
  /** for people: the remote's words, its code, its name; one line */
  readonly words: ByteString;
  /** for machines: the reply, or what we saw where there was none; one line */
  readonly diagnostic: { readonly type: 'smtp' | 'x-spoolroom'; readonly text: ByteString };
  /** name of the server that spoke, where one did */
  readonly host: string | null;
}

/** RFC 3463: delivery time expired. The class says that the last refusal was none for good. */
const EXPIRED = '4.4.7';

const GIVEN_UP = 'given up: ';

/** The failure of a try that was the last one: no longer tried, and the status line says why it ended. */
export function expired(failure: Failure): Failure {
  return {
    ...failure,
    permanent: true,
    code: null,
    enhanced: EXPIRED,
    text: GIVEN_UP + statusText({ kind: 'failed', ...failure }, '2012'),
    peer: null,
    maybeDelivered: false,
  };
}

/** `failure` is the last try's own, before it was given up. */
export function noticeFromFailure(kind: NoticeKind, recipient: ByteString, failure: Failure): Notice {
  const { code, peer, enhanced } = failure;
  const text = oneLine(failure.text);
  return {
    kind,
    recipient,
    enhanced: kind === 'gave-up' ? EXPIRED : enhanced,
    words: statusText({ kind: 'failed', ...failure }, '2012'),
    diagnostic:
      code === null
        ? { type: 'x-spoolroom', text: peer === null ? text : `${peer.host} ${text}` }
        : { type: 'smtp', text: `${code} ${text}` },
    host: peer?.host ?? null,
  };
}

/** From the line of a refused recipient, in any server's words. */
export function noticeFromLine({ address, text }: Recipient): Notice {
  const inner = /^\d{3} \((.*)\)$/.exec(text)?.[1] ?? text;
  const kind = inner.startsWith(GIVEN_UP) ? 'gave-up' : 'failed';
  const words = kind === 'gave-up' ? inner.slice(GIVEN_UP.length) : inner;
  const code = codeIn(words);
  return {
    kind,
    recipient: address,
    enhanced: kind === 'gave-up' ? EXPIRED : (ENHANCED.exec(words)?.[0] ?? fromCode(code)),
    words,
    diagnostic:
      code === null ? { type: 'x-spoolroom', text: words } : { type: 'smtp', text: withCode(code, words) },
    host: null,
  };
}

function fromCode(code: number | null): string {
  return code === null ? '5.0.0' : mappedEnhancedCode('rcpt', code, true);
}

const ENHANCED = /\b5\.\d{1,3}\.\d{1,3}\b/;

/** `550 no such user`, or `no such user (550, mx.example [192.0.2.1])`. */
function codeIn(words: ByteString): number | null {
  const [, before, behind] = /^([45]\d\d) |\(([45]\d\d), [^()]*\)/.exec(words) ?? [];
  const digits = before ?? behind;
  return digits === undefined ? null : Number(digits);
}

function withCode(code: number, words: ByteString): ByteString {
  return words.startsWith(`${code} `) ? words : `${code} ${words}`;
}

function oneLine(text: ByteString): ByteString {
  return text.replace(/[\r\n\0]+/g, ' ');
}
