/**
 * Makes jobs of the messages that clients submit: checks the envelope, receives the message, waits for its other copies, and
 * queues all of them as one job. A client gets 250 only after the message and its control message are on disk; after any
 * other reply the message stays with the client.
 */
import type { SMTPServerSession as Session, SMTPServerDataStream, SMTPServerEnvelope } from 'smtp-server';
import type { MessageNumber } from '../delivery-list/job.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock } from '../platform/clock.ts';
import type { Queue } from '../queue/queue.ts';
import { recipientAddress } from '../routing/address.ts';
import { createBatcher, type SubmissionBatch } from './batcher.ts';
import { headerProblem, receivedHeader } from './received-header.ts';
import { replyCode, SmtpReply, storageReply } from './reply.ts';
import { spoolMessage } from './spooled-message.ts';

export interface HandlerOptions {
  readonly protocol: 'smtp' | 'lmtp';
  /** the listener's own name */
  readonly hostname: string;
  /** largest message, bytes */
  readonly size: number;
  /** the longest a message waits for its other copies, milliseconds */
  readonly window: number;
  /** RCPT commands of one transaction; the client sends the rest in the next one */
  readonly maxRecipients: number;
  /** directory for temporary files of messages being received */
  readonly scratch: string;
}

export interface QueuedMessage {
  readonly control: MessageNumber;
  readonly payload: MessageNumber;
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  /** bytes as received */
  readonly size: number;
  /** number of transactions that brought copies of it */
  readonly transactions: number;
}

/** `text` is a full sentence. */
export interface HandlerEvents {
  queued(message: QueuedMessage): void;
  /** a message was refused; the client keeps it (4yz) or reports it to its sender (5yz) */
  refused(reply: number, text: string, client: string): void;
}

export interface HandlerDeps {
  readonly queue: Pick<Queue, 'enqueue'>;
  readonly clock: Clock;
  readonly events: HandlerEvents;
}

type Stored = Awaited<ReturnType<Queue['enqueue']>>;

