/**
 * A message on its way from a database into a spool: `.spoolroom/moving/N.*`, N being its number there. Its payload has its name in the
 * spool by then; each control message has a number, under which lies an empty file. In the end that is replaced by the
 * list, by one rename: whether it was so is told by the file that has the number.
 */

import type { MessageNumber } from '../../delivery-list/job.ts';
import { removeIfExists, temporaryNames, writeAndSync } from '../../storage/atomic-file.ts';
import { ensureFolder, ownershipInSpool } from '../../storage/folder.ts';
import { layoutOf, messageNumber } from '../../storage/layout.ts';
import { dsnRequestNote, readDsnRequestNote } from '../dsn-request-note.ts';
import type { DsnStore, JobKey } from '../dsn-store.ts';
import type { ExportedControl, ExportedJob } from '../postgres/export.ts';
import { linkNext } from '../spool/enqueue.ts';
import { SpoolIndex } from '../spool/index/spool-index.ts';
import { messagesMoving } from '../spool/inspect.ts';
import { carryNotes } from '../spool/notes/carry.ts';
import { openDsnStore } from '../spool/notes/dsn-store.ts';
import type { SpoolDeps } from '../spool/open.ts';
import type { RequestDeps } from '../spool/requests/requests.ts';
import type { Carried } from './carried.ts';
import { withMsgid } from './take-in.ts';

/** `moving/N.manifest`: what is under which number, and what is known of it beside its list. */
interface Manifest {
  readonly jobs: readonly (JobKey & Omit<Carried, 'dsn'> & { readonly dsn: object | null })[];
}

export type MovingControl = ExportedControl & { readonly job: ExportedJob };

/** Our own files are as long as they are. */
const WHOLE = Number.POSITIVE_INFINITY;

export class StagedMessages {
  readonly #requests: RequestDeps;
  readonly #notes: DsnStore;
  readonly #index: SpoolIndex;

  /** The lock on the spool is held. */
  constructor(spool: string, deps: SpoolDeps) {
    const { disk, clock, processes, random } = deps;
    const layout = layoutOf(spool);
    const { files: owner, folders } = ownershipInSpool(disk, spool);
    ensureFolder(disk, layout.moving, folders);
    const temporaryName = temporaryNames(layout, processes, random);
    this.#requests = { disk, layout, owner, temporaryName };
    this.#notes = openDsnStore(spool, deps);
    const options = { dialect: 'detect', fallback: '2012' } as const;
    this.#index = new SpoolIndex({ disk, layout, options, now: () => clock.now() });
  }

  /** The database from which they come; null: none was named. */
  get database(): string | null {
    const { disk, layout } = this.#requests;
    const path = `${layout.moving}/database`;
    return disk.status(path) === null ? null : disk.read(path, WHOLE).bytes.toString('utf8').trim();
  }

  async nameDatabase(identity: string): Promise<void> {
    const { disk, layout, owner } = this.#requests;
    const path = `${layout.moving}/database`;
    removeIfExists(disk, path);
    await writeAndSync(disk, path, [Buffer.from(`${identity}\n`)], owner);
    await disk.syncDirectory(layout.moving);
    await disk.syncDirectory(layout.state);
  }

  /** Their numbers in the database. */
  get numbers(): readonly MessageNumber[] {
    return messagesMoving(this.#requests.disk, this.#requests.layout.spool);
  }

  /** Everything but the lists is durable under its number when this resolves, and the lists beside it. */
  async stage(
    message: MessageNumber,
    bytes: AsyncIterable<Uint8Array>,
    controls: readonly MovingControl[],
  ): Promise<void> {
    const { disk, layout, owner } = this.#requests;
    const write = (what: string | number, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) =>
      writeAndSync(disk, this.#path(message, what), pieces, owner);
    await write('payload', bytes);
    await write('number', []);
    await disk.syncDirectory(layout.moving);
    const numbers = { disk, layout, index: this.#index };
    const msgid = linkNext(numbers, this.#path(message, 'payload'));
    const jobs: Manifest['jobs'][number][] = [];
    for (const { list, job } of controls) {
      const control = linkNext(numbers, this.#path(message, 'number'));
      await write(control, [withMsgid(list, msgid)]);
      const { submitted, request, told, firstAttempt } = job;
      const dsn = job.dsn === null ? null : dsnRequestNote(job.dsn);
      jobs.push({ control, msgid, submitted, request, dsn, told, firstAttempt });
    }
    await write('manifest', [Buffer.from(JSON.stringify({ jobs } satisfies Manifest), 'latin1')]);
    await disk.syncDirectory(layout.moving);
    await disk.syncDirectory(layout.spool);
  }

  /** The database has forgotten it: it is the spool's. Done again, it goes on. */
  async publish(message: MessageNumber): Promise<void> {
    const { disk, layout, temporaryName } = this.#requests;
    const waiting = disk.status(this.#path(message, 'number'));
    if (waiting !== null) {
      for (const { dsn, ...job } of this.#manifest(message).jobs) {
        const path = layout.message(job.control);
        if (disk.status(path)?.ino !== waiting.ino) continue;
        // A run that came between may have ended the other jobs of this payload.
        if (disk.status(layout.message(job.msgid)) === null)
          disk.link(this.#path(message, 'payload'), layout.message(job.msgid));
        await carryNotes(this.#requests, this.#notes, job, { ...job, dsn: readDsnRequestNote(dsn) });
        const temporary = temporaryName();
        disk.link(this.#path(message, job.control), temporary);
        disk.rename(temporary, path);
      }
      await disk.syncDirectory(layout.spool);
    }
    await this.#clear(message);
  }

  /** The database still has it: nothing of it stays in the spool. */
  async discard(message: MessageNumber): Promise<void> {
    const { disk, layout } = this.#requests;
    const ours = ['payload', 'number'].map((what) => disk.status(this.#path(message, what))?.ino);
    for (const { name } of disk.list(layout.spool)) {
      const number = messageNumber(name);
      if (number !== null && ours.includes(disk.status(layout.message(number))?.ino))
        removeIfExists(disk, layout.message(number));
    }
    await disk.syncDirectory(layout.spool);
    await this.#clear(message);
  }

  #manifest(message: MessageNumber): Manifest {
    const { disk } = this.#requests;
    return JSON.parse(disk.read(this.#path(message, 'manifest'), WHOLE).bytes.toString('latin1'));
  }

  /** That of the numbers first: without it nothing of the rest is looked at. */
  async #clear(message: MessageNumber): Promise<void> {
    const { disk, layout } = this.#requests;
    removeIfExists(disk, this.#path(message, 'number'));
    await disk.syncDirectory(layout.moving);
    for (const { name } of disk.list(layout.moving))
      if (name.startsWith(`${message}.`)) removeIfExists(disk, `${layout.moving}/${name}`);
    await disk.syncDirectory(layout.moving);
  }

  #path(message: MessageNumber, what: string | number): string {
    return `${this.#requests.layout.moving}/${message}.${what}`;
  }
}
