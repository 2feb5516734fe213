/**
 * What a report says about one recipient. Made from the failure while the run knows it, otherwise from the status line,
 * which is all that is left when a crash or an unreachable return path held up the report.
 */
import type { Recipient } from '../delivery-list/job.ts';
import { oneLine } from '../message/header-text.ts';
import type { ByteString } from '../platform/bytes.ts';
import { mappedEnhancedCode } from '../smtp/enhanced-code.ts';
import type { Acceptance, Failure } from '../smtp/outcome.ts';
import { statusText } from '../smtp/status-text.ts';

/** `relayed`: accepted by a server that reports no success (RFC 3461 5.2.2) */
export type NoticeKind = 'failed' | 'gave-up' | 'delayed' | 'relayed';

export interface Notice {
  readonly kind: NoticeKind;
  /** as the delivery list spells it */
  readonly recipient: ByteString;
  /** RFC 3463 */
  readonly enhanced: string;
  /** for people, one line: the server's reply, its code and its name */
  readonly text: ByteString;
  /** for programs, one line: the server's reply, or what was observed when there was none */
  readonly diagnostic: { readonly type: 'smtp' | 'x-spoolroom'; readonly text: ByteString };
  /** name of the server that replied */
  readonly host: string | null;
}

/** RFC 3463: delivery time expired. Class 4, because the last failure was temporary. */
const EXPIRED = '4.4.7';

const GIVEN_UP = 'given up: ';

/** The failure of the last attempt before giving up, as the status line records it. */
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

/** `failure` is that of the last attempt, before `expired`. */
export function noticeFromFailure(kind: NoticeKind, recipient: ByteString, failure: Failure): Notice {
  const { code, peer, enhanced } = failure;
  const reply = oneLine(failure.text);
  return {
    kind,
    recipient,
    enhanced: kind === 'gave-up' ? EXPIRED : enhanced,
    text: statusText({ kind: 'failed', ...failure }, '2012'),
    diagnostic:
      code === null
        ? { type: 'x-spoolroom', text: peer === null ? reply : `${peer.host} ${reply}` }
        : { type: 'smtp', text: `${code} ${reply}` },
    host: peer?.host ?? null,
  };
}

export function noticeOfRelay(recipient: ByteString, acceptance: Acceptance): Notice {
  const { code, enhanced, text, peer } = acceptance;
  return {
    kind: 'relayed',
    recipient,
    enhanced,
    text: statusText({ kind: 'delivered', ...acceptance }, '2012'),
    diagnostic: { type: 'smtp', text: `${code} ${oneLine(text)}` },
    host: peer.host,
  };
}

/** From the status line of a refused recipient, written by any version of Citadel. */
export function noticeFromLine({ address, text: line }: Recipient): Notice {
  const inner = /^\d{3} \((.*)\)$/.exec(line)?.[1] ?? line;
  const kind = inner.startsWith(GIVEN_UP) ? 'gave-up' : 'failed';
  const text = kind === 'gave-up' ? inner.slice(GIVEN_UP.length) : inner;
  const code = codeIn(text);
  return {
    kind,
    recipient: address,
    enhanced: kind === 'gave-up' ? EXPIRED : (ENHANCED.exec(text)?.[0] ?? fromCode(code)),
    text,
    diagnostic: code === null ? { type: 'x-spoolroom', text } : { type: 'smtp', text: withCode(code, text) },
    host: null,
  };
}

function fromCode(code: number | null): string {
  return code === null ? '5.0.0' : mappedEnhancedCode('rcpt', code, true);
}

const ENHANCED = /\b5\.\d{1,3}\.\d{1,3}\b/;

/** `550 no such user`, or `no such user (550, mx.example [192.0.2.1])`. */
function codeIn(text: ByteString): number | null {
  const [, leading, trailing] = /^([45]\d\d) |\(([45]\d\d), [^()]*\)/.exec(text) ?? [];
  const digits = leading ?? trailing;
  return digits === undefined ? null : Number(digits);
}

function withCode(code: number, text: ByteString): ByteString {
  return text.startsWith(`${code} `) ? text : `${code} ${text}`;
}
