/**
 * One connection to the intake: that of smtp-server, with what the library lacks. These are BDAT (RFC 3030), enhanced status
 * codes that fit the reply, and a greeting without delay. A message sent in chunks is handled like one sent with DATA.
 */
import type { Socket } from 'node:net';
import { PassThrough, type Writable } from 'node:stream';
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection';
import { SMTPStream } from 'smtp-server/lib/smtp-stream';

/** The arguments of a BDAT command. */
interface BdatCommand {
  /** octets */
  readonly size: number;
  readonly last: boolean;
}

/** A chunk being received. */
interface Chunk {
  /** octets still to come */
  left: number;
  /** takes some of them; calls `next` when it can take more */
  readonly take: (octets: Buffer, next: () => void) => void;
  /** calls `next` when the chunk is answered */
  readonly end: (next: () => void) => void;
}

/** Null when the syntax is not that of RFC 3030 2. */
function parseBdat(command: string): BdatCommand | null {
  const [, size, last] = /^BDAT +(\d{1,15})( +LAST)?\s*$/i.exec(command) ?? [];
  return size === undefined ? null : { size: Number(size), last: last !== undefined };
}

/** Command lines read in one turn of the event loop. */
const LINES_PER_TURN = 50;

/** Separates commands from the bytes after DATA (the library's part) and after BDAT. */
class ChunkParser extends SMTPStream {
  #chunk: Chunk | null = null;
  #lines = 0;

  /** The bytes after the command just read are a chunk. */
  expect(chunk: Chunk): void {
    this.#chunk = chunk;
    // This makes the library leave its loop over command lines and pass the rest to _write.
    this._dataMode = true;
  }

  override _write(octets: Buffer, ...[encoding, next]: ParametersBehindFirst<SMTPStream['_write']>): void {
    const chunk = this.#chunk;
    if (chunk === null && !this._dataMode && !this.isClosed) {
      this.#readLine(octets, encoding, next);
      return;
    }
    if (chunk === null || this.isClosed) {
      super._write(octets, encoding, next);
      return;
    }
    const mine = octets.subarray(0, chunk.left);
    const rest = octets.subarray(mine.length);
    chunk.left -= mine.length;
    chunk.take(mine, () => {
      if (chunk.left > 0) {
        next();
        return;
      }
      this.#chunk = null;
      this._dataMode = false;
      // In a later turn, because one piece may contain thousands of small chunks.
      chunk.end(() => setImmediate(() => this._write(rest, encoding, next)));
    });
  }

  /** One line at a time: the library would copy everything after each BDAT command, thousands of times. */
  #readLine(octets: Buffer, ...[encoding, next]: ParametersBehindFirst<SMTPStream['_write']>): void {
    const end = octets.indexOf('\n') + 1;
    const rest = octets.subarray(end);
    if (end === 0 || rest.length === 0) {
      super._write(octets, encoding, next);
      return;
    }
    super._write(octets.subarray(0, end), encoding, (error) => {
      const proceed = (): void => this._write(rest, encoding, next);
      if (error) next(error);
      else if (++this.#lines % LINES_PER_TURN === 0) setImmediate(proceed);
      else proceed();
    });
  }
}

type ParametersBehindFirst<F> = F extends (first: never, ...rest: infer Rest) => unknown ? Rest : never;

/** Writes octets to a reader; they are dropped when it no longer reads. */
function feed(body: Writable, octets: Buffer, next: () => void): void {
  if (!body.writable || body.write(octets)) {
    next();
    return;
  }
  const proceed = (): void => {
    body.off('drain', proceed).off('close', proceed);
    next();
  };
  body.on('drain', proceed).on('close', proceed);
}

/** The library replies only while both sides are open, but a client that has closed its own still reads. */
function allowReplies(socket: Socket): void {
  if (socket.readyState !== 'writeOnly') return;
  Object.defineProperty(socket, 'readyState', { get: () => (socket.writable ? 'open' : 'closed') });
}

