/**
 * Makes jobs of the messages that clients submit: receives the message, waits for its other copies, and
 * queues all of them as one job. A client gets 250 only after the message and its control message are on disk; after any
 * other reply the message stays with the client.
 */
import type { MessageNumber } from '../delivery-list/job.ts';
import { summarizeMessage } from '../message/summary.ts';
import type { ByteString } from '../platform/bytes.ts';
import type { Clock } from '../platform/clock.ts';
import { type MessageFacts, messageIdOf } from '../queue/message-facts.ts';
import type { Queue } from '../queue/queue.ts';
import { createBatcher, type SubmissionBatch } from './batcher.ts';
import { headerProblem, receivedHeader } from './received-header.ts';
import type { Envelope } from './receiver/session.ts';
import { type Reply, storageReply } from './reply.ts';
import { MessageSpool, type OversizedMessage, type SpooledMessage } from './spooled-message.ts';

export interface HandlerOptions {
  /** the listener's own name */
  readonly hostname: string;
  /** largest message, bytes */
  readonly size: number;
  /** the longest a message waits for its other copies, milliseconds */
  readonly window: number;
  /** directory for temporary files of messages being received */
  readonly scratch: string;
}

export interface QueuedMessage extends MessageFacts {
  readonly control: MessageNumber;
  readonly payload: MessageNumber;
  readonly recipients: readonly ByteString[];
  /** number of transactions that brought copies of it */
  readonly transactions: number;
}

/** What was refused: the client keeps it (4yz) or reports it to its sender (5yz). */
export interface RejectedMessage extends Omit<MessageFacts, 'submitted'> {
  readonly code: number;
  /** a full sentence */
  readonly text: string;
  /** what the client calls itself, and its address */
  readonly client: string;
  readonly recipients: readonly ByteString[];
}

export interface HandlerEvents {
  queued(message: QueuedMessage): void;
  refused(message: RejectedMessage): void;
}

export interface HandlerDeps {
  /** `prepare` is called before a temporary file is made */
  readonly queue: Pick<Queue, 'enqueue'> & { prepare?(): void };
  readonly clock: Clock;
  readonly events: HandlerEvents;
}

type Stored = Awaited<ReturnType<Queue['enqueue']>>;

/** Who hands something over. */
export interface Client {
  /** names the connection */
  readonly id: string;
  /** IP address; '' on a unix socket */
  readonly address: string;
}

/** A message on its way in. */
export interface IncomingMessage {
  /** Null: go on; else wait for the disk. Never rejects. */
  add(bytes: Uint8Array): Promise<void> | null;
  /** All of it has come. The answer says whether it is durable; never rejects. */
  finish(): Promise<Reply>;
  /** The rest never comes. */
  abort(): void;
}

export class TransactionHandler {
  readonly #options: HandlerOptions;
  readonly #deps: HandlerDeps;
  readonly #batcher;
  /** messages being received or stored, or to be told of */
  readonly #inProgress = new Set<Promise<unknown>>();

  constructor(options: HandlerOptions, deps: HandlerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#batcher = createBatcher(deps.clock, options.window, (batch) => this.#store(batch));
  }

  /** A client is there that may bring something; from whom is not known yet (null) or known. */
  expect({ id }: Client, sender: ByteString | null): void {
    this.#batcher.expect(id, sender);
  }

  /** It is gone. */
  left({ id }: Client): void {
    this.#batcher.forget(id);
  }

