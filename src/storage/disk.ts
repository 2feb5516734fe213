/**
 * The file system operations of a queue. Everything else gets a `Disk` as an argument, so that a simulated one can lose
 * unsynced writes, run full or fail at any step.
 * Operations on the page cache are synchronous: a read of 4 KB takes some 10 microseconds that way and about 60 through the
 * thread pool. Reading large payloads is asynchronous, and so are syncs and the removal of messages where they take long. Nothing
 * is durable before the matching sync has resolved.
 * Methods throw errors with a `code` as Node's `fs` does.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { errorCode, isPermissionDenied } from '../platform/system-errors.ts';
import { whileQuick } from './while-quick.ts';

export type FileKind = 'file' | 'directory' | 'other';

/** Of a file, without following a symbolic link. */
export interface FileStatus {
  readonly kind: FileKind;
  readonly ino: number;
  /** bytes */
  readonly size: number;
  /** milliseconds since the epoch, with fraction */
  readonly mtimeMs: number;
  /** the same for the last change of any kind; cannot be set by programs */
  readonly ctimeMs: number;
  /** permission bits with the set-group-ID bit, and owner, for a file that takes this one's place */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Permissions a new file gets. Only root can set the owner; the group can be set by its members, too. */
export type Ownership = Pick<FileStatus, 'mode' | 'uid' | 'gid'>;

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: FileKind;
}

export interface OpenFile {
  /** appends all of it or throws; part of it may then have been written */
  write(bytes: Uint8Array): void;
  /**
   * Resolves when everything written so far is durable. `meanwhile`: others will write to it until then and share the next sync, so
   * it happens on another thread, however quick it is.
   */
  sync(how?: 'meanwhile'): Promise<void>;
  close(): void;
}

export interface Disk {
  list(directory: string): readonly DirectoryEntry[];
  /** The names of its regular files one after the other, of which there may be more than memory should hold. */
  files(directory: string): Iterable<string>;
  /** never follows a symbolic link; null when there is no such file */
  status(path: string): FileStatus | null;
  /** whether this process may create and remove files in the directory */
  writable(directory: string): boolean;
  /** The first `limit` bytes (all when there are fewer). Refuses symbolic links; no bytes when it is not a regular file. */
  read(path: string, limit: number): { readonly status: FileStatus; readonly bytes: Buffer };
  /** A fresh pass over the file in pieces of 64 KB. Refuses symbolic links. */
  stream(path: string): AsyncIterable<Buffer>;
  /** A new, empty file; EEXIST when the name is taken. */
  create(path: string, owner: Ownership): OpenFile;
  /** replaces what lies under `to` */
  rename(from: string, to: string): void;
  /** EEXIST when `to` is taken */
  link(from: string, to: string): void;
  unlink(path: string): void;
  /** `unlink` without an error when there is no such file; on another thread where that takes long. */
  remove(path: string): Promise<void>;
  mkdir(path: string, owner: Ownership): void;
  /** resolves when every link, rename and unlink made in this directory so far is durable */
  syncDirectory(directory: string): Promise<void>;
}

const PIECE = 65_536;
/** Bytes of a folder itself, in which it may have thousands of names. */
const LARGE_FOLDER = 65_536;
/** Names of one that are read at a time. */
const NAMES = 256;
/** Refuses a symbolic link, and does not wait for the writer of a named pipe. */
const READ = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
const CREATE = fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_EXCL;

const readPiece = promisify(fs.read);

const syncElsewhere = promisify(fs.fdatasync);
const sync = whileQuick(fs.fdatasyncSync, syncElsewhere);
const syncFolder = whileQuick(fs.fsyncSync, promisify(fs.fsync));
const unlinkElsewhere = promisify(fs.unlink);
const remove = whileQuick(
  (path: string) => {
    try {
      fs.unlinkSync(path);
    } catch (error) {
      allowMissing(error);
    }
  },
  (path) => unlinkElsewhere(path).catch(allowMissing),
);

function allowMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}

const { S_IFMT, S_IFREG, S_IFDIR } = fs.constants;
const KINDS: Readonly<Record<number, FileKind>> = { [S_IFREG]: 'file', [S_IFDIR]: 'directory' };

