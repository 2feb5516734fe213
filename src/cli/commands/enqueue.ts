/**
 * `spoolroom enqueue`: queues a message from a file or standard input, with the options of `sendmail`. Works beside a
 * running queue run. All or nothing: when one recipient is not a valid address, nothing is put into the spool. A text that
 * is not a message becomes one, and users without a domain get ours.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream, openSync } from 'node:fs';
import { queuedEntry } from '../../history/record.ts';
import type { Charset } from '../../message/charset.ts';
import { beginningOf, completeHeader } from '../../message/complete-header.ts';
import { rfc5322Date } from '../../message/dates.ts';
import { encodeDisplayName } from '../../message/header-text.ts';
import { headerRecipients, listEntries, withoutBcc } from '../../message/recipients.ts';
import { senderFromHeaders } from '../../message/sender.ts';
import { summarizeMessage } from '../../message/summary.ts';
import { queuedEvent } from '../../output/log/log-events.ts';
import { escapeControl, plural, textDecoder } from '../../output/text.ts';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import { machineName } from '../../platform/machine-name.ts';
import { describeError, errorCode, isPermissionDenied, QueueError } from '../../platform/system-errors.ts';
import { type MessageFacts, messageIdOf } from '../../queue/message-facts.ts';
import type { NewJob } from '../../queue/queue.ts';
import { InvalidMessage } from '../../queue/queue.ts';
import { recipientAddress, withLocalDomain } from '../../routing/address.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import { logFor } from '../setup/event-log.ts';
import { historyFor } from '../setup/history.ts';
import { charsetFrom, clockFor, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { becomeOwner, userName } from '../setup/privileges.ts';
import { openClient } from '../setup/room/open-client.ts';
import {
  allValues,
  type CliError,
  type Command,
  cliError,
  type Invocation,
  warner,
} from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { dsnFrom } from '../shell/sendmail-options.ts';

export const command: Command = async (invocation) => {
  if (modeOf(invocation.options.b) === 's') {
    const { speakSmtp } = await import('../listeners/smtp-session.ts');
    return speakSmtp(invocation);
  }
  const done = await enqueue(invocation);
  if (done.kind === 'error') return done;
  const { settings, options, terminal } = invocation;
  await tellQueued(done, invocation);
  if (options.quiet === true) return EXIT.ok;
  terminal.print(settings.json ? JSON.stringify(done.facts) : sentence(done.facts));
  return EXIT.ok;
};

interface Facts {
  /** the numbers under the names that `queue` has for them, and under their older names */
  readonly job: number;
  readonly mail: number;
  readonly control: number;
  readonly payload: number;
  readonly recipients: number;
}

function sentence({ control, payload, recipients }: Facts): string {
  return `queued: job ${control}, message ${payload}, ${plural(recipients, 'recipient')}`;
}

interface Enqueued {
  readonly kind: 'enqueued';
  readonly spool: string;
  readonly facts: Facts;
  readonly message: MessageFacts;
  readonly recipients: readonly ByteString[];
  readonly charset: Charset;
}

/** Standard error gets the line only on request: the result is printed already, and cron mails what it sees. */
async function tellQueued(
  { spool, facts, charset, message, recipients }: Enqueued,
  { settings, terminal }: Invocation,
): Promise<void> {
  const readable = textDecoder(charset);
  const queued = { ...facts, ...message, recipients, transactions: 1 };
  const history = await historyFor(spool, settings, {
    clock: clockFor(settings),
    readable,
    warn: warner(terminal),
  });
  history?.write(queuedEntry(queued, readable));
  await history?.close();
  if (settings['log.target'] === 'stderr' && settings['log.level'] === 'auto') return;
  const log = logFor(settings);
  log.write(queuedEvent(queued, readable));
  await log.close();
}

