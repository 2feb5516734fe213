/**
 * One connection to the intake: smtp-server's, and what that library does not speak. BDAT (RFC 3030), enhanced status
 * codes that fit the reply, and a greeting without delay. Made by the server below, which listener.ts opens. Knows no
 * mail: a message that came in chunks goes the same way as one behind DATA.
 */
import type { Socket } from 'node:net';
import { PassThrough, type Writable } from 'node:stream';
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection';
import { SMTPStream } from 'smtp-server/lib/smtp-stream';

/** What a BDAT command announces. */
interface Announced {
  /** octets */
  readonly size: number;
  readonly last: boolean;
}

/** A chunk under way. */
interface Chunk {
  /** octets still to come */
  left: number;
  /** takes some of them; calls `next` when it can take more */
  readonly take: (octets: Buffer, next: () => void) => void;
  /** calls `next` when the chunk is answered */
  readonly end: (next: () => void) => void;
}

/** Null: no syntax of RFC 3030 2. */
function announced(command: string): Announced | null {
  const [, size, last] = /^BDAT +(\d{1,15})( +LAST)?\s*$/i.exec(command) ?? [];
  return size === undefined ? null : { size: Number(size), last: last !== undefined };
}

/** So many command lines are read before others have their turn. */
const LINES_AT_ONCE = 50;

/** Commands, and what is no command: behind DATA (the library's part) and behind BDAT. */
class ChunkParser extends SMTPStream {
  #chunk: Chunk | null = null;
  #lines = 0;

  /** What comes behind the command just read is a chunk. */
  expect(chunk: Chunk): void {
    this.#chunk = chunk;
    // With that the library leaves its loop over command lines and gives the rest to _write.
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
      // Not at once: thousands of small chunks may lie in one piece.
      chunk.end(() => setImmediate(() => this._write(rest, encoding, next)));
    });
  }

  /** A line alone: the library copies all that lies behind one which leads to a chunk, for each of thousands. */
  #readLine(octets: Buffer, ...[encoding, next]: ParametersBehindFirst<SMTPStream['_write']>): void {
    const end = octets.indexOf('\n') + 1;
    const rest = octets.subarray(end);
    if (end === 0 || rest.length === 0) {
      super._write(octets, encoding, next);
      return;
    }
    super._write(octets.subarray(0, end), encoding, (error) => {
      const goOn = (): void => this._write(rest, encoding, next);
      if (error) next(error);
      else if (++this.#lines % LINES_AT_ONCE === 0) setImmediate(goOn);
      else goOn();
    });
  }
}

type ParametersBehindFirst<F> = F extends (first: never, ...rest: infer Rest) => unknown ? Rest : never;

/** Octets for a reader; what one does not want any more is dropped. */
function feed(body: Writable, octets: Buffer, next: () => void): void {
  if (!body.writable || body.write(octets)) {
    next();
    return;
  }
  const goOn = (): void => {
    body.off('drain', goOn).off('close', goOn);
    next();
  };
  body.on('drain', goOn).on('close', goOn);
}

/** The library answers while both sides are open; a client that has closed its own still listens. */
function keepAnswerable(socket: Socket): void {
  if (socket.readyState !== 'writeOnly') return;
  Object.defineProperty(socket, 'readyState', { get: () => (socket.writable ? 'open' : 'closed') });
}

/** A reply's text may begin with its own enhanced status code (RFC 3463); else the library's for the number is taken. */
const OWN_STATUS = /^[245]\.\d{1,3}\.\d{1,3} /;

type Answer = Parameters<Parameters<SMTPServer['onData']>[2]>;

/** A message some chunks of which have come, and what will be said of it. */
interface Chunked {
  readonly body: SMTPServerDataStream;
  readonly answer: Promise<Answer>;
}

/** How long a client has for the last reply and for closing its side, milliseconds, when the intake stops. */
const FAREWELL = 1000;

/** Wrong passwords on one connection. */
const MOST_GUESSES = 3;

class IntakeConnection extends SMTPConnection {
  #guesses = 0;
  #chunked: Chunked | null = null;

  /** a message is being received or stored */
  get receiving(): boolean {
    return this.#chunked !== null || Boolean(this._dataStream);
  }

  /** The library waits 100 ms here for clients that talk too early, as spammers do; none of them reaches us. */
  override init(): void {
    this._setListeners(() => {
      const { maxClients } = this._server.options;
      if (maxClients !== undefined && this._server.connections.size > maxClients)
        this.send(421, '4.3.2 Too many connections; try again later');
      else this.connectionReady();
    });
  }

