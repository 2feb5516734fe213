/** What `enqueue` puts into the queue: the message, completed where it lacks something, and the job for it. */
import { randomUUID } from 'node:crypto';
import type { Charset } from '../../message/charset.ts';
import { beginningOf, completeHeader } from '../../message/complete-header.ts';
import { rfc5322Date } from '../../message/dates.ts';
import { encodeDisplayName } from '../../message/header-text.ts';
import { headerRecipients, listEntries, withoutBcc } from '../../message/recipients.ts';
import { senderFromHeaders } from '../../message/sender.ts';
import { summarizeMessage } from '../../message/summary.ts';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import { machineName } from '../../platform/machine-name.ts';
import { type MessageFacts, messageIdOf } from '../../queue/message-facts.ts';
import type { NewJob } from '../../queue/queue.ts';
import { withLocalDomain } from '../../routing/address.ts';
import { userName } from '../setup/privileges.ts';
import { allValues, type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { dsnFrom } from './dsn-options.ts';
import { bounceTo, senderFrom, validRecipients } from './envelope.ts';
import { LONGEST_HEADER } from './input.ts';

export interface Submission {
  readonly kind: 'submission';
  /** the message as far as it was read: its header, and what of its body came with it */
  readonly begun: ByteString;
  readonly job: NewJob;
  /** for logs; without the size, which is known when it is read to its end */
  readonly facts: Omit<MessageFacts, 'size'>;
}

/**
 * Of a message that begins like this. All or nothing: one recipient that is not a valid address, and nothing is queued.
 * @param now Unix seconds
 */
export function submissionFrom(
  text: ByteString,
  { settings, options }: Pick<Invocation, 'settings' | 'options'>,
  charset: Charset,
  now: number,
): Submission | CliError {
  const last = (option: string): string | undefined => allValues(options[option]).at(-1);
  const domain = settings.hostname ?? machineName();
  const withDomain = (entry: ByteString): ByteString => withLocalDomain(entry, domain);
  const beginning = beginningOf(text);
  const named = allValues(options.recipients).flatMap((word) => listEntries(bytesOf(word)));
  const fromHeader = options.t === true ? headerRecipients(beginning.fields) : [];
  const recipients = validRecipients([...named, ...fromHeader].map(withDomain));
  if ('kind' in recipients) return recipients;
  const dsn = dsnFrom(options, recipients);
  if (dsn !== null && 'kind' in dsn) return dsn;
  const sender = senderFrom(last('f') ?? last('r'), domain);
  if (typeof sender === 'object' && sender !== null) return sender;

  const submitter = `${userName()}@${domain}`;
  const author = sender === null || sender === '<>' ? submitter : sender;
  const { header, body } = completeHeader(beginning, {
    from: mailboxOf(last('F'), author, charset),
    date: rfc5322Date(now, 0) ?? '',
    messageId: `<${randomUUID()}@${domain}>`,
    recipients,
    withDomain,
  });
  if (text.length > LONGEST_HEADER && body === '') {
    return cliError(
      'The header of the message does not end within the first MiB. Nothing was queued.',
      EXIT.data,
    );
  }
  const envelopeFrom = sender ?? (senderFromHeaders(header) === null ? submitter : null);
  return {
    kind: 'submission',
    begun: (options.t === true ? withoutBcc(header) : header) + body,
    job: {
      bounceto: bounceTo(options.bounceto, envelopeFrom, header),
      envelopeFrom,
      sourceRoom: typeof options.room === 'string' ? bytesOf(options.room) : null,
      recipients,
      submitted: now,
      ...(dsn === null ? {} : { dsn }),
    },
    facts: {
      submitted: now,
      sender: envelopeFrom === '<>' ? '' : (envelopeFrom ?? senderFromHeaders(header) ?? ''),
      messageId: messageIdOf(summarizeMessage(header)),
    },
  };
}

function mailboxOf(name: string | undefined, address: ByteString, legacy: Charset): ByteString {
  if (name === undefined || name.trim() === '') return address;
  return `${encodeDisplayName(bytesOf(name), legacy)} <${address}>`;
}
