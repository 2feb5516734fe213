/**
 * The SMTP and LMTP listener that Citadel's smarthost line points at: it takes mail and puts jobs into a room. Called by
 * `intake` and `watch --intake`. The final dot is answered with 250 only after the room says that message and control
 * message are durable; everything else gets 4yz or 5yz and stays with the client. It delivers nothing, and it listens
 * to this machine only, unless another address is named together with users and a certificate.
 *
 * The protocol is smtp-server's (techdoc/beside-citadel.md says what that does not speak).
 */
import { randomUUID } from 'node:crypto';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { SMTPServerDataStream, SMTPServerEnvelope, SMTPServerSession } from 'smtp-server';
import { SMTPServer } from 'smtp-server';
import type { ByteString } from '../control/job.ts';
import type { Clock } from '../delivery/ports.ts';
import { recipientAddress } from '../plan/address.ts';
import type { MessageNumber, Room } from '../room/room.ts';
import { createGathering, type Gathered } from './gathering.ts';
import { takeLetter } from './letter.ts';
import { type Place, parsePlace, shownPlace } from './place.ts';
import { headerTrouble, receivedLine } from './trace.ts';

export interface IntakeOptions {
  /** `PORT`, `ADDRESS:PORT` or `/path` of a unix socket */
  readonly listen: string;
  readonly protocol: 'smtp' | 'lmtp';
  /** what the listener calls itself */
  readonly hostname: string;
  /** largest message, bytes */
  readonly size: number;
  /** connections at once; the next one gets 421 */
  readonly connections: number;
  /** milliseconds a message waits at the most for its other copies */
  readonly window: number;
  /** milliseconds a stop waits for what is being received */
  readonly stopping: number;
  /** directory for what does not fit into memory while it is being received */
  readonly scratch: string;
  /** null: nobody has to authenticate */
  readonly authenticate: ((user: string, password: string) => boolean) | null;
  /** PEM; null: no STARTTLS */
  readonly tls: { readonly key: string; readonly cert: string } | null;
}

export const INTAKE_DEFAULTS = {
  protocol: 'smtp',
  size: 104_857_600,
  connections: 1000,
  window: 100,
  stopping: 10_000,
  authenticate: null,
  tls: null,
} as const satisfies Partial<IntakeOptions>;

export interface QueuedMail {
  readonly control: MessageNumber;
  readonly payload: MessageNumber;
  readonly sender: ByteString;
  readonly recipients: readonly ByteString[];
  /** bytes as received */
  readonly size: number;
  /** how many transactions brought it */
  readonly transactions: number;
}

/** What the listener tells; full sentences for people. */
export interface IntakeEvents {
  queued(mail: QueuedMail): void;
  /** a message was not taken; the client keeps it (4yz) or reports it to its sender (5yz) */
  refused(reply: number, text: string, client: string): void;
  warning(text: string): void;
}

export interface IntakeDeps {
  readonly room: Pick<Room, 'enqueue'>;
  readonly clock: Clock;
  readonly events: IntakeEvents;
}

export type IntakeStart =
  | {
      readonly kind: 'listening';
      /** as in `listen`, with the port the system gave */
      readonly address: string;
      /** Take no more; what is being received is finished or refused. Everything acknowledged is durable on return. */
      close(): Promise<void>;
    }
  /** `place`: it must not or cannot be there; `system`: the system does not let us. A full sentence */
  | { readonly kind: 'refused'; readonly why: 'place' | 'system'; readonly text: string };

/** An answer other than 250. */
class Reply extends Error {
  readonly responseCode: number;

  constructor(code: number, text: string) {
    super(text);
    this.responseCode = code;
  }
}

/** Recipients of one transaction; the client sees the 452 and sends the rest in the next one. */
const MOST_RECIPIENTS = 1000;
/** RFC 5321 4.5.3.2.7 */
const IDLE = 300_000;
/** Citadel opens a connection for each recipient at once. */
const BACKLOG = 1024;

const FULL_DISK: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/** Jokes of the library, and extensions by which a client would say that it is somebody else. */
const NOT_SPOKEN = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'];

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}

/** What a client is told when its message could not be stored. */
function storeTrouble(error: unknown): Reply {
  if (error instanceof Reply) return error;
  return FULL_DISK.has(codeOf(error))
    ? new Reply(452, 'No space is left on the disk; the message was not taken, try again later')
    : new Reply(451, 'The message could not be stored and was not taken; try again later');
}

