/**
 * `spoolroom enqueue`: a message from a file or standard input becomes a job, as `sendmail` would take it. Works beside
 * a running queue run. All or nothing: when one recipient cannot be an address, nothing is put into the spool.
 */
import { createReadStream, openSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { headerRecipients, withoutBcc } from '../../message/recipients.ts';
import { senderFromHeaders } from '../../message/sender.ts';
import { escapeControl } from '../../output/text.ts';
import type { ByteString } from '../../platform/bytes.ts';
import { describeError, errorCode, isPermissionDenied } from '../../platform/system-errors.ts';
import type { NewJob } from '../../queue/queue.ts';
import { InvalidMessage } from '../../queue/spool/enqueue.ts';
import { openSpoolClient } from '../../queue/spool/open.ts';
import { recipientAddress } from '../../routing/address.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError, clockFor, controlSettings, openError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import type { Command, Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export const command: Command = async (invocation) => {
  const done = await enqueue(invocation);
  if (done.kind === 'trouble') {
    invocation.terminal.tell(`spoolroom: ${done.text}`);
    return done.exit;
  }
  invocation.terminal.print(invocation.settings.json ? JSON.stringify(done.facts) : sentence(done.facts));
  return EXIT.ok;
};

interface Facts {
  /** as `queue` calls them, and by their older names */
  readonly job: number;
  readonly mail: number;
  readonly control: number;
  readonly payload: number;
  readonly recipients: number;
}

function sentence({ control, payload, recipients }: Facts): string {
  return `queued: job ${control}, mail ${payload}, ${recipients} recipient${recipients === 1 ? '' : 's'}`;
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
  const recipients = usable([...named, ...(options.t === true ? headerRecipients(message.header) : [])]);
  if ('kind' in recipients) return recipients;
  const sender = senderFrom(options.f);
  if (typeof sender === 'object' && sender !== null) return sender;

  const clock = clockFor(settings);
  const warn = (text: string): void => terminal.tell(`spoolroom: ${text}`);
  const opened = await openSpoolClient(spool, spoolDeps(clock, warn), controlSettings(settings));
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
    const numbers = await opened.client.enqueue(whole(header, message), job);
    return {
      kind: 'enqueued',
      facts: { job: numbers.control, mail: numbers.payload, ...numbers, recipients: recipients.length },
    };
  } catch (error) {
    return notTaken(error, spool);
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

/** A header longer than this is no mail's. */
const LONGEST_HEADER = 1024 * 1024;

interface Message {
  /** up to its empty line, that included */
  readonly header: ByteString;
  /** what was read of the body so far */
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
        'The message has no end of its header within its first MiB. Nothing was queued.',
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

async function* whole(header: ByteString, { begun, rest }: Message): AsyncGenerator<Uint8Array> {
  yield Buffer.concat([Buffer.from(header, 'latin1'), begun]);
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    yield typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
  }
}

/** Each address once; or why there are none. */
function usable(entries: readonly ByteString[]): readonly ByteString[] | CliError {
  const recipients = new Map<string, ByteString>();
  for (const entry of entries) {
    const address = recipientAddress(entry);
    if (address.kind === 'unusable') {
      return cliError(
        `${textOf(entry)} cannot get mail: ${textOf(address.reason)}. Nothing was queued.`,
        EXIT.data,
      );
    }
    recipients.set(address.command, address.command);
  }
  if (recipients.size > 0) return [...recipients.values()];
  return cliError(
    'For whom? Name recipients, or take them from the header with -t. Nothing was queued.',
    EXIT.usage,
  );
}

/** null: none is named, the message's own will do. */
function senderFrom(given: unknown): ByteString | null | CliError {
  if (typeof given !== 'string') return null;
  if (given.trim() === '' || given.trim() === '<>') return '<>';
  const address = recipientAddress(bytesOf(given));
  if (address.kind === 'address') return address.command;
  return cliError(
    `${escapeControl(given)} cannot be the sender: ${textOf(address.reason)}. Nothing was queued.`,
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

/** Errors of the disk and of the message have their words; anything else is a bug and goes on. */
function notTaken(error: unknown, spool: string): CliError {
  if (error instanceof InvalidMessage) return cliError(error.message, EXIT.data);
  if (errorCode(error) === null) throw error;
  return cliError(
    `The message could not be put into ${spool}: ${describeError(error)}. Nothing was queued.`,
    EXIT.io,
  );
}
