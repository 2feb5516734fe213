/**
 * The Connection interface on real sockets: TCP or a unix socket, TLS from the start or later. It has no deadlines, resolves no
 * names, and never reconnects.
 *
 * What is written in one turn of the event loop is sent in one system call and, if it fits, in one segment: some servers
 * misread commands that are split between segments (R007), and Nagle's algorithm with delayed ACK would slow down the others.
 * A half-open connection counts as closed, because the peer will send nothing more.
 */
import * as net from 'node:net';
import type {
  CloseReason,
  Connect,
  Connection,
  ConnectionEvents,
  Endpoint,
  TlsFacts,
  TlsOptions,
} from './connection.ts';
import { createLineReader } from './line-reader.ts';

type Tls = typeof import('./tls.ts');
type Refusal = import('./tls.ts').Refusal;

/** Bytes taken from the system in one read; SMTP replies are far shorter. */
const READ_BUFFER = 65_536;

/**
 * The one of all connections: a read is handled before the next one begins (epoll and kqueue tell that there is something to
 * read, and nothing is read before it is asked for). Null: nothing was connected yet.
 */
let shared: Buffer | null = null;

/** Characters gathered before the socket gets them: a message of ordinary length between two envelopes. */
const GATHERED = 16_384;

/** A character above U+00FF: latin1 would keep only its low byte, so that U+010A became a LF. */
const NOT_A_BYTE = /[^\0-\xff]/;

export const connect: Connect = (endpoint, events, tls) => new SocketConnection(endpoint, events, tls);

class SocketConnection implements Connection {
  readonly #events: ConnectionEvents;
  #socket: net.Socket;
  #reader = createLineReader();
  #phase: 'open' | 'handshake' | 'over' = 'open';
  /** what is written leaves when the turn is over, or when what was read is handled */
  #isGathering = false;
  /** of what is gathered the last, which the socket has not got yet: one string costs it less than several */
  #text = '';

