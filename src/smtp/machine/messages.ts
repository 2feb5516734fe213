/**
 * Our own sentences for what a server did not put into words. They complete "HOST ..." and end up in status
 * lines, logs and reports; the table is printed into techdoc/delivery-states.md.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { Stage } from '../outcome.ts';
import type { UnsupportedRequirement } from '../transaction.ts';
import type { SessionEvent } from './session.ts';
import { STATES } from './states.ts';

/** What an event without a reply means, for people. */
export function describeEvent(event: SessionEvent, stage: Stage): ByteString {
  const phrase = stage in STATES ? STATES[stage as keyof typeof STATES].phrase : stage;
  switch (event.type) {
    case 'silence':
      return `said nothing for ${event.seconds} second${event.seconds === 1 ? '' : 's'} while we were ${phrase}`;
    case 'lost':
      return `${event.text} while we were ${phrase}`;
    case 'garbage':
      return `does not speak SMTP: "${excerpt(event.text)}" while we were ${phrase}`;
    case 'early':
      return `spoke before it was asked: "${excerpt(event.text)}" while we were ${phrase}`;
    case 'tls-failed':
      return event.text;
    case 'payload-lost':
      return `the message could not be read to its end: ${event.text}`;
    case 'reply':
    case 'secured':
    case 'offer':
    case 'leave':
    case 'body-sent':
      return '';
  }
}

function excerpt(text: ByteString): ByteString {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Why this peer cannot take this message, and the RFC 3463 code for it. */
export const UNSUPPORTED: {
  readonly [name in UnsupportedRequirement]: (
    size: number,
    limit: number,
  ) => { readonly enhanced: string; readonly text: string };
} = {
  size: (size, limit) => ({
    enhanced: '5.3.4',
    text: `the message has ${size} bytes, the server takes at most ${limit}`,
  }),
  'eight-bit': () => ({
    enhanced: '5.6.3',
    text: 'the message holds 8-bit text and the server does not offer 8BITMIME',
  }),
  smtputf8: () => ({
    enhanced: '5.6.7',
    text: 'an address needs SMTPUTF8 and the server does not offer it',
  }),
};