function isDisconnect(error: unknown): boolean {
  return replyCode(error) === 'ECONNECTION' || replyCode(error) === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** A command with a longer address would be over the limit of RFC 5321 4.5.3.1.4. */
const MAX_ADDRESS = 980;

/** The address as the queue keeps it, or the reply when it cannot be delivered to (RFC 3463 3.2, RFC 6531 3.5). */
function addressOf(given: string, syntaxStatus: string, session: Session): ByteString | SmtpReply {
  const unusable = (status: string, why: string): SmtpReply => new SmtpReply(553, status, why);
  if (given.length > MAX_ADDRESS) return unusable(syntaxStatus, 'This address is too long');
  const address = recipientAddress(Buffer.from(given, 'utf8').toString('latin1'));
  if (address.kind === 'unusable')
    return unusable(syntaxStatus, `This address cannot be used: ${address.reason}`);
  if (given.includes('\ufffd'))
    return unusable(syntaxStatus, 'This address cannot be used: it is neither ASCII nor UTF-8');
  if (address.command.includes('|'))
    return unusable(syntaxStatus, 'This address cannot be used: a delivery list cannot contain a bar (|)');
  if (address.smtputf8 && session.envelope.smtpUtf8 !== true)
    return unusable('5.6.7', 'An address that is not ASCII needs SMTPUTF8');
  return address.command;
}

function clientOf(session: Session): string {
  const address = session.remoteAddress === '' ? 'unix socket' : session.remoteAddress;
  return `${session.hostNameAppearsAs} (${address})`;
}

export class TransactionHandler {
  readonly #options: HandlerOptions;
  readonly #deps: HandlerDeps;
  readonly #batcher;
  /** as accepted; the library's own list changes upper and lower case */
  readonly #recipients = new WeakMap<SMTPServerEnvelope, ByteString[]>();
  readonly #senders = new WeakMap<SMTPServerEnvelope, ByteString>();
  /** messages being received or stored */
  readonly #inProgress = new Set<Promise<unknown>>();

  constructor(options: HandlerOptions, deps: HandlerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#batcher = createBatcher(deps.clock, options.window, (batch) => this.#store(batch));
  }

  /** A connection was opened: it may bring a message. */
  connected(session: string): void {
    this.#batcher.expect(session, null);
  }

  disconnected(session: string): void {
    this.#batcher.forget(session);
  }

  /** Null: the sender is accepted. */
  mail(given: string, session: Session): SmtpReply | null {
    const sender = given === '' ? '' : addressOf(given, '5.1.7', session);
    if (sender instanceof SmtpReply) return sender;
    this.#senders.set(session.envelope, sender);
    this.#recipients.set(session.envelope, []);
    this.#batcher.expect(session.id, sender);
    return null;
  }

  /** Null: the recipient is accepted. */
  rcpt(given: string, session: Session): SmtpReply | null {
    const recipient = addressOf(given, '5.1.3', session);
    if (recipient instanceof SmtpReply) return recipient;
    const recipients = this.#recipients.get(session.envelope) ?? [];
    if (recipients.length >= this.#options.maxRecipients)
      return new SmtpReply(452, '4.5.3', 'Too many recipients; send the rest in another transaction');
    recipients.push(recipient);
    return null;
  }

  /** The replies to the message: the text after 250, or a refusal; LMTP has one for each RCPT (RFC 2033 4.2). */
  async message(stream: SMTPServerDataStream, session: Session): Promise<(string | SmtpReply)[]> {
    const accepted = this.#recipients.get(session.envelope)?.length ?? 1;
    const reply = this.#answer(stream, session);
    this.#inProgress.add(reply);
    const result = await reply;
    this.#inProgress.delete(reply);
    return Array<string | SmtpReply>(this.#options.protocol === 'lmtp' ? accepted : 1).fill(result);
  }

  /** Stops waiting for copies; resolves when every message that has begun is queued, refused or broken off. */
  async settle(): Promise<void> {
    await this.#batcher.settle();
    await Promise.all(this.#inProgress);
  }

  async #answer(stream: SMTPServerDataStream, session: Session): Promise<string | SmtpReply> {
    try {
      const { payload, control } = await this.#receive(stream, session);
      return `queued as job ${control}, mail ${payload}`;
    } catch (error) {
      // The client no longer reads it.
      if (isDisconnect(error)) return new SmtpReply(421, '4.4.2', 'The connection was lost');
      const reply = storageReply(error);
      const why = error instanceof Error && !(error instanceof SmtpReply) ? ` (${error.message})` : '';
      this.#deps.events.refused(reply.responseCode, `${reply.text}${why}`, clientOf(session));
      return reply;
    } finally {
      this.#batcher.forget(session.id);
    }
  }

  async #receive(stream: SMTPServerDataStream, session: Session): Promise<Stored> {
    const { size, scratch, hostname } = this.#options;
    const message = await spoolMessage(stream, size, scratch);
    if (message.kind === 'oversized')
      throw new SmtpReply(552, '5.3.4', `The message is larger than ${size} bytes and was not taken`);
    const problem = headerProblem(message.header, hostname);
    if (problem !== null) {
      await message.close();
      throw new SmtpReply(554, problem.status, `The message was not taken: ${problem.why}`);
    }
    const header = receivedHeader({
      helo: session.hostNameAppearsAs,
      address: session.remoteAddress,
      host: hostname,
      protocol: session.transmissionType,
      time: Math.floor(this.#deps.clock.now() / 1000),
    });
    const joined = this.#batcher.join({
      sender: this.#senders.get(session.envelope) ?? '',
      recipients: this.#recipients.get(session.envelope) ?? [],
      message,
      receivedHeader: header,
    });
    this.#batcher.forget(session.id);
    return joined;
  }

  async #store({
    sender,
    recipients,
    message,
    receivedHeader: header,
    transactions,
  }: SubmissionBatch): Promise<Stored> {
    async function* payload(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(header, 'latin1');
      yield* message.pieces();
    }
    const numbers = await this.#deps.queue.enqueue(payload(), {
      bounceto: sender,
      envelopeFrom: sender === '' ? '<>' : sender,
      sourceRoom: null,
      recipients,
      submitted: Math.floor(this.#deps.clock.now() / 1000),
    });
    this.#deps.events.queued({ ...numbers, sender, recipients, size: message.size, transactions });
    return numbers;
  }
}