  begin(client: Client, envelope: Envelope): IncomingMessage {
    const { size, scratch } = this.#options;
    const spool = new MessageSpool(size, () => {
      this.#deps.queue.prepare?.();
      return scratch;
    });
    let over = (): void => {};
    this.#waitFor((resolve) => {
      over = resolve;
    });
    return {
      add: (bytes) => spool.add(bytes),
      finish: async () => {
        const reply = await this.#finish(spool, client, envelope);
        over();
        return reply;
      },
      abort: () => {
        this.#batcher.forget(client.id);
        spool.abort().finally(over);
      },
    };
  }

  /** Stops waiting for copies; resolves when every message that has begun is queued and told of, refused or broken off. */
  async settle(): Promise<void> {
    await this.#batcher.settle();
    // One that is stored meanwhile is still to be told of.
    while (this.#inProgress.size > 0) await Promise.all(this.#inProgress);
  }

  #waitFor(begin: (over: () => void) => void): void {
    const inProgress = new Promise<void>(begin);
    this.#inProgress.add(inProgress);
    inProgress.then(() => this.#inProgress.delete(inProgress));
  }

  async #finish(spool: MessageSpool, client: Client, envelope: Envelope): Promise<Reply> {
    const { sender, recipients } = envelope;
    let message: SpooledMessage | OversizedMessage | null = null;
    const refuse = (reply: Reply, cause = ''): Reply => {
      const who = `${envelope.client} (${client.address === '' ? 'unix socket' : client.address})`;
      this.#deps.events.refused({
        ...{ code: reply.code, text: `${reply.text}${cause}`, client: who },
        ...{ sender, recipients, ...receivedFacts(message) },
      });
      return reply;
    };
    try {
      message = await spool.finish();
      const taken = await this.#take(message, client, envelope);
      if ('code' in taken) return refuse(taken);
      return { code: 250, status: '2.6.0', text: `queued as job ${taken.control}, message ${taken.payload}` };
    } catch (error) {
      return refuse(storageReply(error), error instanceof Error ? ` (${error.message})` : '');
    } finally {
      this.#batcher.forget(client.id);
    }
  }

  /** The numbers it is stored under, or why it is not. Rejects with the disk's error. */
  async #take(
    message: SpooledMessage | OversizedMessage,
    client: Client,
    envelope: Envelope,
  ): Promise<Stored | Reply> {
    const { size, hostname } = this.#options;
    if (message.kind === 'oversized')
      return {
        code: 552,
        status: '5.3.4',
        text: `The message is larger than ${size} bytes and was not taken`,
      };
    const problem = headerProblem(message.header, hostname);
    if (problem !== null) {
      await message.close();
      return { code: 554, status: problem.status, text: `The message was not taken: ${problem.why}` };
    }
    const header = receivedHeader({
      helo: envelope.client,
      address: client.address,
      host: hostname,
      protocol: envelope.protocol,
      time: Math.floor(this.#deps.clock.now() / 1000),
    });
    const { sender, recipients, dsn } = envelope;
    return this.#batcher.join(client.id, { sender, recipients, dsn, message, receivedHeader: header });
  }

  async #store({
    sender,
    recipients,
    dsn,
    message,
    receivedHeader: header,
    transactions,
  }: SubmissionBatch): Promise<Stored> {
    const head = Buffer.from(header, 'latin1');
    const payload = message.whole === null ? following(head, message) : Buffer.concat([head, message.whole]);
    const submitted = Math.floor(this.#deps.clock.now() / 1000);
    const numbers = await this.#deps.queue.enqueue(payload, {
      bounceto: sender,
      envelopeFrom: sender === '' ? '<>' : sender,
      sourceRoom: null,
      recipients,
      submitted,
      ...(dsn === null ? {} : { dsn }),
    });
    // The client, which waits, has its answer first.
    this.#waitFor((over) =>
      setImmediate(() => {
        const facts = { submitted, sender, ...receivedFacts(message) };
        this.#deps.events.queued({ ...numbers, ...facts, recipients, transactions });
        over();
      }),
    );
    return numbers;
  }
}

async function* following(head: Uint8Array, message: SpooledMessage): AsyncGenerator<Uint8Array> {
  yield head;
  yield* message.pieces();
}

/** Reads the header once more: asked for when a message is told of, and not before. */
function receivedFacts(
  message: SpooledMessage | OversizedMessage | null,
): Pick<MessageFacts, 'messageId' | 'size'> {
  if (message?.kind !== 'message') return { messageId: null, size: null };
  const { header, size } = message;
  return { messageId: header === null ? null : messageIdOf(summarizeMessage(header)), size };
}
