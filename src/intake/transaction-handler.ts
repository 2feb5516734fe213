/**
 * Makes jobs of what clients hand over: judges the envelope, takes the message, waits for the other copies of it, and puts
 * all of them into the room as one job. Called by listener.ts for each command that says something about a mail. A client
 * hears 250 only after the room says that message and control message are durable; everything else is a Reply, and the
 * mail stays with the client. Knows nothing of sockets.
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
  /** what the listener calls itself */
  readonly hostname: string;
  /** largest message, bytes */
  readonly size: number;
  /** milliseconds a message waits at the most for its other copies */
  readonly window: number;
  /** recipients of one transaction, each RCPT counted; the client sends the rest in the next one */
  readonly mostRecipients: number;
  /** directory for what does not fit into memory while it is being received */
  readonly scratch: string;
}

export interface QueuedMessage {
  readonly control: MessageNumber;
  readonly payload: MessageNumber;
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  /** bytes as received */
  readonly size: number;
  /** how many transactions brought it */
  readonly transactions: number;
}

/** What is told of mails; full sentences for people. */
export interface HandlerEvents {
  queued(mail: QueuedMessage): void;
  /** a message was not taken; the client keeps it (4yz) or reports it to its sender (5yz) */
  refused(reply: number, text: string, client: string): void;
}

export interface HandlerDeps {
  readonly room: Pick<Queue, 'enqueue'>;
  readonly clock: Clock;
  readonly events: HandlerEvents;
}

type Stored = Awaited<ReturnType<Queue['enqueue']>>;