function isDisconnect(error: unknown): boolean {
  return codeOf(error) === 'ECONNECTION' || codeOf(error) === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** The address as the queue keeps it, or the reply to one that nobody could deliver to. */
function addressOf(given: string, session: SMTPServerSession): ByteString | Reply {
  const address = recipientAddress(Buffer.from(given, 'utf8').toString('latin1'));
  if (address.kind === 'unusable') return new Reply(553, `This address cannot be used: ${address.reason}`);
  if (given.includes('\ufffd'))
    return new Reply(553, 'This address cannot be used: it is neither ASCII nor UTF-8');
  if (address.smtputf8 && session.envelope.smtpUtf8 !== true)
    return new Reply(553, 'An address beyond ASCII needs SMTPUTF8');
  return address.command;
}

/** The library knows a session 100 ms after its connection; the gathering has to know it at once. */
class CountingServer extends SMTPServer {
  accepted: (session: string) => void = () => {};

  override connect(...[socket, options]: Parameters<SMTPServer['connect']>): void {
    const id = randomUUID();
    this.accepted(id);
    super.connect(socket, { ...options, id });
  }
}

type Stored = Awaited<ReturnType<Room['enqueue']>>;

class Listener {
  readonly #options: IntakeOptions;
  readonly #deps: IntakeDeps;
  readonly #gathering;
  readonly #server: SMTPServer;
  /** as accepted, letter by letter; the library's own list folds case */
  readonly #recipients = new WeakMap<SMTPServerEnvelope, ByteString[]>();
  readonly #senders = new WeakMap<SMTPServerEnvelope, ByteString>();
  /** sessions between DATA and its reply */
  readonly #receiving = new Set<string>();

  constructor(options: IntakeOptions, deps: IntakeDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#gathering = createGathering(deps.clock, options.window, (mail) => this.#store(mail));
    this.#server = this.#serve();
  }

  #serve(): SMTPServer {
    const { protocol, hostname, size, connections, stopping, authenticate, tls } = this.#options;
    const server = new CountingServer({
      name: hostname,
      banner: 'spoolroom',
      lmtp: protocol === 'lmtp',
      size,
      maxClients: connections,
      maxRecipients: MOST_RECIPIENTS,
      socketTimeout: IDLE,
      closeTimeout: stopping,
      disableReverseLookup: true,
      hideENHANCEDSTATUSCODES: false,
      authOptional: authenticate === null,
      disabledCommands: [
        ...NOT_SPOKEN,
        ...(authenticate === null ? ['AUTH'] : []),
        ...(tls === null ? ['STARTTLS'] : []),
      ],
      ...(tls ?? {}),
      onAuth: ({ username, password }, _session, callback) => {
        if (authenticate?.(username ?? '', password ?? '') === true) callback(null, { user: username });
        else callback(new Reply(535, 'This user and password are not known here'));
      },
      onMailFrom: ({ address }, session, callback) => callback(this.#mail(address, session)),
      onRcptTo: ({ address }, session, callback) => callback(this.#rcpt(address, session)),
      onData: (stream, session, callback) => {
        this.#data(stream, session).then(
          (text) => callback(null, this.#replies(session, text)),
          (error: Error) => callback(null, this.#replies(session, error)),
        );
      },
      onClose: (session) => this.#gathering.forget(session.id),
    });
    server.accepted = (session) => this.#gathering.expect(session, null);
    server.on('error', (error: Error) =>
      this.#deps.events.warning(`A connection to the intake was lost: ${error.message}.`),
    );
    return server;
  }

  #mail(given: string, session: SMTPServerSession): Reply | null {
    const sender = given === '' ? '' : addressOf(given, session);
    if (sender instanceof Reply) return sender;
    this.#senders.set(session.envelope, sender);
    this.#recipients.set(session.envelope, []);
    this.#gathering.expect(session.id, sender);
    return null;
  }

  #rcpt(given: string, session: SMTPServerSession): Reply | null {
    const recipient = addressOf(given, session);
    if (recipient instanceof Reply) return recipient;
    this.#recipients.get(session.envelope)?.push(recipient);
    return null;
  }

  /** LMTP wants a reply for each RCPT it accepted (RFC 2033 4.2), SMTP one. */
  #replies(session: SMTPServerSession, reply: string | Error): (string | Error)[] {
    const accepted = this.#recipients.get(session.envelope)?.length ?? 1;
    return Array<string | Error>(this.#options.protocol === 'lmtp' ? accepted : 1).fill(reply);
  }

  /** The text behind 250; rejects with a Reply. */
  async #data(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    this.#receiving.add(session.id);
    try {
      const { payload, control } = await this.#receive(stream, session);
      return `queued as job ${control}, mail ${payload}`;
    } catch (error) {
      if (isDisconnect(error)) throw new Reply(421, 'The connection was lost');
      const reply = storeTrouble(error);
      const why = error instanceof Error && !(error instanceof Reply) ? ` (${error.message})` : '';
      this.#deps.events.refused(reply.responseCode, `${reply.message}${why}`, clientOf(session));
      throw reply;
    } finally {
      this.#receiving.delete(session.id);
      this.#gathering.forget(session.id);
    }
  }

  async #receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Stored> {
    const { size, scratch, hostname } = this.#options;
    const letter = await takeLetter(stream, size, scratch);
    if (letter.kind === 'oversized')
      throw new Reply(552, `The message is larger than ${size} bytes and was not taken`);
    const trouble =
      letter.header === null ? 'its header is longer than 128 KiB' : headerTrouble(letter.header, hostname);
    if (trouble !== null) {
      await letter.close();
      throw new Reply(554, `The message was not taken: ${trouble}`);
    }
    const trace = receivedLine({
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

  async #store({ sender, recipients, letter, trace, transactions }: Gathered): Promise<Stored> {
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

  async listen(place: Exclude<Place, { kind: 'unusable' }>): Promise<number> {
    const { server } = this.#server;
    const target = place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port };
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      this.#server.listen({ ...target, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    if (place.kind === 'unix') await chmod(place.path, 0o660);
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(resolve));
    for (const connection of this.#server.connections) {
      if (!this.#receiving.has(connection.id)) connection.send(421, 'Shutting down; try again later');
    }
    await this.#gathering.settle();
    await closed;
    await this.#gathering.settle();
  }
}

function clientOf(session: SMTPServerSession): string {
  const address = session.remoteAddress === '' ? 'unix socket' : session.remoteAddress;
  return `${session.hostNameAppearsAs} (${address})`;
}

/** Why it must not listen there; null when it may. */
function exposure(place: Place, { authenticate, tls }: IntakeOptions): string | null {
  if (place.kind !== 'tcp' || place.loopback) return null;
  if (authenticate !== null && tls !== null) return null;
  return (
    `The intake does not listen at ${place.host} for everybody: other machines could send mail through it. ` +
    'Name a loopback address or a unix socket, or give it users and a certificate.'
  );
}

/** A socket file nobody listens at any more, as `kill -9` leaves it, goes; anything else stays and is in the way. */
async function removeStale(path: string): Promise<void> {
  const status = await lstat(path).catch(() => null);
  if (status?.isSocket() !== true) return;
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(false));
    probe.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'));
    probe.once('close', () => probe.destroy());
    probe.end();
  });
  if (dead) await unlink(path);
}

const LISTEN_TROUBLE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already',
  EACCES: 'this user may not (permission denied)',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOENT: 'its directory does not exist',
};

/** Open the listener. What is in the way is a value with a sentence. */
export async function startIntake(options: IntakeOptions, deps: IntakeDeps): Promise<IntakeStart> {
  const place = parsePlace(options.listen);
  if (place.kind === 'unusable') return { kind: 'refused', why: 'place', text: place.text };
  const exposed = exposure(place, options);
  if (exposed !== null) return { kind: 'refused', why: 'place', text: exposed };
  const listener = new Listener(options, deps);
  try {
    if (place.kind === 'unix') await removeStale(place.path);
    const port = await listener.listen(place);
    return { kind: 'listening', address: shownPlace(place, port), close: () => listener.close() };
  } catch (error) {
    const code = codeOf(error);
    if (typeof code !== 'string') throw error;
    const why = LISTEN_TROUBLE[code] ?? code;
    return { kind: 'refused', why: 'system', text: `The intake cannot listen at ${options.listen}: ${why}.` };
  }
}
