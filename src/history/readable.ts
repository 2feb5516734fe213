/** What names a message, and what became of it, as text for people: for the history and the log alike. Pure. */
import type { ByteString } from '../platform/bytes.ts';
import type { MessageFacts } from '../queue/message-facts.ts';
import type { OutcomeRecord } from '../runner/active-message.ts';
import { joinedLines } from '../smtp/status-text.ts';

/** Bytes as text for people. */
export type Readable = (bytes: ByteString) => string;

export interface ReadableNames {
  /** `<>`: the null sender; null: the message was not read */
  readonly sender: string | null;
  readonly messageId: string | null;
}

export function readableNames(
  { sender, messageId }: Pick<MessageFacts, 'sender' | 'messageId'>,
  readable: Readable,
): ReadableNames {
  return {
    sender: sender === null ? null : readable(sender) || '<>',
    messageId: messageId === null ? null : readable(messageId),
  };
}

export interface OutcomeText extends ReadableNames {
  /** the reply, or what was observed, in one line */
  readonly text: string;
}

type Told = Pick<OutcomeRecord, 'message' | 'outcome'>;

export function outcomeText({ message, outcome }: Told, readable: Readable): OutcomeText {
  return { ...readableNames(message, readable), text: readable(joinedLines(outcome.text)) };
}

/** The same, read once for recipients that have their outcome together: they come one after the other. */
export function outcomeTexts(readable: Readable): (record: Told) => OutcomeText {
  let last: { readonly told: Told; readonly text: OutcomeText } | null = null;
  return (record) => {
    if (last?.told.outcome !== record.outcome || last.told.message !== record.message)
      last = { told: record, text: outcomeText(record, readable) };
    return last.text;
  };
}