async function enqueue({
  settings,
  options,
  terminal,
  commandText,
}: Invocation): Promise<Enqueued | CliError> {
  const refused = modeRefused(options.b, commandText);
  if (refused !== null) return refused;
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const charset = charsetFrom(settings);
  if ('kind' in charset) return charset;
  const input = inputFrom(options.file, terminal.input);
  if ('kind' in input) return input;
  const text = await readBeginning(input).catch((error) => notRead(error, options.file));
  if ('kind' in text) return text;

  const domain = settings.hostname ?? machineName();
  const named = allValues(options.recipients).flatMap((word) => listEntries(bytesOf(word)));
  const beginning = beginningOf(text.begun);
  const fromHeader = options.t === true ? headerRecipients(beginning.fields) : [];
  const withDomain = (entry: ByteString): ByteString => withLocalDomain(entry, domain);
  const recipients = validRecipients([...named, ...fromHeader].map(withDomain));
  if ('kind' in recipients) return recipients;
  const dsn = dsnFrom(options, recipients);
  if (dsn !== null && 'kind' in dsn) return dsn;
  const sender = senderFrom(allValues(options.f).at(-1) ?? allValues(options.r).at(-1), domain);
  if (typeof sender === 'object' && sender !== null) return sender;

  const clock = clockFor(settings);
  const now = Math.floor(clock.now() / 1000);
  const submitter = `${userName()}@${domain}`;
  const message = completeHeader(beginning, {
    from: mailboxOf(
      allValues(options.F).at(-1),
      sender === null || sender === '<>' ? submitter : sender,
      charset,
    ),
    date: rfc5322Date(now, 0) ?? '',
    messageId: `<${randomUUID()}@${domain}>`,
    recipients,
    withDomain,
  });
  if (text.begun.length > LONGEST_HEADER && message.body === '') {
    return cliError(
      'The header of the message does not end within the first MiB. Nothing was queued.',
      EXIT.data,
    );
  }
  const envelopeFrom = sender ?? (senderFromHeaders(message.header) === null ? submitter : null);
  const bounceto = bounceTo(options.bounceto, envelopeFrom, message.header);
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const opened = await openClient(spool, settings, spoolDeps(clock, warner(terminal)));
  if (opened.kind === 'error') return opened;
  const job: NewJob = {
    bounceto,
    envelopeFrom,
    sourceRoom: typeof options.room === 'string' ? bytesOf(options.room) : null,
    recipients,
    submitted: now,
    ...(dsn === null ? {} : { dsn }),
  };
  const header = options.t === true ? withoutBcc(message.header) : message.header;
  let size = 0;
  try {
    const pieces = contentOf(header + message.body, text.rest, (bytes) => {
      size += bytes;
    });
    const numbers = await opened.client.enqueue(pieces, job);
    return {
      kind: 'enqueued',
      spool,
      facts: { job: numbers.control, mail: numbers.payload, ...numbers, recipients: recipients.length },
      message: {
        submitted: now,
        sender: envelopeFrom === '<>' ? '' : (envelopeFrom ?? senderFromHeaders(message.header) ?? ''),
        messageId: messageIdOf(summarizeMessage(message.header)),
        size,
      },
      recipients,
      charset,
    };
  } catch (error) {
    return notQueued(error, spool);
  }
}

/** sendmail's other modes of operation, and which command does the same. */
const MODES: { readonly [mode: string]: readonly [what: string, command: string] } = {
  p: ['The queue is listed by', 'queue'],
  d: ['Mail is delivered by', 'watch'],
  D: ['Mail is delivered by', 'watch'],
  q: ['Mail is delivered by', 'run'],
};

function modeOf(given: unknown): string {
  return allValues(given).at(-1) ?? 'm';
}

/** Without this, another mode would queue what was never meant as a message. */
function modeRefused(given: unknown, commandText: CommandText): CliError | null {
  const mode = modeOf(given);
  if (mode === 'm') return null;
  const [what, command] = MODES[mode] ?? [];
  const instead = command === undefined ? '' : ` ${what}: ${commandText(command)}`;
  return cliError(
    `The mode ${mode === 'q' ? '-q' : `-b${escapeControl(mode)}`} of sendmail is not available. Nothing was queued.${instead}`,
    EXIT.usage,
  );
}

function mailboxOf(name: string | undefined, address: ByteString, legacy: Charset): ByteString {
  if (name === undefined || name.trim() === '') return address;
  return `${encodeDisplayName(bytesOf(name), legacy)} <${address}>`;
}

