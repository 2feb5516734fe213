/**
 * Receives one message. Its beginning stays in memory and the rest goes to an unlinked temporary file, so that memory is
 * bounded and a crash leaves nothing behind. The message is not queued yet, and must not be acknowledged.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteString } from '../platform/bytes.ts';
import { BOUNDS } from './receiver/bounds.ts';

/** Bytes of a message kept in memory; its header has to fit. 500 connections need 64 MB. */
const MAX_IN_MEMORY = BOUNDS.header.value;
const READ_SIZE = 65_536;

export interface SpooledMessage {
  readonly kind: 'message';
  /** bytes, line ends included */
  readonly size: number;
  /** equal for equal bytes */
  digest(): string;
  /** up to its empty line; null when that is not within the first 128 KiB */
  readonly header: ByteString | null;
  /** all its bytes, where they are in memory */
  readonly whole: Buffer | null;
  /** its bytes, from the start each time */
  pieces(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

export interface OversizedMessage {
  readonly kind: 'oversized';
}

function headerOf(beginning: Buffer, isAll: boolean): ByteString | null {
  const text = beginning.toString('latin1');
  const end = /(?:^|\n)\r?\n/.exec(text);
  if (end !== null) return text.slice(0, end.index + 1);
  return isAll ? text : null;
}

/** The beginning of a message. Copied, because a piece may be one byte of a large buffer. */
class Beginning {
  #bytes = Buffer.alloc(0);
  #length = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps what fits and returns the rest. */
  add(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, MAX_IN_MEMORY - this.#length);
    const length = this.#length + taken.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(MAX_IN_MEMORY, Math.max(length, 2 * this.#bytes.length)),
      );
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(taken, this.#length);
    this.#length = length;
    return piece.subarray(taken.length);
  }
}

/** A file without a name, gone when it is closed. */
async function temporaryFile(directory: string): Promise<FileHandle> {
  const path = join(directory, `spoolroom-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function* readBack(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_SIZE), 0, READ_SIZE, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** One message on its way in. A disk that fails in its midst fails `finish`; until then its bytes are thrown away. */
export class MessageSpool {
  readonly #limit: number;
  readonly #scratch: () => string;
  readonly #beginning = new Beginning();
  /** of a message that is not in memory */
  #hash: Hash | null = null;
  #size = 0;
  #file: FileHandle | null = null;
  #failure: unknown = null;
  /** what has to be written before; one after the other */
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param limit bytes; a larger message is received to its end and not kept
   * @param scratch asked, when it is needed, for a directory for what does not fit into memory
   */
  constructor(limit: number, scratch: () => string) {
    this.#limit = limit;
    this.#scratch = scratch;
  }

  /** Null: the bytes are taken, and the next ones may come; else wait for that. Never rejects. */
  add(piece: Uint8Array): Promise<void> | null {
    this.#size += piece.length;
    if (this.#size > this.#limit || this.#failure !== null) return null;
    const more = this.#beginning.add(piece);
    if (more.length === 0) return null;
    this.#hash ??= createHash('sha256').update(this.#beginning.bytes);
    this.#hash.update(more);
    this.#writing = this.#writing.then(() => this.#append(more));
    return this.#writing;
  }

  /** All bytes have come. Rejects with the disk's error. */
  async finish(): Promise<SpooledMessage | OversizedMessage> {
    await this.#writing;
    const [file, head] = [this.#file, this.#beginning.bytes];
    if (this.#failure !== null || this.#size > this.#limit) {
      await this.abort();
      if (this.#failure !== null) throw this.#failure;
      return { kind: 'oversized' };
    }
    const digest = this.#hash?.digest('hex');
    return {
      kind: 'message',
      size: this.#size,
      digest: () => digest ?? createHash('sha256').update(head).digest('hex'),
      header: headerOf(head, file === null),
      whole: file === null ? head : null,
      async *pieces() {
        yield head;
        if (file !== null) yield* readBack(file);
      },
      async close() {
        await file?.close();
      },
    };
  }

  /** The rest never comes. */
  async abort(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      this.#file ??= await temporaryFile(this.#scratch());
      await this.#file.appendFile(bytes);
    } catch (error) {
      this.#failure = error;
    }
  }
}
