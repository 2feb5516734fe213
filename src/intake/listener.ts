/**
 * The SMTP and LMTP listener for Citadel's smarthost entry. It listens on this machine only, unless another address is given
 * together with users and a certificate, so that a mistyped option does not make an open relay.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { clientNetwork } from '../platform/ip-address.ts';
import { errorCode } from '../platform/system-errors.ts';
import { isOwnAddress } from '../routing/own-address.ts';
import { type ConnectionDeps, IntakeConnection, type LoginFailure } from './connection.ts';
import { formatListenAddress, type ListenTarget, parseListenAddress } from './listen-address.ts';
import { listen, listenError, removeStale } from './listening.ts';
import { LoginThrottle } from './login-throttle.ts';
import { BOUNDS } from './receiver/bounds.ts';
import {
  type HandlerDeps,
  type HandlerEvents,
  type HandlerOptions,
  TransactionHandler,
} from './transaction-handler.ts';

export interface IntakeOptions extends HandlerOptions {
  readonly protocol: 'smtp' | 'lmtp';
  /** RCPT commands of one transaction; the client sends the rest in the next one */
  readonly maxRecipients: number;
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
  maxRecipients: BOUNDS.recipients.value,
  stopping: 10_000,
  authenticate: null,
  tls: null,
} as const satisfies Partial<IntakeOptions>;

export interface IntakeEvents extends HandlerEvents {
  loginFailed(failure: LoginFailure): void;
  warning(text: string): void;
}

export interface IntakeDeps extends HandlerDeps {
  readonly events: IntakeEvents;
  /** shared by the listeners of a process; each has its own when it is left out */
  readonly throttle?: LoginThrottle;
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

/** A client may have so many-eth of the connections, so that one from elsewhere that keeps them open does not take all. */
const CLIENTS = 4;

/** The listener without its address. */
export class Intake {
  readonly #options: Omit<IntakeOptions, 'listen'>;
  readonly #deps: IntakeDeps;
  readonly #handler: TransactionHandler;
  /** with the client's network; '': this machine, null: refused, because there were too many */
  readonly #connections = new Map<IntakeConnection, string | null>();
  readonly #shared: ConnectionDeps;
  #server: Server | null = null;
  #accepted = 0;
  /** connections that are not refused */
  #serving = 0;
  /** those of each client */
  readonly #served = new Map<string, number>();
  /** who connected last */
  #last = { address: '', client: '' };
  #stopping = false;
  #lastClosed = (): void => {};

  constructor(options: Omit<IntakeOptions, 'listen'>, deps: IntakeDeps) {
    const { protocol, hostname, size, maxRecipients, authenticate, tls } = options;
    this.#options = options;
    this.#deps = deps;
    this.#handler = new TransactionHandler(options, deps);
    this.#shared = {
      policy: {
        ...{ protocol, hostname, size, maxRecipients },
        tls: tls !== null,
        login: authenticate !== null,
      },
      handler: this.#handler,
      clock: deps.clock,
      authenticate: authenticate ?? (() => false),
      throttle: deps.throttle ?? new LoginThrottle(deps.clock),
      tls: tls === null ? null : createSecureContext({ key: tls.key, cert: tls.cert }),
      loginFailed: (failure) => deps.events.loginFailed(failure),
      closed: (connection, error) => this.#closed(connection, error),
    };
  }

  /** A socket that is connected; it must allow half-open connections. */
  accept(socket: Socket): void {
    if (this.#stopping) {
      socket.destroy();
      return;
    }
    const client = this.#clientAt(socket.remoteAddress ?? '');
    const full = this.#isFull(client);
    if (!full) this.#serve(client, 1);
    const connection = new IntakeConnection(socket, String(++this.#accepted), full, this.#shared);
    this.#connections.set(connection, full ? null : client);
  }

  /** Those of one client often come one after the other. */
  #clientAt(address: string): string {
    if (address !== this.#last.address)
      this.#last = { address, client: isOwnAddress(address, []) ? '' : clientNetwork(address) };
    return this.#last.client;
  }

  #isFull(client: string): boolean {
    const { connections } = this.#options;
    const most = client === '' ? connections : connections / CLIENTS;
    return this.#serving >= connections || (this.#served.get(client) ?? 0) >= most;
  }

  #serve(client: string, more: 1 | -1): void {
    this.#serving += more;
    const served = (this.#served.get(client) ?? 0) + more;
    if (served > 0) this.#served.set(client, served);
    else this.#served.delete(client);
  }

  /** Resolves to the port it listens on, 0 for a unix socket; rejects with the system's error. */
  async listen(address: ListenTarget): Promise<number> {
    // Some clients close their side right after a pipelined QUIT; they still get their replies (RFC 5321 4.1.1.10).
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket));
    const port = await listen(server, address);
    this.#server = server;
    server.on('error', (error) => this.#warn(`The intake could not take a connection: ${error.message}.`));
    return port;
  }

  async close(): Promise<void> {
    this.#stopping = true;
    this.#server?.close();
    const allClosed = new Promise<void>((resolve) => {
      this.#lastClosed = resolve;
    });
    for (const connection of this.#connections.keys()) connection.stop();
    if (this.#connections.size === 0) this.#lastClosed();
    const patience = Math.max(1, this.#options.stopping - BOUNDS.stopping.value);
    const impatient = this.#deps.clock.after(patience, () => {
      for (const connection of this.#connections.keys()) connection.stopNow();
    });
    await this.#handler.settle();
    await allClosed;
    impatient.cancel();
    await this.#handler.settle();
  }

  #closed(connection: IntakeConnection, error: string | null): void {
    const client = this.#connections.get(connection) ?? null;
    if (client !== null) this.#serve(client, -1);
    this.#connections.delete(connection);
    if (error !== null) this.#warn(`A connection to the intake was lost: ${error}.`);
    if (this.#connections.size === 0) this.#lastClosed();
  }

  #warn(text: string): void {
    this.#deps.events.warning(text);
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
    const code = errorCode(error);
    if (code === null) throw error;
    const why = await listenError(code, address);
    return { kind: 'refused', why: 'system', text: `The intake cannot listen on ${options.listen}: ${why}.` };
  }
}
