/**
 * The part of a report that people read: the module's sentences for each kind of notice, the recipients with what their
 * servers said, the room the mail came from. Called by compose.ts; text comes in decoded.
 */
import { rfc5322Date } from '../message/dates.ts';
import type { NoticeKind } from './notice.ts';

export interface RecipientSummary {
  readonly kind: NoticeKind;
  readonly recipient: string;
  readonly words: string;
}

/** Section by section, in this order. `until` is the end of all tries, Unix seconds. */
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
  ];

/** CRLF line ends. */
export function humanText(
  accounts: readonly RecipientSummary[],
  sourceRoom: string | null,
  until: number | null,
): string {
  const sections = SECTIONS.flatMap(({ kind, sentence }) => {
    const own = accounts.filter((each) => each.kind === kind);
    if (own.length === 0) return [];
    return [...sentence(until), '', ...own.map(({ recipient, words }) => `${recipient}: ${words}`), ''];
  });
  const origin = sourceRoom === null ? [] : [`The message was originally posted in: ${sourceRoom}`, ''];
  return [...sections, ...origin].join('\r\n');
}

function untilSentence(until: number | null): string {
  const date = until === null ? null : rfc5322Date(until, 0);
  return date === null ? 'Delivery goes on being tried.' : `Delivery will be tried until ${date}.`;
}
