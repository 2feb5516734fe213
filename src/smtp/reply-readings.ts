/**
 * Replies that are read otherwise than by their class: where RFC 5321 itself reads them otherwise, where a later RFC does, or
 * where they speak of the host and not of the message. Data; the first reading that fits is taken, a reply without one means
 * what its class says. Printed into techdoc/delivery-states.md.
 */
import type { StateName } from './machine/states.ts';
import type { Reply } from './reply.ts';

export type Meaning =
  /** this recipient needs another transaction */
  | 'another transaction'
  /** about the message or the recipient, as at this place, but tried again in another run */
  | 'temporary'
  /** the next host is tried; temporary when there is none */
  | 'host'
  /** the next host is tried; permanent when every host says so */
  | 'host, permanent';

export interface Reading {
  readonly in: readonly StateName[];
  readonly codes: readonly number[] | '4yz' | '5yz' | 'any refusal';
  /** subject and detail of the enhanced code (RFC 3463); '' fits a reply without one. Absent: whatever it is. */
  readonly enhanced?: RegExp;
  /** of the reply. Absent: whatever it says. */
  readonly text?: RegExp;
  /** whether a recipient of the transaction was accepted before. Absent: either. */
  readonly accepted?: boolean;
  /** of a relay that we have chosen. Absent: of any host. */
  readonly relay?: true;
  readonly meaning: Meaning;
  readonly why: string;
}

const INITIATION = ['greeting', 'ehlo', 'helo'] as const;
const ENVELOPE = ['mail', 'rcpt', 'data'] as const;

const TOO_MANY = /\btoo many (?:recipients|rcpt)/i;

/** In words: the host is in trouble, whatever it is asked. */
export const HOST_TROUBLE =
  /\b(?:busy|overload(?:ed)?|load|too many (?:connections|sessions)|temporarily unavailable|not available|shutting down|resources|disk|memory|maintenance)\b/i;

/** A server that does not take mail for others from us. */
export const NO_RELAYING =
  /\brelaying\b|\brelay (?:access|not|denied|prohibited)|(?:\bto|not) relay\b|rcpthosts|auth(?:entication)? (?:is )?required|(?:must|please|first) authenticate|not authenticated|log ?in first/i;

