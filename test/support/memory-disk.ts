/**
 * A disk in memory that loses what was not synced when the power fails: of a file all bytes after the last sync or a part
 * of them (missing ones may read as zeros, as if only the length had been written), and of a directory any of the changes
 * since the last sync, each at random. A sync has a beginning and an end, so that a simulation can let the power fail in
 * between. Folders are durable at once; the program creates its folders before they hold anything.
 */
import path from 'node:path';
import type { Random } from '../../src/platform/clock.ts';
import type { Disk, FileKind, FileStatus, OpenFile, Ownership } from '../../src/storage/disk.ts';

interface Inode {
  readonly ino: number;
  readonly kind: FileKind;
  readonly owner: Ownership;
  bytes: Buffer;
  /** how many of the bytes are synced */
  synced: number;
  mtimeMs: number;
  /** a sync failed: the system takes these bytes for written, and later syncs skip them */
  abandoned: boolean;
}

/** A sync that has begun; the call ends it, and what was there at its beginning is durable. */
export type SyncUnderWay = () => void;

export interface MemoryFile extends OpenFile {
  beginSync(): SyncUnderWay;
  /** The sync fails; later ones of this file do nothing, silently. */
  failSync(): void;
}

interface Folder extends Inode {
  readonly names: Map<string, Inode>;
  /** the names that are durable */
  durable: Map<string, Inode>;
}

function fault(code: string, where: string): Error {
  return Object.assign(new Error(`${code}: ${where}`), { code });
}

export class MemoryDisk implements Disk {
  #count = 0;
  readonly #now: () => number;
  readonly #folders = new Map<string, Folder>();

  /** `now`: wall clock in milliseconds */
  constructor(now: () => number = () => 0) {
    this.#now = now;
    this.#folders.set('/', this.#folder({ mode: 0o700, uid: 0, gid: 0 }));
  }

