/**
 * Takes one message off the wire. Called by reception.ts for each message. The beginning stays in memory, the rest goes to a
 * scratch file without a name, so that memory stays bounded whatever the size and nothing is left behind by a crash.
 * Knows no queue: what is taken here is durable nowhere and acknowledged to nobody.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteString } from '../platform/bytes.ts';

/** Bytes of a message that are kept in memory; its header has to fit. 500 connections need 64 MB. */
const HELD = 131_072;
const PIECE = 65_536;

export interface SpooledMessage {
  readonly kind: 'letter';
  /** bytes, line ends and all */
  readonly size: number;
  /** equal for equal bytes */
  readonly digest: string;
  /** up to its empty line; null when that does not come within the first 128 KiB */
  readonly header: ByteString | null;
  /** the bytes, once or as often as asked */
  pieces(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

export interface OversizedMessage {
  readonly kind: 'oversized';
}

function headerOf(held: Buffer, isAll: boolean): ByteString | null {
  const text = held.toString('latin1');
  const end = /(?:^|\n)\r?\n/.exec(text);
  if (end !== null) return text.slice(0, end.index + 1);
  return isAll ? text : null;
}

/** The beginning of a message. Copied: a piece may be one byte of a large buffer, and there may be many of them. */
class Beginning {
  #bytes = Buffer.alloc(4096);
  #length = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps what fits; gives the rest. */
  add(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, HELD - this.#length);
    const length = this.#length + taken.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.min(HELD, Math.max(length, 2 * this.#bytes.length)));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(taken, this.#length);
    this.#length = length;
    return piece.subarray(taken.length);
  }
}

/** A file only this process can reach, gone when it is closed. */
async function scratchFile(directory: string): Promise<FileHandle> {
  const path = join(directory, `spoolroom-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function* readBack(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The message's bytes as they arrive. Rejects with the disk's error, or when the stream breaks off. */
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
      file ??= await scratchFile(scratch);
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
    kind: 'letter',
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
