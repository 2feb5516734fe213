/**
 * Fetches payloads from a Citadel server: the serialized form where the server hands it out, else the rendered one. Either
 * goes into a file of ours in pieces, so that the largest message costs no memory and can be read again for each session
 * without asking the server again.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import type { StoredMessage } from '../../message/stored.ts';
import { inMemory, storedControl } from '../../message/stored.ts';
import { describeError, isOperationalError } from '../../platform/system-errors.ts';
import { removeIfExists, type TemporaryName } from '../../storage/atomic-file.ts';
import type { Disk, OpenFile, Ownership } from '../../storage/disk.ts';
import type { ActivePayloads, PayloadResult } from '../queue.ts';
import { COMMANDS, isAbsence, isTemporary } from './client/protocol.ts';
import type { CitadelServer } from './client/server.ts';
import { type CommandResult, ServerBusy } from './client/session.ts';
import { refusalText } from './room-index.ts';

/** Up to this many bytes a payload is handed out whole. */
const WHOLE = 262_144;
/** A message that could not be fetched for so many scans in a row is to blame itself, as one that makes the server crash. */
const MOST_SCANS = 3;
/** Bytes. A listing comes line by line; so much is written at once. */
const PIECE = 65_536;

export interface PayloadCache {
  read(number: MessageNumber): Promise<PayloadResult>;
  /** its job is finished */
  drop(number: MessageNumber): void;
  /** At each scan. Drops what is not being delivered; it is fetched again for its next attempt. */
  keepOnly(active: ActivePayloads): void;
  clear(): void;
}

export interface PayloadDeps {
  readonly server: CitadelServer;
  readonly disk: Disk;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
}

/** A file that gets single lines and writes them in larger pieces. */
class PayloadFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #owner: Ownership;
  /** null: closed */
  #file: OpenFile | null;
  #waiting: Buffer[] = [];
  #size = 0;

  constructor(disk: Disk, path: string, owner: Ownership) {
    this.path = path;
    this.#disk = disk;
    this.#owner = owner;
    this.#file = disk.create(path, owner);
  }

  add(bytes: Buffer): void {
    this.#waiting.push(Buffer.from(bytes));
    this.#size += bytes.length;
    if (this.#size >= PIECE) this.#write();
  }

  /** Discard what came so far: the answer is sent a second time. */
  restart(): void {
    this.drop();
    this.#file = this.#disk.create(this.path, this.#owner);
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

  /** Only once: the file descriptor may belong to another file by then. */
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

export function payloadCache({ server, disk, temporaryName, owner }: PayloadDeps): PayloadCache {
  const files = new Map<MessageNumber, { readonly path: string; readonly size: number }>();
  /** being fetched: several destinations ask for the same message at the same time */
  const fetching = new Map<MessageNumber, Promise<PayloadResult>>();
  /** by message that could not be fetched since: the scan in which that began */
  const failing = new Map<MessageNumber, number>();
  let scans = 0;

  /** The first of the forms this server knows. */
  async function fetch(number: MessageNumber): Promise<PayloadResult> {
    const file = new PayloadFile(disk, temporaryName(), owner);
    const ask = (line: string, guarded: { readonly guarded?: true } = {}) =>
      server.read({ line, ...guarded, sink: (bytes) => file.add(bytes) }, () => file.restart());
    let kept = false;
    try {
      const native = await ask(COMMANDS.native(number));
      const answer = native.code === 600 ? native : await ask(COMMANDS.rfc822(number), { guarded: true });
      if (answer.code !== 600 && answer.code !== 100) return refused(number, answer);
      file.done();
      kept = true;
    } finally {
      if (!kept) file.drop();
    }
    return found(number, file.path);
  }

  function refused(number: MessageNumber, answer: CommandResult): PayloadResult {
    if (isTemporary(answer.code))
      throw new ServerBusy(refusalText(server.name, `show the message ${number}`, answer));
    const said = `(${answer.code} ${answer.text})`;
    return isAbsence(answer.code)
      ? { kind: 'missing', reason: `the message ${number} is not on the server any more ${said}` }
      : { kind: 'unreadable', reason: `the server does not show the message ${number} ${said}` };
  }

  function found(number: MessageNumber, path: string): PayloadResult {
    const { status, bytes } = disk.read(path, WHOLE + 1);
    if (storedControl(bytes) !== null) {
      removeIfExists(disk, path);
      return { kind: 'rejected', reason: 'the message is a delivery list, which is never sent as mail' };
    }
    if (bytes.length > WHOLE) {
      files.set(number, { path, size: status.size });
      return { kind: 'found', message: onDisk(path, status.size) };
    }
    removeIfExists(disk, path);
    if (bytes.length === 0) return { kind: 'empty', reason: `the message ${number} on the server is empty` };
    return { kind: 'found', message: inMemory(bytes) };
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

  async function fetchOrExplain(number: MessageNumber): Promise<PayloadResult> {
    try {
      const read = await fetch(number);
      failing.delete(number);
      return read;
    } catch (error) {
      if (!isOperationalError(error)) throw error;
      return notFetched(number, describeError(error));
    } finally {
      fetching.delete(number);
    }
  }

  /** A server that restarts, or our full disk, is no fault of the message. */
  function notFetched(number: MessageNumber, why: string): PayloadResult {
    const began = failing.get(number) ?? scans;
    failing.set(number, began);
    if (scans - began < MOST_SCANS - 1) return { kind: 'unavailable', reason: why };
    failing.delete(number);
    return { kind: 'unreadable', reason: `the message ${number} on the server cannot be read: ${why}` };
  }

  return {
    drop,
    async read(number) {
      const file = files.get(number);
      if (file !== undefined) return { kind: 'found', message: onDisk(file.path, file.size) };
      const running = fetching.get(number) ?? fetchOrExplain(number);
      fetching.set(number, running);
      return running;
    },
    keepOnly: (active) => {
      scans++;
      for (const number of [...files.keys()]) if (!active.has(number)) drop(number);
    },
    clear: () => {
      for (const number of [...files.keys()]) drop(number);
    },
  };
}
