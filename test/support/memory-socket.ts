/**
 * A connection in memory, as a server's side sees it: what is said to it arrives in the pieces in which it was said.
 * For tests in which a wire must not cut or join anything by itself.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 40_000;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 2525;
  readonly #heard: (bytes: string) => void;
  readonly #ended: () => void;

  /**
   * @param heard told of what the server says, one character a byte
   * @param ended told when the server has no more to say
   */
  constructor(heard: (bytes: string) => void, ended: () => void = () => {}) {
    super();
    this.#heard = heard;
    this.#ended = ended;
  }

  get readyState(): string {
    return this.destroyed || this.writableEnded ? 'closed' : 'open';
  }

  /** As a server takes it. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  say(bytes: string): void {
    this.push(bytes, 'latin1');
  }

  /** The client is done; `destroy` is what the system does when it dies. */
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
