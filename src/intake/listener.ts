/**
 * The SMTP and LMTP listener for Citadel's smarthost entry. It listens on this machine only, unless another address is given
 * together with users and a certificate, so that a mistyped option does not make an open relay.
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
  /** most connections at the same time; further ones get 421 */
  readonly connections: number;
  /** the longest a stop waits for messages being received, milliseconds */
  readonly stopping: number;
  /** null: no authentication */
  readonly authenticate: ((user: string, password: string) => boolean) | null;
  /** PEM; null: no STARTTLS */
  readonly tls: { readonly key: string; readonly cert: string } | null;
}

export const INTAKE_DEFAULTS = {
  protocol: 'smtp',
  size: 104_857_600,
  connections: 1000,
  window: 100,
  maxRecipients: 1000,
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
      /** as in `listen`, with the port the system assigned */
      readonly address: string;
      /** Stops listening; messages being received are finished or refused. */
      close(): Promise<void>;
    }
  /** because of the given `address`, or an error of the `system`; `text` is full sentences */
  | { readonly kind: 'refused'; readonly why: 'address' | 'system'; readonly text: string };

/** RFC 5321 4.5.3.2.7, milliseconds */
const IDLE_TIMEOUT = 300_000;
/** Delay of the reply to a wrong password, milliseconds. */
const AUTH_FAILURE_DELAY = 1000;
/** Citadel opens connections for all recipients at the same time. */
const BACKLOG = 1024;

/** Jokes of the library, and extensions with which a client gives another identity. */
const DISABLED_COMMANDS = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'];

type ListenTarget = Exclude<ListenAddress, { kind: 'unusable' }>;

/** The listener without its address. */
export class Intake {
  readonly #handler: TransactionHandler;
  readonly #server: IntakeServer;
  readonly #stopping: number;
  /** while it opens, errors are reported by `listen` */
  #opening = false;

  constructor(options: Omit<IntakeOptions, 'listen'>, deps: IntakeDeps) {
    const { protocol, hostname, size, connections, stopping, authenticate, tls } = options;
    const handler = new TransactionHandler(options, deps);
    const server = new IntakeServer({
      name: hostname,
      banner: 'spoolroom',
      heloResponse: '%s greets %s',
      lmtp: protocol === 'lmtp',
      size,
      maxClients: connections,
      socketTimeout: IDLE_TIMEOUT,
      disableReverseLookup: true,
      // Some clients close their side right after a pipelined QUIT; they still get their replies (RFC 5321 4.1.1.10).
      allowHalfOpen: true,
      hideENHANCEDSTATUSCODES: false,
      // The library refuses some addresses that can be delivered (a..b@, x_y.example); the handler checks them.
      lenientAddressParsing: true,
      authOptional: authenticate === null,
      disabledCommands: [
        ...DISABLED_COMMANDS,
        ...(authenticate === null ? ['AUTH'] : []),
        ...(tls === null ? ['STARTTLS'] : []),
      ],
      ...(tls ?? {}),
      onConnect: (_, callback) => callback(),
      onAuth: ({ username, password }, _session, callback) => {
        if (authenticate?.(username ?? '', password ?? '') === true) callback(null, { user: username });
        else
          deps.clock.after(AUTH_FAILURE_DELAY, () =>
            callback(new SmtpReply(535, '5.7.8', 'Wrong user name or password')),
          );
      },
      onMailFrom: ({ address }, session, callback) => callback(handler.mail(address, session)),
      onRcptTo: ({ address }, session, callback) => callback(handler.rcpt(address, session)),
      onData: (stream, session, callback) => {
        handler.message(stream, session).then((replies) => callback(null, replies));
      },
      onClose: (session) => handler.disconnected(session.id),
    });
    server.accepted = (session) => handler.connected(session);
    server.on('error', (error: Error) => {
      if (!this.#opening) deps.events.warning(`A connection to the intake was lost: ${error.message}.`);
    });
    this.#handler = handler;
    this.#server = server;
    this.#stopping = stopping;
  }

  /** Serves a socket that is already connected. */
  accept(socket: Socket): void {
    this.#server.connect(socket);
  }

  /** Resolves to the port it listens on, 0 for a unix socket; rejects with the system's error. */
  async listen(address: ListenTarget): Promise<number> {
    const { server } = this.#server;
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
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
      if (address.kind === 'unix') await chmod(address.path, 0o660);
    } catch (error) {
      // Otherwise it would go on listening after the failure was reported.
      await this.close();
      throw error;
    }
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  async close(): Promise<void> {
    const closed = this.#server.stop(this.#stopping);
    this.#server.closeIdle(421, '4.3.2 Shutting down; try again later');
    await this.#handler.settle();
    await closed;
    await this.#handler.settle();
  }
}

/** Why it must not listen on this address; null when it may. */
function exposureProblem(address: ListenTarget, { authenticate, tls }: IntakeOptions): string | null {
  if (address.kind !== 'tcp' || address.loopback) return null;
  if (authenticate !== null && tls !== null) return null;
  return (
    `The intake does not listen on ${address.host}, because other machines could send mail through it. ` +
    'Use a loopback address or a unix socket, or set intake.users and intake.certificate.'
  );
}

/** Removes a socket file on which no process listens, as left by `kill -9`. Anything else stays. */
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

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program already listens there',
  EACCES: 'permission denied for this user',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOENT: 'its directory does not exist',
};

/** libuv reports the missing directory of a socket as EACCES. */
async function listenError(code: string, address: ListenTarget): Promise<string> {
  const isMissing =
    code === 'EACCES' &&
    address.kind === 'unix' &&
    (await lstat(dirname(address.path)).catch(() => null)) === null;
  return LISTEN_ERRORS[isMissing ? 'ENOENT' : code] ?? code;
}

/** Opens the listener. An expected failure is a value with a sentence. */
export async function startIntake(options: IntakeOptions, deps: IntakeDeps): Promise<IntakeStart> {
  const address = parseListenAddress(options.listen);
  if (address.kind === 'unusable') return { kind: 'refused', why: 'address', text: address.text };
  const exposed = exposureProblem(address, options);
  if (exposed !== null) return { kind: 'refused', why: 'address', text: exposed };
  const intake = new Intake(options, deps);
  try {
    if (address.kind === 'unix') await removeStale(address.path);
    const port = await intake.listen(address);
    return { kind: 'listening', address: formatListenAddress(address, port), close: () => intake.close() };
  } catch (error) {
    const code = replyCode(error);
    if (typeof code !== 'string') throw error;
    const why = await listenError(code, address);
    return { kind: 'refused', why: 'system', text: `The intake cannot listen on ${options.listen}: ${why}.` };
  }
}
