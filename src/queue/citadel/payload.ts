/**
 * Fetches payloads from a Citadel server. Called by the live room. The serialized form where the server gives it out,
 * else the rendered one; either goes into a file of ours in pieces, so that the largest mail costs no memory and can be
 * read again for each session without asking the server again.
 */

import type { MessageNumber } from '../../delivery-list/job.ts';
import type { StoredMessage } from '../../message/stored.ts';
import { storedControl } from '../../message/stored.ts';
import { describeError, isOperationalError } from '../../platform/system-errors.ts';
import { removeIfExists, type TemporaryName } from '../../storage/atomic-file.ts';
import type { Disk, OpenFile, Ownership } from '../../storage/disk.ts';
import type { ActivePayloads, PayloadResult } from '../queue.ts';
import { COMMANDS } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';

/** Up to this many bytes a payload is handed out whole. */
const WHOLE = 262_144;
/** A listing comes line by line; so much is written at once. */
const PIECE = 65_536;

export interface PayloadCache {
  read(number: MessageNumber): Promise<PayloadResult>;
  /** its mail is over */
  drop(number: MessageNumber): void;
  /** Only what is in hand stays; what waits for its next try is fetched again then. */
  keepOnly(inHand: ActivePayloads): void;
  clear(): void;
}

export interface PayloadDeps {
  readonly server: CitadelServer;
  readonly disk: Disk;
  readonly temporaryName: TemporaryName;
}

const OWNER: Ownership = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** A file that is filled line by line and written in larger pieces. */
class Filling {
  readonly path: string;
  readonly #disk: Disk;
  /** null: closed */
  #file: OpenFile | null;
  #waiting: Buffer[] = [];
  #size = 0;

  constructor(disk: Disk, path: string) {
    this.path = path;
    this.#disk = disk;
    this.#file = disk.create(path, OWNER);
  }

  add(bytes: Buffer): void {
    this.#waiting.push(Buffer.from(bytes));
    this.#size += bytes.length;
    if (this.#size >= PIECE) this.#write();
  }

  /** What came so far does not count: the answer is given a second time. */
  restart(): void {
    this.drop();
    this.#file = this.#disk.create(this.path, OWNER);
  }

  done(): void {
    this.#write();
    this.#close();
  }

  drop(): void {
    this.#waiting = [];
    this.#size = 0;
    this.#close();
    removeIfExists(this.#disk, this.path);
  }

  /** Once: its number may be another file's by then. */
  #close(): void {
    const file = this.#file;
    this.#file = null;
    file?.close();
  }

  #write(): void {
    if (this.#size > 0) this.#file?.write(Buffer.concat(this.#waiting));
    this.#waiting = [];
    this.#size = 0;
  }
}

export function payloadCache({ server, disk, temporaryName }: PayloadDeps): PayloadCache {
  const files = new Map<MessageNumber, { readonly path: string; readonly size: number }>();
  /** on their way: several destinations ask for the same mail at the same time */
  const fetching = new Map<MessageNumber, Promise<PayloadResult>>();

  /** The first of the forms this server knows. */
  async function fetch(number: MessageNumber): Promise<PayloadResult> {
    const filling = new Filling(disk, temporaryName());
    const ask = (line: string, guarded: { readonly guarded?: true } = {}) =>
      server.read({ line, ...guarded, sink: (bytes) => filling.add(bytes) }, () => filling.restart());
    let kept = false;
    try {
      const native = await ask(COMMANDS.native(number));
      const answer = native.code === 600 ? native : await ask(COMMANDS.rfc822(number), { guarded: true });
      if (answer.code !== 600 && answer.code !== 100) {
        const reason = `the message ${number} is not on the server any more (${answer.code} ${answer.text})`;
        return { kind: 'missing', reason };
      }
      filling.done();
      kept = true;
    } finally {
      if (!kept) filling.drop();
    }
    return found(number, filling.path);
  }

  function found(number: MessageNumber, path: string): PayloadResult {
    const { status, bytes } = disk.read(path, WHOLE + 1);
    if (storedControl(bytes) !== null) {
      removeIfExists(disk, path);
      const reason = `the message ${number} on the server cannot be sent: it is a delivery list, not a mail`;
      return { kind: 'unreadable', reason };
    }
    if (bytes.length > WHOLE) {
      files.set(number, { path, size: status.size });
      return { kind: 'found', message: onDisk(path, status.size) };
    }
    removeIfExists(disk, path);
    if (bytes.length === 0) return { kind: 'empty', reason: `the message ${number} on the server is empty` };
    return { kind: 'found', message: { size: bytes.length, bytes, stream: () => once(bytes) } };
  }

  function onDisk(path: string, size: number): StoredMessage {
    return { size, bytes: null, stream: () => disk.stream(path) };
  }

  function drop(number: MessageNumber): void {
    const file = files.get(number);
    if (file === undefined) return;
    files.delete(number);
    removeIfExists(disk, file.path);
  }

  async function fetchOrSayWhyNot(number: MessageNumber): Promise<PayloadResult> {
    try {
      return await fetch(number);
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      const why = describeError(error);
      return { kind: 'unreadable', reason: `the message ${number} on the server cannot be read: ${why}` };
    } finally {
      fetching.delete(number);
    }
  }

  return {
    drop,
    async read(number) {
      const file = files.get(number);
      if (file !== undefined) return { kind: 'found', message: onDisk(file.path, file.size) };
      const running = fetching.get(number) ?? fetchOrSayWhyNot(number);
      fetching.set(number, running);
      return running;
    },
    keepOnly: (inHand) => {
      for (const number of [...files.keys()]) if (!inHand.has(number)) drop(number);
    },
    clear: () => {
      for (const number of [...files.keys()]) drop(number);
    },
  };
}
