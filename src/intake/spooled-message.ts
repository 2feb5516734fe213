/**
 * Receives one message. Its beginning stays in memory and the rest goes to an unlinked temporary file, so that memory is
 * bounded and a crash leaves nothing behind. The message is not queued yet, and must not be acknowledged.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteString } from '../platform/bytes.ts';

/** Bytes of a message kept in memory; its header has to fit. 500 connections need 64 MB. */
const MAX_IN_MEMORY = 131_072;
const READ_SIZE = 65_536;

export interface SpooledMessage {
  readonly kind: 'message';
  /** bytes, line ends included */
  readonly size: number;
  /** equal for equal bytes */
  readonly digest: string;
  /** up to its empty line; null when that is not within the first 128 KiB */
  readonly header: ByteString | null;
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
  #bytes = Buffer.alloc(4096);
  #length = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps what fits and returns the rest. */
  add(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, MAX_IN_MEMORY - this.#length);
    const length = this.#length + taken.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.min(MAX_IN_MEMORY, Math.max(length, 2 * this.#bytes.length)));
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

/** Reads a message from its stream. Rejects with the disk's error, or when the stream ends early. */
export async function spoolMessage(
  stream: AsyncIterable<Uint8Array>,
  limit: number,
  scratch: string,
): Promise<SpooledMessage | OversizedMessage> {
  const hash = createHash('sha256');
  const beginning = new Beginning();
  let size = 0;
  let file: FileHandle | null = null;
  let kept = false;
  try {
    for await (const piece of stream) {
      size += piece.length;
      if (size > limit) continue;
      hash.update(piece);
      const more = beginning.add(piece);
      if (more.length === 0) continue;
      file ??= await temporaryFile(scratch);
      await file.appendFile(more);
    }
    kept = size <= limit;
  } finally {
    if (!kept) await file?.close();
  }
  if (!kept) return { kind: 'oversized' };
  const rest = file;
  const head = beginning.bytes;
  return {
    kind: 'message',
    size,
    digest: hash.digest('hex'),
    header: headerOf(head, rest === null),
    async *pieces() {
      yield head;
      if (rest !== null) yield* readBack(rest);
    },
    async close() {
      await rest?.close();
    },
  };
}
