/**
 * `spoolroom enqueue`: queues a message from a file or standard input, with the options of `sendmail`. Works beside a
 * running queue run. All or nothing: when one recipient is not a valid address, nothing is put into the spool.
 */
import { createReadStream, openSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { headerRecipients, withoutBcc } from '../../message/recipients.ts';
import { senderFromHeaders } from '../../message/sender.ts';
import { escapeControl, plural } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { describeError, errorCode, isPermissionDenied } from '../../platform/system-errors.ts';
import type { NewJob } from '../../queue/queue.ts';
import { InvalidMessage } from '../../queue/spool/enqueue.ts';
import { openSpoolClient } from '../../queue/spool/open.ts';
import { recipientAddress } from '../../routing/address.ts';
import { clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { type CliError, type Command, cliError, type Invocation, warner } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  const done = await enqueue(invocation);
  if (done.kind === 'error') return done;
  invocation.terminal.print(invocation.settings.json ? JSON.stringify(done.facts) : sentence(done.facts));
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

type Enqueued = { readonly kind: 'enqueued'; readonly facts: Facts } | CliError;

async function enqueue({ settings, options, terminal }: Invocation): Promise<Enqueued> {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const input = inputFrom(options.file, terminal.input);
  if ('kind' in input) return input;
  const message = await readHead(input).catch((error) => notRead(error, options.file));
  if ('kind' in message) return message;

  const named = [options.recipients ?? []].flat().map((word) => bytesOf(String(word)));
  const recipients = validRecipients([
    ...named,
    ...(options.t === true ? headerRecipients(message.header) : []),
  ]);
  if ('kind' in recipients) return recipients;
  const sender = senderFrom(options.f);
  if (typeof sender === 'object' && sender !== null) return sender;

  const clock = clockFor(settings);
  const opened = await openSpoolClient(spool, spoolDeps(clock, warner(terminal)), controlSettings(settings));
  if (opened.kind === 'refused') return openError(opened);
  const job: NewJob = {
    bounceto: bounceTo(options.bounceto, sender, message.header, settings.hostname),
    envelopeFrom: sender,
    sourceRoom: typeof options.room === 'string' ? bytesOf(options.room) : null,
    recipients,
    submitted: Math.floor(clock.now() / 1000),
  };
  const header = options.t === true ? withoutBcc(message.header) : message.header;
  try {
    const numbers = await opened.client.enqueue(contentOf(header, message), job);
    return {
      kind: 'enqueued',
      facts: { job: numbers.control, mail: numbers.payload, ...numbers, recipients: recipients.length },
    };
  } catch (error) {
    return notQueued(error, spool);
  }
}

/** The command line is text, the queue is bytes. */
function bytesOf(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
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

interface Message {
  /** up to and including the empty line */
  readonly header: ByteString;
  /** the beginning of the body, as far as it was read */
  readonly begun: Buffer;
  readonly rest: AsyncIterator<string | Buffer>;
}

async function readHead(input: NodeJS.ReadableStream): Promise<Message | CliError> {
  const rest = input[Symbol.asyncIterator]();
  let head = '';
  for (;;) {
    const end = /(?:^|\n)\r?\n/.exec(head);
    if (end !== null) {
      const at = end.index + end[0].length;
      return { header: head.slice(0, at), begun: Buffer.from(head.slice(at), 'latin1'), rest };
    }
    if (head.length > LONGEST_HEADER) {
      return cliError(
        'The header of the message does not end within the first MiB. Nothing was queued.',
        EXIT.data,
      );
    }
    const next = await rest.next();
    if (next.done === true) break;
    head += typeof next.value === 'string' ? bytesOf(next.value) : next.value.toString('latin1');
  }
  if (head === '') return cliError('The message is empty. Nothing was queued.', EXIT.data);
  return { header: head, begun: Buffer.alloc(0), rest };
}

async function* contentOf(header: ByteString, { begun, rest }: Message): AsyncGenerator<Uint8Array> {
  yield Buffer.concat([Buffer.from(header, 'latin1'), begun]);
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    yield typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
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
function senderFrom(given: unknown): ByteString | null | CliError {
  if (typeof given !== 'string') return null;
  if (given.trim() === '' || given.trim() === '<>') return '<>';
  const address = recipientAddress(bytesOf(given));
  if (address.kind === 'address') return address.command;
  return cliError(
    `${escapeControl(given)} is not a usable sender: ${textOf(address.reason)}. Nothing was queued.`,
    EXIT.usage,
  );
}

function bounceTo(
  given: unknown,
  sender: ByteString | null,
  header: ByteString,
  host: string | null,
): ByteString {
  if (typeof given === 'string') return bytesOf(given);
  if (sender !== null) return sender === '<>' ? '' : sender;
  return senderFromHeaders(header) ?? bytesOf(`${userInfo().username}@${host ?? hostname()}`);
}

/** Errors of the disk and of the message get a sentence; anything else is a bug and is thrown on. */
function notQueued(error: unknown, spool: string): CliError {
  if (error instanceof InvalidMessage) return cliError(error.message, EXIT.data);
  if (errorCode(error) === null) throw error;
  return cliError(
    `The message could not be put into ${spool}: ${describeError(error)}. Nothing was queued.`,
    EXIT.io,
  );
}