function textOf(bytes: ByteString): string {
  return escapeControl(Buffer.from(bytes, 'latin1').toString('utf8'));
}

function inputFrom(file: unknown, standardInput: NodeJS.ReadableStream): NodeJS.ReadableStream | CliError {
  if (typeof file !== 'string') return standardInput;
  try {
    return createReadStream(file, { fd: openSync(file, 'r') });
  } catch (error) {
    return notRead(error, file);
  }
}

function notRead(error: unknown, file: unknown): CliError {
  if (errorCode(error) === null) throw error;
  const what = typeof file === 'string' ? `The message ${file}` : 'Standard input';
  return cliError(
    `${what} cannot be read: ${describeError(error)}. Nothing was queued.`,
    isPermissionDenied(error) ? EXIT.noPermission : EXIT.noInput,
  );
}

/** Bytes; a longer header is taken for something that is not a message. */
const LONGEST_HEADER = 1024 * 1024;

interface Text {
  /** up to and beyond its first empty line, or all of it */
  readonly begun: ByteString;
  readonly rest: AsyncIterator<string | Buffer>;
}

async function readBeginning(input: NodeJS.ReadableStream): Promise<Text> {
  const rest = input[Symbol.asyncIterator]();
  let begun = '';
  while (begun.length <= LONGEST_HEADER && !/(?:^|\n)\r?\n/.test(begun)) {
    const next = await rest.next();
    // Lines of a text without any LF end in CR.
    if (next.done === true)
      return { begun: begun.includes('\n') ? begun : begun.replaceAll('\r', '\n'), rest };
    begun += typeof next.value === 'string' ? bytesOf(next.value) : next.value.toString('latin1');
  }
  return { begun, rest };
}

/** @param count told the size of each piece, in bytes */
async function* contentOf(
  begun: ByteString,
  rest: Text['rest'],
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  count(begun.length);
  yield Buffer.from(begun, 'latin1');
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    const piece = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
    count(piece.length);
    yield piece;
  }
}

/** Each address once; or why they cannot be used. */
function validRecipients(entries: readonly ByteString[]): readonly ByteString[] | CliError {
  const recipients = new Map<string, ByteString>();
  for (const entry of entries) {
    const address = recipientAddress(entry);
    if (address.kind === 'unusable') {
      return cliError(
        `${textOf(entry)} is not a usable recipient: ${textOf(address.reason)}. Nothing was queued.`,
        EXIT.data,
      );
    }
    recipients.set(address.command, address.command);
  }
  if (recipients.size > 0) return [...recipients.values()];
  return cliError(
    'No recipients given. Name them, or take them from the header with -t. Nothing was queued.',
    EXIT.usage,
  );
}

/** null: none is given, and the one in the message's header counts. */
function senderFrom(given: string | undefined, domain: string): ByteString | null | CliError {
  if (given === undefined) return null;
  if (given.trim() === '' || given.trim() === '<>') return '<>';
  const address = recipientAddress(withLocalDomain(bytesOf(given), domain));
  if (address.kind === 'address') return address.command;
  return cliError(
    `${escapeControl(given)} is not a usable sender: ${textOf(address.reason)}. Nothing was queued.`,
    EXIT.usage,
  );
}

/** @param sender null: the one in the header */
function bounceTo(given: unknown, sender: ByteString | null, header: ByteString): ByteString {
  if (typeof given === 'string') return bytesOf(given);
  if (sender === '<>') return '';
  return sender ?? senderFromHeaders(header) ?? '';
}

/** Errors of the disk and of the message get a sentence; anything else is a bug and is thrown on. */
function notQueued(error: unknown, spool: string): CliError {
  if (error instanceof InvalidMessage) return cliError(error.message, EXIT.data);
  if (error instanceof QueueError) return cliError(`${error.message} Nothing was queued.`, EXIT.io);
  if (errorCode(error) === null) throw error;
  return cliError(
    `The message could not be put into ${spool}: ${describeError(error)}. Nothing was queued.`,
    EXIT.io,
  );
}