  /** A stop does not wait for a client that never closes its side. */
  override close(): void {
    super.close();
    if (!this._server._closeTimeout) return;
    const socket = this._socket;
    setTimeout(() => socket.destroy(), FAREWELL).unref();
  }

  override send(...[code, data, context]: Parameters<SMTPConnection['send']>): void {
    keepAnswerable(this._socket);
    // The only list of lines the library sends are its extensions.
    const said = Array.isArray(data) ? [...data, 'CHUNKING'] : data;
    super.send(code, said, typeof said === 'string' && OWN_STATUS.test(said) ? false : context);
    if (code === 535 && ++this.#guesses >= MOST_GUESSES) this.send(421, '4.7.0 Too many wrong passwords');
  }

  /** A client that closes its side before TLS stands is gone. Without this nobody would see it until the idle timeout. */
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
    // The client has said all, and all of it is answered.
    parser.on('finish', () => this.close());
    return parser;
  }

  handler_BDAT(command: Buffer, callback: () => void): void {
    const chunk = announced(command.toString('latin1'));
    if (chunk === null) {
      this.send(501, '5.5.4 Syntax: BDAT size [LAST]');
      // Nobody knows where the next command begins.
      this.close();
    } else {
      this.#expect(chunk);
    }
    callback();
  }

  #expect({ size, last }: Announced): void {
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

  #begin(): Chunked | null {
    const { mailFrom, rcptTo } = this.session.envelope;
    if (mailFrom === false || rcptTo.length === 0) return null;
    const body = Object.assign(new PassThrough(), { byteLength: 0, sizeExceeded: false });
    const answer = new Promise<Answer>((resolve) => {
      this._server.onData(body, this.session, (...words) => resolve(words));
    });
    return { body, answer };
  }

  /** The last chunk is answered when the message is stored, as the final dot is. */
  #finish({ body, answer }: Chunked, next: () => void): void {
    this.#chunked = null;
    // While the library sees a whole message here the connection may be idle for as long as storing takes.
    this._dataStream = body;
    body.end();
    answer.then(([error, replies]) => {
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

  /** RSET, EHLO or the end of the connection, with chunks still to come. */
  #abandon(): void {
    this.#chunked?.body.destroy(Object.assign(new Error('the rest never came'), { code: 'ECONNECTION' }));
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
   * The address as it was given. The library writes A-labels out, and what they say is not always what they were made
   * of: xn--xample-hy68a.com would become example.com, which is somebody else.
   */
  override _parseAddressCommand(
    ...[name, command]: Parameters<SMTPConnection['_parseAddressCommand']>
  ): ReturnType<SMTPConnection['_parseAddressCommand']> {
    const parsed = super._parseAddressCommand(name, command);
    const [, given] = /^[^:]*:\s*<(?:@[^\s:<>]*:)?([^<>]*)>/.exec(command.toString()) ?? [];
    return parsed === false ? false : { ...parsed, address: given ?? parsed.address };
  }

  /** RFC 3030 2: behind the first chunk only chunks belong to the transaction. */
  #betweenChunks(callback: () => void): boolean {
    if (this.#chunked === null) return false;
    this.send(503, '5.5.1 Send the rest of the message by BDAT, or RSET');
    callback();
    return true;
  }

  /** Whatever stands behind the word, a chunk follows it. */
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
  /** told of each connection by its session's id, before anything else happens to it */
  accepted: (session: string) => void = () => {};

  override connect(...[socket, details]: Parameters<SMTPServer['connect']>): void {
    const connection = new IntakeConnection(this, socket, details);
    this.connections.add(connection);
    connection.on('error', (error) => this._onError(error));
    connection.on('connect', (data) => this._onClientConnect(data));
    this.accepted(connection.id);
    connection.init();
  }

  /** Take no more; resolves when no connection is left. Those that bring something have `patience` milliseconds. */
  async stop(patience: number): Promise<void> {
    this.options.closeTimeout = Math.max(1, patience - FAREWELL);
    await new Promise<void>((resolve) => super.close(resolve));
  }

  /** Tell all connections that bring nothing now to go. */
  dismiss(code: number, text: string): void {
    for (const connection of this.connections) {
      if (!(connection instanceof IntakeConnection && connection.receiving)) connection.send(code, text);
    }
  }
}
