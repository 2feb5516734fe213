/**
 * The SMTP and LMTP listener that Citadel's smarthost line points at. Called by `intake` and `watch --intake`. Opens and
 * closes; reception.ts makes jobs of what comes in, connection.ts speaks. It listens to this machine only, unless another
 * address is named together with users and a certificate.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { IntakeServer } from './connection.ts';
import { formatListenAddress, type ListenAddress, parseListenAddress } from './listen-address.ts';
import { replyCode, SmtpReply } from './reply.ts';
import {
  type HandlerDeps,
  type HandlerEvents,
  type HandlerOptions,
  TransactionHandler,
} from './transaction-handler.ts';

export interface IntakeOptions extends HandlerOptions {
  /** `PORT`, `ADDRESS:PORT` or `/path` of a unix socket */
  readonly listen: string;
  /** connections at once; the next one gets 421 */
  readonly connections: number;
  /** milliseconds a stop waits for what is being received */
  readonly stopping: number;
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
  mostRecipients: 1000,
  stopping: 10_000,
  authenticate: null,
  tls: null,
} as const satisfies Partial<IntakeOptions>;

export interface IntakeEvents extends HandlerEvents {
  warning(text: string): void;
}

export interface IntakeDeps extends HandlerDeps {
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

/** RFC 5321 4.5.3.2.7 */
const IDLE = 300_000;
/** Milliseconds a wrong password waits for its answer. */
const GUESS_DELAY = 1000;
/** Citadel opens a connection for each recipient at once. */
const BACKLOG = 1024;

/** Jokes of the library, and extensions by which a client would say that it is somebody else. */
const NOT_SPOKEN = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'];

type Open = Exclude<ListenAddress, { kind: 'unusable' }>;

/** The listener apart from the place where it listens. */
export class Intake {
  readonly #reception: TransactionHandler;
  readonly #server: IntakeServer;
  readonly #stopping: number;
  /** what goes wrong now is the listening, and `listen` says so */
  #opening = false;

  constructor(options: Omit<IntakeOptions, 'listen'>, deps: IntakeDeps) {
    const { protocol, hostname, size, connections, stopping, authenticate, tls } = options;
    const reception = new TransactionHandler(options, deps);
    const server = new IntakeServer({
      name: hostname,
      banner: 'spoolroom',
      heloResponse: '%s greets %s',
      lmtp: protocol === 'lmtp',
      size,
      maxClients: connections,
      socketTimeout: IDLE,
      disableReverseLookup: true,
      // Some clients close their side behind a QUIT sent ahead; their mail is answered all the same (RFC 5321 4.1.1.10).
      allowHalfOpen: true,
      hideENHANCEDSTATUSCODES: false,
      // The library refuses some that mail reaches all the same (a..b@, x_y.example); the reception judges them.
      lenientAddressParsing: true,
      authOptional: authenticate === null,
      disabledCommands: [
        ...NOT_SPOKEN,
        ...(authenticate === null ? ['AUTH'] : []),
        ...(tls === null ? ['STARTTLS'] : []),
      ],
      ...(tls ?? {}),
      onConnect: (_, callback) => callback(),
      onAuth: ({ username, password }, _session, callback) => {
        if (authenticate?.(username ?? '', password ?? '') === true) callback(null, { user: username });
        else
          deps.clock.after(GUESS_DELAY, () =>
            callback(new SmtpReply(535, '5.7.8', 'This user and password are not known here')),
          );
      },
      onMailFrom: ({ address }, session, callback) => callback(reception.mail(address, session)),
      onRcptTo: ({ address }, session, callback) => callback(reception.rcpt(address, session)),
      onData: (stream, session, callback) => {
        reception.message(stream, session).then((replies) => callback(null, replies));
      },
      onClose: (session) => reception.left(session.id),
    });
    server.accepted = (session) => reception.arrived(session);
    server.on('error', (error: Error) => {
      if (!this.#opening) deps.events.warning(`A connection to the intake was lost: ${error.message}.`);
    });
    this.#reception = reception;
    this.#server = server;
    this.#stopping = stopping;
  }

  /** A connection that stands. */
  accept(socket: Socket): void {
    this.#server.connect(socket);
  }

  /** The port it listens at, or 0; rejects with the system's error. */
  async listen(place: Open): Promise<number> {
    const { server } = this.#server;
    const target = place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port };
    this.#opening = true;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      this.#server.listen({ ...target, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#opening = false;
    try {
      if (place.kind === 'unix') await chmod(place.path, 0o660);
    } catch (error) {
      // Else it would go on listening after it has said that it cannot.
      await this.close();
      throw error;
    }
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = this.#server.stop(this.#stopping);
    this.#server.dismiss(421, '4.3.2 Shutting down; try again later');
    await this.#reception.settle();
    await closed;
    await this.#reception.settle();
  }
}

/** Why it must not listen there; null when it may. */
function exposure(place: Open, { authenticate, tls }: IntakeOptions): string | null {
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
    probe.once('error', (error) => resolve(replyCode(error) === 'ECONNREFUSED'));
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

/** libuv takes the missing directory of a socket for a matter of permission. */
async function troubleAt(code: string, place: Open): Promise<string> {
  const isGone =
    code === 'EACCES' &&
    place.kind === 'unix' &&
    (await lstat(dirname(place.path)).catch(() => null)) === null;
  return LISTEN_TROUBLE[isGone ? 'ENOENT' : code] ?? code;
}

/** Open the listener. What is in the way is a value with a sentence. */
export async function startIntake(options: IntakeOptions, deps: IntakeDeps): Promise<IntakeStart> {
  const place = parseListenAddress(options.listen);
  if (place.kind === 'unusable') return { kind: 'refused', why: 'place', text: place.text };
  const exposed = exposure(place, options);
  if (exposed !== null) return { kind: 'refused', why: 'place', text: exposed };
  const intake = new Intake(options, deps);
  try {
    if (place.kind === 'unix') await removeStale(place.path);
    const port = await intake.listen(place);
    return { kind: 'listening', address: formatListenAddress(place, port), close: () => intake.close() };
  } catch (error) {
    const code = replyCode(error);
    if (typeof code !== 'string') throw error;
    const why = await troubleAt(code, place);
    return { kind: 'refused', why: 'system', text: `The intake cannot listen at ${options.listen}: ${why}.` };
  }
}
