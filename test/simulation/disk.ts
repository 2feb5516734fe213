/**
 * The disk as one process sees it: each call is a step at which the process may die or the call may fail, and a sync takes
 * time. Counts open files, to find leaks.
 */
import type { Disk, OpenFile } from '../../src/storage/disk.ts';
import type { MemoryDisk, SyncUnderWay } from '../support/memory-disk.ts';

export interface DiskGate {
  /** To be called before each call of the disk; throws when that fails. */
  step(call: DiskCall, path: string): void;
  /** called after a name in a directory has changed */
  changed(path: string): void;
  /** resolves when a sync has taken effect; never if the process dies meanwhile */
  platter(): Promise<void>;
}

export type DiskCall =
  | 'list'
  | 'status'
  | 'read'
  | 'create'
  | 'write'
  | 'sync'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'mkdir'
  | 'syncDirectory';

export class ProcessDisk implements Disk {
  /** files and streams that are open */
  open = 0;
  readonly #disk: MemoryDisk;
  readonly #gate: DiskGate;

  constructor(disk: MemoryDisk, gate: DiskGate) {
    this.#disk = disk;
    this.#gate = gate;
  }

  list(directory: string) {
    this.#gate.step('list', directory);
    return this.#disk.list(directory);
  }

  files(directory: string) {
    this.#gate.step('list', directory);
    return this.#disk.files(directory);
  }

  status(path: string) {
    this.#gate.step('status', path);
    return this.#disk.status(path);
  }

  writable(directory: string): boolean {
    return this.#disk.writable(directory);
  }

  read(path: string, limit: number) {
    this.#gate.step('read', path);
    return this.#disk.read(path, limit);
  }

  async *stream(path: string): AsyncGenerator<Buffer> {
    this.#gate.step('read', path);
    this.open++;
    try {
      for await (const piece of this.#disk.stream(path)) {
        yield piece;
        this.#gate.step('read', path);
      }
    } finally {
      this.open--;
    }
  }

  create(path: string, owner: Parameters<Disk['create']>[1]): OpenFile {
    this.#gate.step('create', path);
    const file = this.#disk.create(path, owner);
    this.open++;
    this.#gate.changed(path);
    let closed = false;
    return {
      write: (bytes) => {
        try {
          this.#gate.step('write', path);
        } catch (error) {
          file.write(bytes.subarray(0, bytes.length / 2));
          throw error;
        }
        file.write(bytes);
      },
      sync: async () => {
        try {
          this.#gate.step('sync', path);
        } catch (error) {
          file.failSync();
          throw error;
        }
        await this.#endOf(file.beginSync());
      },
      close: () => {
        if (closed) throw new Error(`${path} is closed twice`);
        closed = true;
        this.open--;
      },
    };
  }

  rename(from: string, to: string): void {
    this.#gate.step('rename', to);
    this.#disk.rename(from, to);
    this.#gate.changed(to);
  }

  link(from: string, to: string): void {
    this.#gate.step('link', to);
    this.#disk.link(from, to);
    this.#gate.changed(to);
  }

  unlink(path: string): void {
    this.#gate.step('unlink', path);
    this.#disk.unlink(path);
  }

  async remove(path: string): Promise<void> {
    this.#gate.step('unlink', path);
    await this.#disk.remove(path);
  }

  mkdir(path: string, owner: Parameters<Disk['mkdir']>[1]): void {
    this.#gate.step('mkdir', path);
    this.#disk.mkdir(path, owner);
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#gate.step('syncDirectory', directory);
    await this.#endOf(this.#disk.beginSyncDirectory(directory));
  }

  async #endOf(sync: SyncUnderWay): Promise<void> {
    await this.#gate.platter();
    sync();
  }
}
