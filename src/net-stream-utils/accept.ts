/**
 * The server's side of a connection: a socket that was accepted, its bytes as events, TLS in place. Keeps no deadline and
 * knows no protocol.
 *
 * A client may close its side and still wait for answers, so the end of its bytes does not close the connection; during a TLS
 * handshake it does, because nothing can be answered any more.
 */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';

/** One listener set per connection. Nothing is called any more after `closed` or after `destroy()`. */
export interface ServerConnectionEvents {
  /** one read; the buffer is the receiver's own */
  bytes(bytes: Buffer): void;
  /** the client has closed its side; ours is still open */
  ended(): void;
  /** everything written so far has been handed to the system */
  drained(): void;
  secured(): void;
  /** exactly once; what broke the connection, or null when it was closed */
  closed(error: string | null): void;
}

export interface ServerConnection {
  /** the client's IP address; '' on a unix socket */
  readonly remoteAddress: string;
  /** One character per byte; a system call of its own. False: wait for `drained` before writing more. */
  write(data: string): boolean;
  /** no `bytes` and no `ended` until `resume` */
  pause(): void;
  resume(): void;
  /** Server side of the handshake. `secured` follows, or `closed`. Nothing may be written before. */
  startTls(context: SecureContext): void;
  /** send what is written, then close our side */
  end(): void;
  destroy(): void;
}

/** The socket must allow half-open connections (`allowHalfOpen`). */
export function accept(socket: Socket, events: ServerConnectionEvents): ServerConnection {
  return new AcceptedConnection(socket, events);
}

class AcceptedConnection implements ServerConnection {
  readonly remoteAddress: string;
  readonly #events: ServerConnectionEvents;
  #socket: Socket;
  #phase: 'open' | 'handshake' | 'over' = 'open';
  #error: string | null = null;

  constructor(socket: Socket, events: ServerConnectionEvents) {
    this.remoteAddress = socket.remoteAddress ?? '';
    this.#events = events;
    this.#socket = socket;
    this.#listen(socket);
  }

  write(data: string): boolean {
    if (this.#phase === 'over') return false;
    if (this.#phase === 'handshake')
      throw new Error('a write during a TLS handshake would leave in clear text');
    return this.#socket.write(data, 'latin1');
  }

  pause(): void {
    if (this.#phase === 'open') this.#socket.pause();
  }

  resume(): void {
    if (this.#phase !== 'over' && this.#socket.isPaused()) this.#socket.resume();
  }

  startTls(context: SecureContext): void {
    this.pause();
    this.#phase = 'handshake';
    import('./tls.ts').then((tls) => {
      if (this.#phase === 'over') return;
      const socket = tls.wrapServer(this.#socket, context);
      this.#socket = socket;
      this.#listen(socket);
      socket.once('secure', () => this.#secured());
    });
  }

  end(): void {
    if (this.#phase !== 'over') this.#socket.end();
  }

  destroy(): void {
    this.#phase = 'over';
    this.#socket.destroy();
  }

  /** Errors stay listened to for good: a socket may report one after its end. */
  #listen(socket: Socket): void {
    socket.on('data', (bytes: Buffer) => {
      if (this.#isCurrent(socket)) this.#events.bytes(bytes);
    });
    socket.on('end', () => {
      // Before the handshake is over the end may be read above TLS or below.
      if (this.#phase === 'handshake') this.#lost(null);
      else if (this.#isCurrent(socket)) this.#events.ended();
    });
    socket.on('drain', () => {
      if (this.#isCurrent(socket)) this.#events.drained();
    });
    // OpenSSL's own words where they are; the rest of its message is source lines of no use to people.
    socket.on('error', (error: Error & { readonly reason?: string }) => {
      this.#error = error.reason ?? error.message;
    });
    socket.on('close', () => this.#lost(this.#error));
  }

  /** Below TLS nothing is read or written by us. */
  #isCurrent(socket: Socket): boolean {
    return this.#phase !== 'over' && socket === this.#socket;
  }

  #secured(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'open';
    this.#events.secured();
  }

  #lost(error: string | null): void {
    if (this.#phase === 'over') return;
    this.destroy();
    this.#events.closed(error);
  }
}