function fileStatus({ ino, size, mtimeMs, ctimeMs, mode, uid, gid }: fs.Stats): FileStatus {
  const kind = KINDS[mode & S_IFMT] ?? 'other';
  return { kind, ino, size, mtimeMs, ctimeMs, mode: mode & 0o2777, uid, gid };
}

/** The first bytes of a file, as many as its status says it has, or as there are where that says 0, as in `/proc`. */
function readUpTo(fd: number, size: number, limit: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(size || PIECE, limit));
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.length; length += count)
    count = fs.readSync(fd, bytes, length, bytes.length - length, length);
  return length === bytes.length ? bytes : bytes.subarray(0, length);
}

/** Set owner, group and mode of an open file or folder, as far as this process may. */
function own(fd: number, { mode, uid, gid }: Ownership): void {
  if (process.geteuid?.() === 0) fs.fchownSync(fd, uid, gid);
  else setGroup(fd, gid);
  // Last, because a change of the owner clears some of the bits.
  fs.fchmodSync(fd, mode);
}

function setGroup(fd: number, gid: number): void {
  if (fs.fstatSync(fd).gid === gid) return;
  try {
    fs.fchownSync(fd, -1, gid);
  } catch (error) {
    // Not a member of that group: it stays as it is.
    if (!isPermissionDenied(error)) throw error;
  }
}

class NodeFile implements OpenFile {
  readonly #fd: number;

  constructor(path: string, owner: Ownership) {
    this.#fd = fs.openSync(path, CREATE, owner.mode);
    own(this.#fd, owner);
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.#fd, bytes, done);
  }

  sync(how?: 'meanwhile'): Promise<void> {
    return how === 'meanwhile' ? syncElsewhere(this.#fd) : sync(this.#fd);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

async function* pieces(path: string): AsyncGenerator<Buffer> {
  const fd = fs.openSync(path, READ);
  try {
    for (;;) {
      const { bytesRead, buffer } = await readPiece(fd, Buffer.allocUnsafe(PIECE), 0, PIECE, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    fs.closeSync(fd);
  }
}

function kindOf(entry: fs.Dirent): FileKind {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}

function listFolder(path: string): fs.Dirent[] {
  return fs.readdirSync(path, { withFileTypes: true });
}

function* streamFolder(path: string): Generator<fs.Dirent> {
  const directory = fs.opendirSync(path, { bufferSize: NAMES });
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) yield entry;
  } finally {
    directory.closeSync();
  }
}

/** A small folder is listed faster at once, a large one as a stream, which takes less memory, too. */
function* filesIn(path: string): Generator<string> {
  const isSmall = fs.statSync(path).size < LARGE_FOLDER;
  for (const entry of isSmall ? listFolder(path) : streamFolder(path)) if (entry.isFile()) yield entry.name;
}

export const nodeDisk: Disk = {
  list: (directory) => listFolder(directory).map((entry) => ({ name: entry.name, kind: kindOf(entry) })),
  files: filesIn,
  status(path) {
    try {
      const stats = fs.lstatSync(path, { throwIfNoEntry: false });
      return stats === undefined ? null : fileStatus(stats);
    } catch (error) {
      // A part of the path is a file: there is nothing behind it.
      if (errorCode(error) === 'ENOTDIR') return null;
      throw error;
    }
  },
  writable(directory) {
    try {
      fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
      return true;
    } catch {
      // Whatever the reason, the answer is no.
      return false;
    }
  },
  read(path, limit) {
    const fd = fs.openSync(path, READ);
    try {
      const status = fileStatus(fs.fstatSync(fd));
      return { status, bytes: status.kind === 'file' ? readUpTo(fd, status.size, limit) : Buffer.alloc(0) };
    } finally {
      fs.closeSync(fd);
    }
  },
  stream: pieces,
  create: (path, owner) => new NodeFile(path, owner),
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  remove,
  mkdir(path, owner) {
    fs.mkdirSync(path, { mode: owner.mode });
    // Not through a link that somebody put there meanwhile.
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
    try {
      own(fd, owner);
    } finally {
      fs.closeSync(fd);
    }
  },
  async syncDirectory(directory) {
    const fd = fs.openSync(directory, fs.constants.O_RDONLY);
    try {
      await syncFolder(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
};
