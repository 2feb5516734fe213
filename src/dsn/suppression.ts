/**
 * Whether the sender of a mail may be told of its fate at all (RFC 5321 4.5.5, RFC 3834). Called by the reporter for
 * each kind of notice. RFC 5321 6.1 demands a report of every failure, so little forbids one: what would answer an
 * answer. A delay notice is a courtesy, and kept from programs and lists.
 */
import type { MessageSummary } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { NoticeKind } from './notice.ts';

export interface MessageFacts {
  /** as the delivery list has it */
  readonly envelopeFrom: ByteString | null;
  /** null: the message cannot be read */
  readonly headers: MessageSummary | null;
}

interface Rule {
  /** completes "the sender is not told because ..." */
  readonly reason: string;
  readonly forbids: 'every report' | 'delay notices';
  holds(facts: MessageFacts): boolean;
}

const RULES: readonly Rule[] = [
  {
    reason: 'the mail has the null sender',
    forbids: 'every report',
    holds: ({ envelopeFrom }) => envelopeFrom?.trim() === '<>',
  },
  {
    reason: 'the mail is an automatic reply (Auto-Submitted)',
    forbids: 'every report',
    holds: ({ headers }) => keyword(headers?.autoSubmitted) === 'auto-replied',
  },
  {
    reason: 'the mail asks for no replies (Precedence: junk)',
    forbids: 'every report',
    holds: ({ headers }) => keyword(headers?.precedence) === 'junk',
  },
  {
    reason: 'the mail was made by a program (Auto-Submitted)',
    forbids: 'delay notices',
    holds: ({ headers }) => !['', 'no'].includes(keyword(headers?.autoSubmitted)),
  },
  {
    reason: 'the mail is bulk or list mail (Precedence, List-Id)',
    forbids: 'delay notices',
    holds: ({ headers }) =>
      ['bulk', 'list'].includes(keyword(headers?.precedence)) || (headers?.listId ?? null) !== null,
  },
];

/** Null: the sender may be told. Else why not, as a clause. */
export function suppressionReason(kind: NoticeKind, facts: MessageFacts): string | null {
  const rule = RULES.find(
    ({ forbids, holds }) => (forbids === 'every report' || kind === 'delayed') && holds(facts),
  );
  return rule?.reason ?? null;
}

/** The first word: parameters (RFC 3834 5.2) and comments may follow it. */
function keyword(value: ByteString | null | undefined): string {
  return /^[a-z-]+/.exec((value ?? '').toLowerCase())?.[0] ?? '';
}
