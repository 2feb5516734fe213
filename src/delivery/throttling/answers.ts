/**
 * Replies by which a server asks us to send less. Data; the first row that fits counts, a reply without one is not about our
 * rate. Printed into techdoc/throttling.md.
 */
import type { Failure } from '../../smtp/outcome.ts';

interface Answer {
  readonly code: 421 | '4yz';
  /** of the reply, which begins with its enhanced code (RFC 3463), if it has one */
  readonly text: RegExp;
  readonly throttles: boolean;
  readonly why: string;
}

/** What replies about rate, volume or reputation say. */
const RATE =
  /\brate\b|rate.?limit|too many (?!recipients|hops|errors)|too fast|too much mail|slow(?:ing)? down|throttl|unusual|reputation|complaints|excessive|volume|limit reached|exceed|concurrent/i;

export const ANSWERS: readonly Answer[] = [
  {
    code: '4yz',
    text: /gr[ea]y-?list/i,
    throttles: false,
    why: 'greylisting is about one sender and recipient, and a later attempt succeeds',
  },
  {
    code: '4yz',
    text: /too many (?:recipients|hops|errors)|\bTLS\b|authenticat|mailbox|quota|time ?(?:limit|out)|timed out|\buser\b.*\bis receiving\b|\bmessages to \S+@/is,
    throttles: false,
    why: 'about this message, this recipient, the protocol or a time limit',
  },
  {
    code: 421,
    text: /^4\.7\.0\b/,
    throttles: true,
    why: 'Gmail, Yahoo: rate or reputation of our address; the connection is closed',
  },
  {
    code: '4yz',
    text: /^4\.7\.(?:28|500|65[0-4])\b/,
    throttles: true,
    why: 'Gmail (4.7.28) and Microsoft (4.7.500, 4.7.650 and following): rate limited',
  },
  {
    code: '4yz',
    text: /\[(?:TSS?|IPTS)\d\d\]|\bRP-00[1-3]\b|\bOFR_?\d*_?1?0[45689]\b/,
    throttles: true,
    why: "Yahoo's, Microsoft's and Orange's own codes for it",
  },
  {
    code: '4yz',
    text: /\btemporarily (?:deferred|rate limited|limited)\b|^(?:4\.\d+\.\d+ )?deferred\b|rate.?limit/i,
    throttles: true,
    why: 'the words of the large receivers',
  },
  {
    code: 421,
    text: RATE,
    throttles: true,
    why: 'a closed connection with a word about rate, volume or reputation',
  },
  {
    code: '4yz',
    text: new RegExp(`^4\\.(?:7\\.\\d+|3\\.2|4\\.5|5\\.3)\\b.*(?:${RATE.source})`, 'is'),
    throttles: true,
    why: 'RFC 3463: policy, or a system that accepts no mail now, with such a word',
  },
];

/** Replies while we are let in; after TLS and AUTH began, a refusal is about those. */
const STAGES: ReadonlySet<string> = new Set([
  'greeting',
  'ehlo',
  'helo',
  'mail',
  'rcpt',
  'data',
  'body',
  'dot',
]);

export function isThrottling({ permanent, code, stage, text }: Failure): boolean {
  if (permanent || code === null || code >= 500 || !STAGES.has(stage)) return false;
  return (
    ANSWERS.find((each) => (each.code !== 421 || code === 421) && each.text.test(text))?.throttles ?? false
  );
}

/** Said while other sessions with the host are open, it is a limit of sessions, and no pause is needed. */
export function isAboutSessions({ text }: Pick<Failure, 'text'>): boolean {
  return /\b(?:connections?|connexions|sessions?)\b/i.test(text);
}
