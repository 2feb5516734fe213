/**
 * Which notices are not sent (RFC 5321 4.5.5, RFC 3834). RFC 5321 6.1 demands a report of every failure, so failures are
 * suppressed only where the report would be a reply to an automatic reply. A delay notice is a courtesy, and is not sent to
 * programs and lists either.
 */
import type { MessageSummary } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { NoticeKind } from './notice.ts';

export interface SuppressionInput {
  /** as in the delivery list */
  readonly envelopeFrom: ByteString | null;
  /** null: the message cannot be read */
  readonly headers: MessageSummary | null;
}

interface Rule {
  /** completes "no report is sent because ..." */
  readonly reason: string;
  readonly suppresses: 'every report' | 'delay notices';
  applies(message: SuppressionInput): boolean;
}

const RULES: readonly Rule[] = [
  {
    reason: 'the message has the null sender',
    suppresses: 'every report',
    applies: ({ envelopeFrom }) => envelopeFrom?.trim() === '<>',
  },
  {
    reason: 'the message is an automatic reply (Auto-Submitted)',
    suppresses: 'every report',
    applies: ({ headers }) => keyword(headers?.autoSubmitted) === 'auto-replied',
  },
  {
    reason: 'the message asks for no replies (Precedence: junk)',
    suppresses: 'every report',
    applies: ({ headers }) => keyword(headers?.precedence) === 'junk',
  },
  {
    reason: 'the message was made by a program (Auto-Submitted)',
    suppresses: 'delay notices',
    applies: ({ headers }) => !['', 'no'].includes(keyword(headers?.autoSubmitted)),
  },
  {
    reason: 'the message is bulk or list mail (Precedence, List-Id)',
    suppresses: 'delay notices',
    applies: ({ headers }) =>
      ['bulk', 'list'].includes(keyword(headers?.precedence)) || (headers?.listId ?? null) !== null,
  },
];

/** Why no notice of this kind is sent, as a clause; null when it may be sent. */
export function suppressionReason(kind: NoticeKind, message: SuppressionInput): string | null {
  const rule = RULES.find(
    ({ suppresses, applies }) => (suppresses === 'every report' || kind === 'delayed') && applies(message),
  );
  return rule?.reason ?? null;
}

/** The first word: parameters (RFC 3834 5.2) and comments may follow it. */
function keyword(value: ByteString | null | undefined): string {
  return /^[a-z-]+/.exec((value ?? '').toLowerCase())?.[0] ?? '';
}