/** A reply text with its own enhanced status code (RFC 3463); otherwise the library adds one. */
const OWN_STATUS = /^[245]\.\d{1,3}\.\d{1,3} /;

type DataResult = Parameters<Parameters<SMTPServer['onData']>[2]>;

/** A message of which some chunks have arrived, and its later replies. */
interface ChunkedMessage {
  readonly body: SMTPServerDataStream;
  readonly result: Promise<DataResult>;
}

/** When the intake stops: time a client has to read the last reply and close its side, milliseconds. */
const CLOSE_GRACE = 1000;

/** Wrong passwords on one connection. */
const MAX_AUTH_FAILURES = 3;

class IntakeConnection extends SMTPConnection {
  #authFailures = 0;
  #chunked: ChunkedMessage | null = null;

  /** whether a message is being received or stored */
  get receiving(): boolean {
    return this.#chunked !== null || Boolean(this._dataStream);
  }

  /** Without the library's 100 ms pause for clients that talk too early: those are spammers, which cannot connect here. */
  override init(): void {
    this._setListeners(() => {
      const { maxClients } = this._server.options;
      if (maxClients !== undefined && this._server.connections.size > maxClients)
        this.send(421, '4.3.2 Too many connections; try again later');
      else this.connectionReady();
    });
  }

  /** When the intake stops, a client that does not close its side is cut off. */
  override close(): void {
    super.close();
    if (!this._server._closeTimeout) return;
    const socket = this._socket;
    setTimeout(() => socket.destroy(), CLOSE_GRACE).unref();
  }

  override send(...[code, data, context]: Parameters<SMTPConnection['send']>): void {
    allowReplies(this._socket);
    // The library sends only its list of extensions as an array.
    const lines = Array.isArray(data) ? [...data, 'CHUNKING'] : data;
    super.send(code, lines, typeof lines === 'string' && OWN_STATUS.test(lines) ? false : context);
    if (code === 535 && ++this.#authFailures >= MAX_AUTH_FAILURES)
      this.send(421, '4.7.0 Too many wrong passwords');
  }

  /** A client that closes its side during the TLS handshake is gone; otherwise this would be noticed only at the idle timeout. */
  override upgrade(callback: () => void, secureCallback?: () => void): void {
    this._socket.allowHalfOpen = false;
    super.upgrade(callback, () => {
      this._socket.allowHalfOpen = true;
      secureCallback?.();
    });
  }

  override _createParser(): ChunkParser {
    const parser = new ChunkParser();
    parser.oncommand = (command, callback) => this._onCommand(command, callback);
    parser.on('error', (error) => this.send(421, `4.5.0 ${error.message}`));
    // The client has closed its side, and everything it sent is answered.
    parser.on('finish', () => this.close());
    return parser;
  }

  handler_BDAT(command: Buffer, callback: () => void): void {
    const chunk = parseBdat(command.toString('latin1'));
    if (chunk === null) {
      this.send(501, '5.5.4 Syntax: BDAT size [LAST]');
      // Without a size the next command cannot be found.
      this.close();
    } else {
      this.#expect(chunk);
    }
    callback();
  }

  #expect({ size, last }: BdatCommand): void {
    if (!(this._parser instanceof ChunkParser)) return;
    this.#chunked ??= this.#begin();
    const chunked = this.#chunked;
    this._parser.expect({
      left: size,
      take: (octets, next) => {
        if (chunked === null) next();
        else feed(chunked.body, octets, next);
      },
      end: (next) => {
        if (chunked !== null && last) {
          this.#finish(chunked, next);
          return;
        }
        if (chunked === null) this.send(503, '5.5.1 Need MAIL and RCPT before BDAT');
        else this.send(250, `2.0.0 ${size} octets received`);
        next();
      },
    });
  }