  /** No two changes have the same time, because real times are finer than this clock. */
  #time(): number {
    return this.#now() + (++this.#count % 1000) / 1000;
  }

  #inode(kind: FileKind, owner: Ownership): Inode {
    const ino = ++this.#count;
    return { ino, kind, owner, bytes: Buffer.alloc(0), synced: 0, mtimeMs: this.#time(), abandoned: false };
  }

  #folder(owner: Ownership): Folder {
    return { ...this.#inode('directory', owner), names: new Map(), durable: new Map() };
  }

  #folderAt(directory: string): Folder {
    const folder = this.#folders.get(path.normalize(directory).replace(/(?<=.)\/$/, ''));
    if (folder === undefined) throw fault('ENOENT', directory);
    return folder;
  }

  #find(file: string): Inode | undefined {
    const whole = path.normalize(file).replace(/(?<=.)\/\.?$/, '');
    return (
      this.#folders.get(whole) ?? this.#folders.get(path.dirname(whole))?.names.get(path.basename(whole))
    );
  }

  #existing(file: string): Inode {
    const inode = this.#find(file);
    if (inode === undefined) throw fault('ENOENT', file);
    return inode;
  }

  #free(file: string): void {
    if (this.#find(file) !== undefined) throw fault('EEXIST', file);
  }

  #status({ kind, ino, bytes, mtimeMs, owner }: Inode): FileStatus {
    return { kind, ino, size: bytes.length, mtimeMs, ctimeMs: mtimeMs, ...owner };
  }

  list(directory: string) {
    return [...this.#folderAt(directory).names].map(([name, { kind }]) => ({ name, kind }));
  }

  files(directory: string) {
    return [...this.#folderAt(directory).names].flatMap(([name, { kind }]) =>
      kind === 'file' ? [name] : [],
    );
  }

  status(file: string): FileStatus | null {
    const inode = this.#find(file);
    return inode === undefined ? null : this.#status(inode);
  }

  writable(directory: string): boolean {
    return this.#folders.has(directory);
  }

  read(file: string, limit: number) {
    const inode = this.#existing(file);
    return { status: this.#status(inode), bytes: Buffer.from(inode.bytes.subarray(0, limit)) };
  }

  async *stream(file: string): AsyncGenerator<Buffer> {
    const { bytes } = this.#existing(file);
    for (let from = 0; from < bytes.length; from += 65_536)
      yield Buffer.from(bytes.subarray(from, from + 65_536));
  }

  create(file: string, owner: Ownership): MemoryFile {
    this.#free(file);
    const inode = this.#inode('file', owner);
    this.#folderAt(path.dirname(file)).names.set(path.basename(file), inode);
    const beginSync = (): SyncUnderWay => {
      const { length } = inode.bytes;
      return () => {
        if (!inode.abandoned) inode.synced = Math.max(inode.synced, length);
      };
    };
    return {
      write: (bytes) => {
        inode.bytes = Buffer.concat([inode.bytes, bytes]);
        inode.mtimeMs = this.#time();
      },
      sync: async () => beginSync()(),
      beginSync,
      failSync: () => {
        inode.abandoned = true;
      },
      close: () => {},
    };
  }

  rename(from: string, to: string): void {
    const inode = this.#existing(from);
    this.#folderAt(path.dirname(to)).names.set(path.basename(to), inode);
    this.#folderAt(path.dirname(from)).names.delete(path.basename(from));
  }

  link(from: string, to: string): void {
    const inode = this.#existing(from);
    this.#free(to);
    this.#folderAt(path.dirname(to)).names.set(path.basename(to), inode);
  }

  unlink(file: string): void {
    this.#existing(file);
    this.#folderAt(path.dirname(file)).names.delete(path.basename(file));
  }

  async remove(file: string): Promise<void> {
    if (this.status(file) !== null) this.unlink(file);
  }

  mkdir(directory: string, owner: Ownership): void {
    this.#free(directory);
    const folder = this.#folder(owner);
    const parent = this.#folderAt(path.dirname(directory));
    parent.names.set(path.basename(directory), folder);
    parent.durable.set(path.basename(directory), folder);
    this.#folders.set(directory, folder);
  }

  async syncDirectory(directory: string): Promise<void> {
    this.beginSyncDirectory(directory)();
  }

  beginSyncDirectory(directory: string): SyncUnderWay {
    const folder = this.#folderAt(directory);
    const names = new Map(folder.names);
    const before = new Map(folder.durable);
    return () => {
      // What another sync made durable meanwhile is newer and stays.
      for (const name of new Set([...names.keys(), ...folder.durable.keys()])) {
        if (folder.durable.get(name) !== before.get(name)) continue;
        const inode = names.get(name);
        if (inode === undefined) folder.durable.delete(name);
        else folder.durable.set(name, inode);
      }
    };
  }

  /** The machine goes off and on again. `random` decides which unsynced changes survive; 0 means none. */
  powerFailure(random: Random): void {
    for (const folder of this.#folders.values()) {
      for (const name of new Set([...folder.names.keys(), ...folder.durable.keys()])) {
        const now = folder.names.get(name);
        const survives = now === folder.durable.get(name) || random() >= 0.5;
        const inode = survives ? now : folder.durable.get(name);
        if (inode === undefined) folder.names.delete(name);
        else folder.names.set(name, inode);
      }
      folder.durable = new Map(folder.names);
      for (const inode of folder.names.values()) this.#forget(inode, random);
    }
  }

  /** Bytes after the last sync survive up to some point; the rest is lost, or zeros. */
  #forget(inode: Inode, random: Random): void {
    if (inode.synced === inode.bytes.length) return;
    const kept = inode.synced + Math.floor(random() * (inode.bytes.length - inode.synced + 1));
    const zeros = random() < 0.75 ? 0 : inode.bytes.length - kept;
    inode.bytes = Buffer.concat([inode.bytes.subarray(0, kept), Buffer.alloc(zeros)]);
    inode.synced = inode.bytes.length;
    inode.abandoned = false;
  }
}
