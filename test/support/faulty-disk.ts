/**
 * A disk that works until a chosen step and then fails: once, with a system error, or for good, as when the process is
 * killed there. Steps are the calls that change something, counted from 1. A write that fails has written half.
 */
import { type Disk, nodeDisk, type OpenFile } from '../../src/storage/disk.ts';

export class Killed extends Error {}

export interface Fault {
  readonly step: number;
  /** `killed`: every later step fails, too */
  readonly code: 'killed' | 'EIO' | 'ENOSPC';
}

export interface FaultyDisk extends Disk {
  /** steps taken so far, by name */
  readonly taken: readonly string[];
}

export function faultyDisk(fault: Fault, disk: Disk = nodeDisk): FaultyDisk {
  const taken: string[] = [];

  /** Whether this step fails. */
  function failure(name: string): Error | null {
    taken.push(name);
    const { step, code } = fault;
    if (code === 'killed') return taken.length >= step ? new Killed(`killed at ${name}`) : null;
    return taken.length === step ? Object.assign(new Error(`${code} at ${name}`), { code }) : null;
  }

  function check(name: string): void {
    const error = failure(name);
    if (error !== null) throw error;
  }

  function faultyFile(file: OpenFile): OpenFile {
    return {
      write(bytes) {
        const error = failure('write');
        file.write(error === null ? bytes : bytes.subarray(0, bytes.length / 2));
        if (error !== null) throw error;
      },
      async sync() {
        check('sync');
        await file.sync();
      },
      close: () => file.close(),
    };
  }

  return {
    taken,
    list: (directory) => disk.list(directory),
    files: (directory) => disk.files(directory),
    status: (path) => disk.status(path),
    writable: (directory) => disk.writable(directory),
    read: (path, limit) => disk.read(path, limit),
    stream: (path) => disk.stream(path),
    create(path, owner) {
      check('create');
      return faultyFile(disk.create(path, owner));
    },
    rename(from, to) {
      check('rename');
      disk.rename(from, to);
    },
    link(from, to) {
      check('link');
      disk.link(from, to);
    },
    unlink(path) {
      check('unlink');
      disk.unlink(path);
    },
    async remove(path) {
      check('unlink');
      await disk.remove(path);
    },
    mkdir(path, owner) {
      check('mkdir');
      disk.mkdir(path, owner);
    },
    async syncDirectory(directory) {
      check('syncDirectory');
      await disk.syncDirectory(directory);
    },
  };
}

/** The real disk, on which no file can be created while `isFull`. */
export function fillableDisk(): { readonly disk: Disk; isFull: boolean } {
  const state: { readonly disk: Disk; isFull: boolean } = {
    isFull: false,
    disk: {
      ...nodeDisk,
      create(path, owner) {
        if (state.isFull) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        return nodeDisk.create(path, owner);
      },
    },
  };
  return state;
}