function isDisconnect(error: unknown): boolean {
  return replyCode(error) === 'ECONNECTION' || replyCode(error) === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** RFC 5321 4.5.3.1.6: no command with a longer one would be sent on. */
const LONGEST_ADDRESS = 980;

/** The address as the queue keeps it, or the reply to one that nobody could deliver to. RFC 3463 3.2, RFC 6531 3.5 */
function addressOf(given: string, syntaxStatus: string, session: Session): ByteString | SmtpReply {
  const unusable = (status: string, why: string): SmtpReply => new SmtpReply(553, status, why);
  if (given.length > LONGEST_ADDRESS) return unusable(syntaxStatus, 'This address is too long');
  const address = recipientAddress(Buffer.from(given, 'utf8').toString('latin1'));
  if (address.kind === 'unusable')
    return unusable(syntaxStatus, `This address cannot be used: ${address.reason}`);
  if (given.includes('\ufffd'))
    return unusable(syntaxStatus, 'This address cannot be used: it is neither ASCII nor UTF-8');
  if (address.command.includes('|'))
    return unusable(syntaxStatus, 'This address cannot be used: a delivery list has no place for a bar (|)');
  if (address.smtputf8 && session.envelope.smtpUtf8 !== true)
    return unusable('5.6.7', 'An address beyond ASCII needs SMTPUTF8');
  return address.command;
}

function clientOf(session: Session): string {
  const address = session.remoteAddress === '' ? 'unix socket' : session.remoteAddress;
  return `${session.hostNameAppearsAs} (${address})`;
}

export class TransactionHandler {
  readonly #options: HandlerOptions;
  readonly #deps: HandlerDeps;
  readonly #gathering;
  /** as accepted, letter by letter; the library's own list folds case */
  readonly #recipients = new WeakMap<SMTPServerEnvelope, ByteString[]>();
  readonly #senders = new WeakMap<SMTPServerEnvelope, ByteString>();
  /** messages between their beginning and their answer */
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: HandlerOptions, deps: HandlerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#gathering = createBatcher(deps.clock, options.window, (mail) => this.#store(mail));
  }

  /** Somebody is there who may bring something. */
  arrived(session: string): void {
    this.#gathering.expect(session, null);
  }

  left(session: string): void {
    this.#gathering.forget(session);
  }

  /** Null: the sender is accepted. */
  mail(given: string, session: Session): SmtpReply | null {
    const sender = given === '' ? '' : addressOf(given, '5.1.7', session);
    if (sender instanceof SmtpReply) return sender;
    this.#senders.set(session.envelope, sender);
    this.#recipients.set(session.envelope, []);
    this.#gathering.expect(session.id, sender);
    return null;
  }

  /** Null: the recipient is accepted. */
  rcpt(given: string, session: Session): SmtpReply | null {
    const recipient = addressOf(given, '5.1.3', session);
    if (recipient instanceof SmtpReply) return recipient;
    const recipients = this.#recipients.get(session.envelope) ?? [];
    if (recipients.length >= this.#options.mostRecipients)
      return new SmtpReply(452, '4.5.3', 'Too many recipients; send the rest in another transaction');
    recipients.push(recipient);
    return null;
  }

  /** What is said of the message: a text behind 250 or a refusal; LMTP wants that for each RCPT (RFC 2033 4.2). */
  async message(stream: SMTPServerDataStream, session: Session): Promise<(string | SmtpReply)[]> {
    const accepted = this.#recipients.get(session.envelope)?.length ?? 1;
    const underWay = this.#answer(stream, session);
    this.#underWay.add(underWay);
    const answer = await underWay;
    this.#underWay.delete(underWay);
    return Array<string | SmtpReply>(this.#options.protocol === 'lmtp' ? accepted : 1).fill(answer);
  }

  /** Wait for no copies any more; resolves when every message that has begun is safe, refused or broken off. */
  async settle(): Promise<void> {
    await this.#gathering.settle();
    await Promise.all(this.#underWay);
  }

  async #answer(stream: SMTPServerDataStream, session: Session): Promise<string | SmtpReply> {
    try {
      const { payload, control } = await this.#receive(stream, session);
      return `queued as job ${control}, mail ${payload}`;
    } catch (error) {
      // Nobody hears it.
      if (isDisconnect(error)) return new SmtpReply(421, '4.4.2', 'The connection was lost');
      const reply = storageReply(error);
      const why = error instanceof Error && !(error instanceof SmtpReply) ? ` (${error.message})` : '';
      this.#deps.events.refused(reply.responseCode, `${reply.text}${why}`, clientOf(session));
      return reply;
    } finally {
      this.#gathering.forget(session.id);
    }
  }

  async #receive(stream: SMTPServerDataStream, session: Session): Promise<Stored> {
    const { size, scratch, hostname } = this.#options;
    const letter = await spoolMessage(stream, size, scratch);
    if (letter.kind === 'oversized')
      throw new SmtpReply(552, '5.3.4', `The message is larger than ${size} bytes and was not taken`);
    const trouble = headerProblem(letter.header, hostname);
    if (trouble !== null) {
      await letter.close();
      throw new SmtpReply(554, trouble.status, `The message was not taken: ${trouble.why}`);
    }
    const trace = receivedHeader({
      helo: session.hostNameAppearsAs,
      address: session.remoteAddress,
      host: hostname,
      protocol: session.transmissionType,
      time: Math.floor(this.#deps.clock.now() / 1000),
    });
    const joined = this.#gathering.join({
      sender: this.#senders.get(session.envelope) ?? '',
      recipients: this.#recipients.get(session.envelope) ?? [],
      letter,
      trace,
    });
    this.#gathering.forget(session.id);
    return joined;
  }

  async #store({ sender, recipients, letter, trace, transactions }: SubmissionBatch): Promise<Stored> {
    async function* payload(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(trace, 'latin1');
      yield* letter.pieces();
    }
    const numbers = await this.#deps.room.enqueue(payload(), {
      bounceto: sender,
      envelopeFrom: sender === '' ? '<>' : sender,
      sourceRoom: null,
      recipients,
      submitted: Math.floor(this.#deps.clock.now() / 1000),
    });
    this.#deps.events.queued({ ...numbers, sender, recipients, size: letter.size, transactions });
    return numbers;
  }
}
