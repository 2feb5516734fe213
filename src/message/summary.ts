/** What reports and logs need to know of a message, from its header alone. Called by outgoing.ts. Decodes nothing. */
import type { ByteString } from '../platform/bytes.ts';
import { headerFields, trimWhitespace } from './headers.ts';

/** Values as they stand in the header, unfolded and trimmed; null when there is no such field. */
export interface MessageSummary {
  readonly messageId: ByteString | null;
  readonly subject: ByteString | null;
  readonly date: ByteString | null;
  readonly from: ByteString | null;
  readonly autoSubmitted: ByteString | null;
  readonly precedence: ByteString | null;
  readonly listId: ByteString | null;
  /** number of `Received:` fields: the hops so far */
  readonly received: number;
}

const FACTS = {
  'message-id': 'messageId',
  subject: 'subject',
  date: 'date',
  from: 'from',
  'auto-submitted': 'autoSubmitted',
  precedence: 'precedence',
  'list-id': 'listId',
} as const satisfies Record<string, keyof MessageSummary>;

const NOTHING: MessageSummary = {
  messageId: null,
  subject: null,
  date: null,
  from: null,
  autoSubmitted: null,
  precedence: null,
  listId: null,
  received: 0,
};

/** Of a repeated field the first counts. */
export function summarizeMessage(header: ByteString): MessageSummary {
  const facts = { ...NOTHING };
  for (const { name, value } of headerFields(header)) {
    const key = name.toLowerCase();
    if (key === 'received') facts.received += 1;
    else if (isFact(key)) facts[FACTS[key]] ??= trimWhitespace(value);
  }
  return facts;
}

function isFact(name: string): name is keyof typeof FACTS {
  return Object.hasOwn(FACTS, name);
}