  constructor(endpoint: Endpoint, events: ConnectionEvents, tls: TlsOptions | undefined) {
    this.#events = events;
    shared ??= Buffer.allocUnsafeSlow(READ_BUFFER);
    const buffer = shared;
    // `onread` avoids the stream machinery and a new buffer for every reply.
    const read = (length: number) => {
      this.#read(buffer, length);
      return true;
    };
    this.#socket = net.connect({ ...targetOf(endpoint), noDelay: true, onread: { buffer, callback: read } });
    this.#listen(this.#socket);
    this.#socket.once('connect', () => {
      if (this.#phase === 'over') return;
      events.connected();
      if (tls !== undefined) this.startTls(tls);
    });
  }

  write(data: string | Uint8Array): boolean {
    if (this.#phase === 'over') return false;
    if (this.#phase === 'handshake')
      throw new Error('write during a TLS handshake would leave in clear text');
    if (typeof data === 'string' && NOT_A_BYTE.test(data)) {
      throw new RangeError('a string to be written holds a character above U+00FF');
    }
    if (!this.#isGathering) {
      this.#isGathering = true;
      process.nextTick(SocketConnection.#turnIsOver, this);
    }
    if (typeof data === 'string' && this.#text.length + data.length < GATHERED) {
      this.#text += data;
      return true;
    }
    if (this.#socket.writableCorked === 0) this.#socket.cork();
    this.#writeText();
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
  }

  startTls(options: TlsOptions): void {
    if (this.#phase === 'over') return;
    this.#send();
    this.#phase = 'handshake';
    this.#reader = createLineReader();
    import('./tls.ts')
      .then((tls) => this.#handshake(tls, options))
      .catch((error) => this.#close(tlsReason(error)));
  }

  end(): void {
    if (this.#phase === 'over') return;
    this.#send();
    this.#socket.end();
  }

  destroy(): void {
    this.#phase = 'over';
    this.#socket.destroy();
  }

  /** One function for all connections, instead of a closure for every turn. */
  static #turnIsOver(connection: SocketConnection): void {
    connection.#send();
  }

  /** What was gathered leaves, in one system call. */
  #send(): void {
    if (!this.#isGathering) return;
    this.#isGathering = false;
    if (this.#phase === 'over') return;
    this.#writeText();
    this.#socket.uncork();
  }

  #writeText(): void {
    if (this.#text === '') return;
    this.#socket.write(this.#text, 'latin1');
    this.#text = '';
  }

  #listen(socket: net.Socket): void {
    socket.on('drain', () => {
      if (this.#phase !== 'over') this.#events.drained();
    });
    socket.on('end', () => this.#lost(socket));
    socket.on('error', (error) => this.#lost(socket, error));
    socket.on('close', () => this.#lost(socket));
  }

  /** The first bytes of the buffer. */
  #read(buffer: Buffer, length: number): void {
    if (this.#phase === 'over') return;
    if (this.#phase === 'handshake') {
      this.#close({ kind: 'tls', message: 'the server sent clear text instead of the TLS handshake' });
      return;
    }
    if (this.#events.bytes !== undefined) {
      this.#events.bytes(buffer.subarray(0, length));
      return;
    }
    const reader = this.#reader;
    const { lines, partial, overlong } = reader.feed(buffer.toString('latin1', 0, length));
    this.#isGathering = true;
    if (lines.length > 0 || partial) this.#events.lines(lines, partial);
    this.#send();
    // The listener may have started TLS, and with it a new reader.
    if (overlong && reader === this.#reader) this.#close({ kind: 'overlong' });
  }

  #handshake(tls: Tls, options: TlsOptions): void {
    // A destroyed socket emits its own events.
    if (this.#phase === 'over' || this.#socket.destroyed) return;
    const { socket, facts } = tls.wrap(this.#socket, options);
    this.#socket = socket;
    this.#listen(socket);
    socket.once('secureConnect', () => this.#secured(facts()));
    socket.on('data', (bytes: Buffer) => this.#read(bytes, bytes.length));
  }

  #secured(facts: TlsFacts | Refusal): void {
    if (this.#phase === 'over') return;
    if ('message' in facts) {
      this.#close({ kind: 'tls', ...facts });
      return;
    }
    this.#phase = 'open';
    this.#events.secured(facts);
  }

  /** A socket ended, with or without an error. Events of the one below a TLS socket are ignored. */
  #lost(socket: net.Socket, error?: SocketError): void {
    if (socket !== this.#socket || this.#phase === 'over') return;
    this.#close(this.#phase === 'handshake' ? tlsReason(error) : reasonOf(error));
  }

  #close(reason: CloseReason): void {
    if (this.#phase === 'over') return;
    this.destroy();
    this.#events.closed(reason);
  }
}

/** Anything that is not an IP address is a path, so that a host name never causes a lookup. */
function targetOf({ address, port, localAddress }: Endpoint): net.NetConnectOpts {
  if (net.isIP(address) === 0) return { path: address };
  return { host: address, port, ...(localAddress === undefined ? {} : { localAddress }) };
}

type SocketError = NodeJS.ErrnoException & { readonly reason?: string };

/** After the handshake, too, TLS may fail: by an alert, in TLS 1.3 also one about the handshake, or by a broken record. */
function reasonOf(error: SocketError | undefined): CloseReason {
  if (error === undefined) return { kind: 'ended' };
  if (error.code?.startsWith('ERR_SSL_') === true || SOURCE_LINE.test(error.message)) return tlsReason(error);
  return { kind: 'error', code: error.code ?? 'UNKNOWN', message: error.message };
}

/** `80CC...:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert ...:../deps/openssl/...:1601:SSL alert number 116` */
const SOURCE_LINE = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/;

/** OpenSSL's reason if there is one; the rest of its message are source lines. */
function tlsReason(error: SocketError | undefined): CloseReason {
  if (error === undefined)
    return { kind: 'tls', message: 'the server closed the connection in the handshake' };
  const message = error.reason ?? SOURCE_LINE.exec(error.message)?.[1] ?? error.message;
  const code = error.code ?? '';
  return { kind: 'tls', message, ...(CERTIFICATE.test(code) ? { code } : {}) };
}

/** Node names a certificate's fault as OpenSSL does; other codes are the system's (`ECONNRESET`) or begin with ERR_. */
const CERTIFICATE = /^(?!E[A-Z0-9]+$|ERR_(?!TLS_CERT_)|$)/;
