/** The header fields that reports and logs need. Nothing is decoded. */
import type { ByteString } from '../platform/bytes.ts';
import { headerFields, trimWhitespace } from './headers.ts';

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

const FIELDS = {
  'message-id': 'messageId',
  subject: 'subject',
  date: 'date',
  from: 'from',
  'auto-submitted': 'autoSubmitted',
  precedence: 'precedence',
  'list-id': 'listId',
  'tls-required': 'tlsRequired',
} as const satisfies Record<string, keyof MessageSummary>;

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
  for (const { name, value } of headerFields(header)) {
    const key = name.toLowerCase();
    if (key === 'received') summary.received += 1;
    else if (isSummaryField(key)) summary[FIELDS[key]] ??= trimWhitespace(value);
  }
  return summary;
}

function isSummaryField(name: string): name is keyof typeof FIELDS {
  return Object.hasOwn(FIELDS, name);
}
