/** The header fields that reports and logs need. Nothing is decoded. */
import type { ByteString } from '../platform/bytes.ts';
import { trimWhitespace } from './headers.ts';

/** Values as in the header, unfolded and trimmed; null when there is no such field. */
export interface MessageSummary {
  readonly messageId: ByteString | null;
  readonly subject: ByteString | null;
  readonly date: ByteString | null;
  readonly from: ByteString | null;
  readonly autoSubmitted: ByteString | null;
  readonly precedence: ByteString | null;
  readonly listId: ByteString | null;
  /** RFC 8689 3 */
  readonly tlsRequired: ByteString | null;
  /** number of `Received:` fields */
  readonly received: number;
}

const FIELDS: ReadonlyMap<string, Exclude<keyof MessageSummary, 'received'>> = new Map([
  ['message-id', 'messageId'],
  ['subject', 'subject'],
  ['date', 'date'],
  ['from', 'from'],
  ['auto-submitted', 'autoSubmitted'],
  ['precedence', 'precedence'],
  ['list-id', 'listId'],
  ['tls-required', 'tlsRequired'],
]);

/** One of these fields with its continuation lines, or the empty line that ends the header: of the other fields nothing is made. */
const WANTED = new RegExp(
  `(?:^|\\n)(?:\\r?\\n|(received|${[...FIELDS.keys()].join('|')})[ \\t]*:([^\\n]*(?:\\n[ \\t][^\\n]*)*))`,
  'gi',
);

const EMPTY: MessageSummary = {
  messageId: null,
  subject: null,
  date: null,
  from: null,
  autoSubmitted: null,
  precedence: null,
  listId: null,
  tlsRequired: null,
  received: 0,
};

/** The first of a repeated field counts. */
export function summarizeMessage(header: ByteString): MessageSummary {
  const summary = { ...EMPTY };
  WANTED.lastIndex = 0;
  for (;;) {
    const found = WANTED.exec(header);
    const name = found?.[1];
    if (name === undefined) return summary;
    const key = FIELDS.get(name.toLowerCase());
    if (key === undefined) summary.received += 1;
    else summary[key] ??= trimWhitespace(found?.[2]?.replace(/\r?\n/g, '') ?? '');
  }
}
