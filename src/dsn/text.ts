/**
 * The human-readable part of a report: a sentence for each kind of notice, the recipients with what their servers replied,
 * and the room the message was posted in. The sentences are those of Citadel's C module. Text comes in decoded.
 */
import { rfc5322Date } from '../message/dates.ts';
import type { NoticeKind } from './notice.ts';

export interface RecipientSummary {
  readonly kind: NoticeKind;
  readonly recipient: string;
  readonly text: string;
}

/** The sections in order. `until` is when delivery will be given up, Unix seconds. */
const SECTIONS: readonly { readonly kind: NoticeKind; sentence(until: number | null): readonly string[] }[] =
  [
    {
      kind: 'failed',
      sentence: () => [
        'A message you sent could not be delivered to some or all of its recipients.',
        'The following addresses were undeliverable:',
      ],
    },
    {
      kind: 'gave-up',
      sentence: () => [
        'A message you sent could not be delivered to some or all of its recipients',
        'due to prolonged unavailability of its destination(s).',
        'Giving up on the following addresses:',
      ],
    },
    {
      kind: 'delayed',
      sentence: (until) => [
        'A message you sent has not been delivered to some or all of its recipients yet.',
        `${untilSentence(until)} You need not send it again.`,
        'The following addresses are delayed:',
      ],
    },
    {
      kind: 'relayed',
      sentence: () => [
        'A message you sent was accepted for some or all of its recipients by servers that do not',
        'report its delivery. You will hear nothing more of it unless it fails.',
        'The following addresses were relayed to:',
      ],
    },
  ];

/** CRLF line ends. */
export function humanText(
  recipients: readonly RecipientSummary[],
  sourceRoom: string | null,
  until: number | null,
): string {
  const sections = SECTIONS.flatMap(({ kind, sentence }) => {
    const group = recipients.filter((each) => each.kind === kind);
    if (group.length === 0) return [];
    return [...sentence(until), '', ...group.map(({ recipient, text }) => `${recipient}: ${text}`), ''];
  });
  const origin = sourceRoom === null ? [] : [`The message was originally posted in: ${sourceRoom}`, ''];
  return [...sections, ...origin].join('\r\n');
}

function untilSentence(until: number | null): string {
  const date = until === null ? null : rfc5322Date(until, 0);
  return date === null ? 'Delivery will be tried again.' : `Delivery will be tried until ${date}.`;
}