export const READINGS: readonly Reading[] = [
  {
    in: [...ENVELOPE, 'body', 'dot'],
    codes: '5yz',
    text: /\b(?:EHLO|HELO|hostname)\b/i,
    meaning: 'temporary',
    why: 'the name in EHLO is ours, and says nothing about the message; servers check it as late as at RCPT TO',
  },
  {
    in: ['mail'],
    codes: '5yz',
    text: NO_RELAYING,
    relay: true,
    meaning: 'host',
    why: 'a relay of ours that does not know us: the settings are wrong, not the message',
  },
  {
    in: ['rcpt'],
    codes: '5yz',
    text: NO_RELAYING,
    relay: true,
    meaning: 'temporary',
    why: 'the same, said of a recipient; others may be accepted',
  },
  {
    in: ['rcpt'],
    codes: 'any refusal',
    enhanced: /^5\.3$/,
    accepted: true,
    meaning: 'another transaction',
    why: 'RFC 3463: too many recipients',
  },
  {
    in: ['rcpt'],
    codes: 'any refusal',
    enhanced: /^5\.3$/,
    meaning: 'temporary',
    why: 'too many recipients, said of the first one: a limit of the session or of time',
  },
  {
    in: ['rcpt'],
    codes: 'any refusal',
    text: TOO_MANY,
    accepted: true,
    meaning: 'another transaction',
    why: 'the same in words, with whatever code',
  },
  {
    in: ['rcpt'],
    codes: 'any refusal',
    text: TOO_MANY,
    meaning: 'temporary',
    why: 'the same in words, said of the first one',
  },
  {
    in: ['rcpt'],
    codes: [452, 552],
    enhanced: /^(|3\.[01])$/,
    accepted: true,
    meaning: 'another transaction',
    why: 'RFC 5321 4.5.3.1.10: 452 is too many recipients, and 552, from RFC 821, is read as 452',
  },
  {
    in: ['rcpt'],
    codes: [552],
    enhanced: /^$/,
    meaning: 'temporary',
    why: 'the same: a limit, or a full mailbox, which may be emptied',
  },
  {
    in: [...INITIATION, 'mail'],
    codes: [521, 556],
    meaning: 'host, permanent',
    why: 'RFC 7504: this host takes no mail at all',
  },
  {
    in: ENVELOPE,
    codes: [454, 530, 534, 535, 538],
    meaning: 'host',
    why: 'RFC 4954, RFC 3207: it wants another session, with TLS or with other credentials',
  },
  {
    in: ENVELOPE,
    codes: [500, 502, 503],
    enhanced: /^(|5\.[012])$/,
    meaning: 'host',
    why: 'RFC 5321 4.2.4: commands that every server knows, in the right order: it has lost track',
  },
  {
    in: ['body', 'dot'],
    codes: [502, 503],
    enhanced: /^(|5\.[012])$/,
    meaning: 'temporary',
    why: 'the same, behind the message',
  },
  {
    in: ['mail'],
    codes: [552],
    enhanced: /^(|2\.3|3\.4)$/,
    meaning: 'host, permanent',
    why: 'RFC 1870: larger than this host takes, which another host may',
  },
  {
    in: ['mail', 'data'],
    codes: '5yz',
    enhanced: /^(3\.4|6\.[137])$/,
    meaning: 'host, permanent',
    why: 'RFC 3463, RFC 6531: size, 8-bit content or SMTPUTF8, which another host may take',
  },
  {
    in: ['rcpt'],
    codes: '5yz',
    enhanced: /^6\.7$/,
    accepted: false,
    meaning: 'host, permanent',
    why: 'RFC 6531: SMTPUTF8, which another host may take',
  },
  {
    in: ['mail'],
    codes: [451, 452],
    enhanced: /^$/,
    meaning: 'host',
    why: 'RFC 5321 4.2.3: a local error, no storage',
  },
  {
    in: ['mail', 'data'],
    codes: '4yz',
    enhanced: /^$/,
    text: HOST_TROUBLE,
    meaning: 'host',
    why: 'the same in words',
  },
  {
    in: ['mail'],
    codes: '4yz',
    enhanced: /^7\.0$/,
    meaning: 'host',
    why: 'before any recipient is known it can only be about us and this host',
  },
  {
    in: ['mail', 'data'],
    codes: '4yz',
    enhanced: /^[34]\./,
    meaning: 'host',
    why: 'RFC 3463: its mail system (4.3.z) or its network (4.4.z)',
  },
  {
    in: ['rcpt'],
    codes: '4yz',
    enhanced: /^[34]\./,
    accepted: false,
    meaning: 'host',
    why: 'the same; where it has accepted a recipient already, the others are told apart',
  },
];

/** null: what its class says. */
export function readingOf(
  { code, enhanced, text }: Reply,
  stage: StateName,
  { accepted, relay }: { readonly accepted: boolean; readonly relay: boolean },
): Reading | null {
  const detail = enhanced?.slice(2) ?? '';
  const fits = (each: Reading): boolean =>
    each.in.includes(stage) &&
    hasCode(each.codes, code) &&
    (each.enhanced?.test(detail) ?? true) &&
    (each.text?.test(text) ?? true) &&
    (each.accepted ?? accepted) === accepted &&
    (each.relay ?? relay) === relay;
  return READINGS.find(fits) ?? null;
}

function hasCode(codes: Reading['codes'], code: number): boolean {
  if (typeof codes !== 'string') return codes.includes(code);
  return code >= (codes === '5yz' ? 500 : 400) && code < (codes === '4yz' ? 500 : 600);
}
