/**
 * Texts for failures about which the server said nothing itself. They complete "HOST ..." and appear in status lines, logs
 * and reports. Printed into techdoc/delivery-states.md.
 */
import type { ByteString } from '../../platform/bytes.ts';
import type { Stage } from '../outcome.ts';
import type { UnsupportedRequirement } from '../transaction.ts';
import type { SessionEvent } from './session.ts';
import { STATES } from './states.ts';

/** Describes an event that is not a reply; completes "HOST ...". */
export function describeEvent(event: SessionEvent, stage: Stage): ByteString {
  const phrase = stage in STATES ? STATES[stage as keyof typeof STATES].phrase : stage;
  switch (event.type) {
    case 'timeout':
      return `said nothing for ${event.seconds} second${event.seconds === 1 ? '' : 's'} while we were ${phrase}`;
    case 'connection-lost':
      return `${event.text} while we were ${phrase}`;
    case 'protocol-error':
      return `does not speak SMTP: "${excerpt(event.text)}" while we were ${phrase}`;
    case 'early-talker':
      return `spoke before it was asked: "${excerpt(event.text)}" while we were ${phrase}`;
    case 'tls-failed':
      return event.text;
    case 'payload-error':
      return `the message could not be read to its end: ${event.text}`;
    case 'reply':
    case 'secured':
    case 'start-transaction':
    case 'quit':
    case 'body-sent':
      return '';
  }
}

function excerpt(text: ByteString): ByteString {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Why this peer cannot take this message, and the subject and detail of the RFC 3463 code for it. */
export const UNSUPPORTED: {
  readonly [name in UnsupportedRequirement]: (
    size: number,
    limit: number,
  ) => { readonly detail: string; readonly text: string };
} = {
  size: (size, limit) => ({
    detail: '3.4',
    text: `the message has ${size} bytes, the server takes at most ${limit}`,
  }),
  'eight-bit': () => ({
    detail: '6.3',
    text: 'the message holds 8-bit text that cannot be encoded, and the server does not offer 8BITMIME',
  }),
  smtputf8: () => ({
    detail: '6.7',
    text: 'an address needs SMTPUTF8 and the server does not offer it',
  }),
  requiretls: () => ({
    detail: '7.30',
    text: 'the sender of the message demands TLS on its whole way (REQUIRETLS), and the server does not promise that',
  }),
};