  #begin(): ChunkedMessage | null {
    const { mailFrom, rcptTo } = this.session.envelope;
    if (mailFrom === false || rcptTo.length === 0) return null;
    const body = Object.assign(new PassThrough(), { byteLength: 0, sizeExceeded: false });
    const result = new Promise<DataResult>((resolve) => {
      this._server.onData(body, this.session, (...args) => resolve(args));
    });
    return { body, result };
  }

  /** The last chunk is answered when the message is stored, like the final dot of DATA. */
  #finish({ body, result }: ChunkedMessage, next: () => void): void {
    this.#chunked = null;
    // While the library sees a message here, the idle timeout does not run.
    this._dataStream = body;
    body.end();
    result.then(([error, replies]) => {
      this._dataStream = false;
      for (const reply of error ? [error] : [replies ?? ''].flat()) {
        if (reply instanceof Error) this.send(replyCodeOf(reply), reply.message);
        else this.send(250, String(reply), 'DATA_OK');
      }
      this._transactionCounter++;
      this._unrecognizedCommands = 0;
      this._resetSession();
      next();
    });
  }

  /** After RSET, EHLO or the end of the connection, with chunks still to come. */
  #abandon(): void {
    this.#chunked?.body.destroy(
      Object.assign(new Error('the client did not send the rest of the message'), { code: 'ECONNECTION' }),
    );
    this.#chunked = null;
  }

  override _resetSession(): void {
    this.#abandon();
    super._resetSession();
  }

  override _onClose(): void {
    this.#abandon();
    super._onClose();
  }

  /**
   * The address as given. The library decodes A-labels, which can change the domain: xn--xample-hy68a.com would become
   * example.com, which is another domain.
   */
  override _parseAddressCommand(
    ...[name, command]: Parameters<SMTPConnection['_parseAddressCommand']>
  ): ReturnType<SMTPConnection['_parseAddressCommand']> {
    const parsed = super._parseAddressCommand(name, command);
    const [, given] = /^[^:]*:\s*<(?:@[^\s:<>]*:)?([^<>]*)>/.exec(command.toString()) ?? [];
    return parsed === false ? false : { ...parsed, address: given ?? parsed.address };
  }

  /** RFC 3030 2: after the first chunk only chunks may follow. */
  #betweenChunks(callback: () => void): boolean {
    if (this.#chunked === null) return false;
    this.send(503, '5.5.1 Send the rest of the message by BDAT, or RSET');
    callback();
    return true;
  }

  /** A chunk follows any BDAT command, whatever its arguments. */
  override _getHandler(command: string): ReturnType<SMTPConnection['_getHandler']> {
    return super._getHandler(command.replace(/^BDAT\s.*$/, 'BDAT'));
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    if (!this.#betweenChunks(callback)) super.handler_RCPT(command, callback);
  }

  override handler_DATA(command: Buffer, callback: () => void): void {
    if (!this.#betweenChunks(callback)) super.handler_DATA(command, callback);
  }
}

function replyCodeOf(error: Error): number {
  return 'responseCode' in error && typeof error.responseCode === 'number' ? error.responseCode : 450;
}

/** smtp-server with connections as above. */
export class IntakeServer extends SMTPServer {
  /** called with the session id of each connection, before anything else happens to it */
  accepted: (session: string) => void = () => {};

  override connect(...[socket, details]: Parameters<SMTPServer['connect']>): void {
    const connection = new IntakeConnection(this, socket, details);
    this.connections.add(connection);
    connection.on('error', (error) => this._onError(error));
    connection.on('connect', (data) => this._onClientConnect(data));
    this.accepted(connection.id);
    connection.init();
  }

  /** Stops listening; resolves when no connection is left. Those that are sending a message have `grace` milliseconds. */
  async stop(grace: number): Promise<void> {
    this.options.closeTimeout = Math.max(1, grace - CLOSE_GRACE);
    await new Promise<void>((resolve) => super.close(resolve));
  }

  /** Sends a final reply to all connections that are not sending a message. */
  closeIdle(code: number, text: string): void {
    for (const connection of this.connections) {
      if (!(connection instanceof IntakeConnection && connection.receiving)) connection.send(code, text);
    }
  }
}
