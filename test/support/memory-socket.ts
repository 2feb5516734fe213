/**
 * A connection in memory, seen from the server: the bytes of the client arrive in the pieces in which they were sent, which
 * a real connection does not guarantee.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort = 40_000;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 2525;
  readonly #heard: (bytes: string) => void;
  readonly #ended: () => void;

  /**
   * @param heard called with what the server sends, one character per byte
   * @param ended called when the server ends its side
   * @param address of the client
   */
  constructor(heard: (bytes: string) => void, ended: () => void = () => {}, address = '127.0.0.1') {
    super();
    this.remoteAddress = address;
    this.#heard = heard;
    this.#ended = ended;
  }

  get readyState(): string {
    return this.destroyed || this.writableEnded ? 'closed' : 'open';
  }

  /** As a server accepts it. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  say(bytes: string): void {
    this.push(bytes, 'latin1');
  }

  /** The client ends its side; `destroy` is what the system does when the client dies. */
  hangUp(): void {
    this.push(null);
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  override _read(): void {}

  override _write(bytes: Buffer, _: BufferEncoding, done: () => void): void {
    this.#heard(bytes.toString('latin1'));
    done();
  }

  override _final(done: () => void): void {
    this.#ended();
    done();
  }
}
