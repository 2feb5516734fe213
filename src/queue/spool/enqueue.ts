/**
 * Puts a new job into the spool: the payload under the next free number, then its control message. Before the control message
 * has its name, all else is durable: it, the payload, the payload's name, what the sender asked for. These are synced together,
 * because each sync waits for the disk. Needs no lock: several processes may do so at once, and link(2) gives a number to
 * exactly one of them. Never replaces a file.
 */
import { newControlText } from '../../delivery-list/generate.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { MAX_HEADER, storedControl } from '../../message/stored.ts';
import { errorCode } from '../../platform/system-errors.ts';
import { assertOwnerCanRead, removeIfExists, type TemporaryName } from '../../storage/atomic-file.ts';
import type { Disk, OpenFile, Ownership } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { InvalidMessage, type Queue } from '../queue.ts';
import { highestReader, readHighest } from './highest-number.ts';
import type { SpoolIndex } from './index/spool-index.ts';
import { removeDsnRequest, writeDsnRequest } from './notes/dsn-requests.ts';

export interface EnqueueDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly index: SpoolIndex;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
  /** resolves when all links made so far are durable */
  readonly syncSpool: () => Promise<void>;
}

/** Link the file under the next free number. Others may have given higher ones meanwhile, whose files have come and gone. */
export function linkNext(
  { disk, layout, index }: Pick<EnqueueDeps, 'disk' | 'layout' | 'index'>,
  temporary: string,
  highest = readHighest(disk, layout),
): MessageNumber {
  index.numbers.reserve(highest);
  for (;;) {
    const number = index.numbers.next();
    try {
      disk.link(temporary, layout.message(number));
      return number;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      index.numbers.list();
    }
  }
}

/** Resolves to the first bytes of a message that was written, up to `MAX_HEADER`. */
async function write(file: OpenFile, payload: AsyncIterable<Uint8Array> | Uint8Array): Promise<Buffer> {
  if (payload instanceof Uint8Array) {
    file.write(payload);
    return Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, MAX_HEADER));
  }
  let head = Buffer.alloc(0);
  for await (const piece of payload) {
    file.write(piece);
    const missing = MAX_HEADER - head.length;
    if (missing > 0) head = Buffer.concat([head, piece.subarray(0, missing)]);
  }
  return head;
}

/** A message under a temporary name. */
interface Written {
  readonly path: string;
  readonly file: OpenFile;
}

export function createEnqueue(deps: EnqueueDeps): Queue['enqueue'] {
  const { disk, layout, temporaryName, owner, syncSpool } = deps;
  const highest = highestReader(disk, layout);
  /** what this process writes is all the same */
  let isReadable = false;

  return async (payload, job) => {
    if (!job.recipients.some((address) => address !== '')) throw new Error('a new job needs a recipient');
    const written: Written[] = [];
    const linked: MessageNumber[] = [];
    const create = (): Written => {
      const path = temporaryName();
      const message = { path, file: disk.create(path, owner) };
      written.push(message);
      return message;
    };
    /** Gives it the next free number. */
    const publish = ({ path }: Written): MessageNumber => {
      const number = linkNext(deps, path, highest());
      linked.push(number);
      return number;
    };
    /** Resolves when all of them are durable. Meanwhile its temporary name is taken from the message that has its number. */
    const sync = async (syncs: readonly Promise<void>[], { path }: Written): Promise<void> => {
      const renamed = Promise.resolve().then(() => disk.unlink(path));
      // Also when one has failed: a file must not be closed while it is being synced.
      for (const done of await Promise.allSettled([...syncs, renamed]))
        if (done.status === 'rejected') throw done.reason;
    };
    try {
      const message = create();
      const head = await write(message.file, payload);
      // A message that no run could read, or that is a delivery list, gets no number.
      if (!isReadable) assertOwnerCanRead(disk, message.path, owner, layout.spool);
      isReadable = true;
      if (storedControl(head) !== null) throw new InvalidMessage();
      const msgid = publish(message);
      const list = create();
      list.file.write(Buffer.from(newControlText({ ...job, msgid }), 'latin1'));
      const beforeName = [message.file.sync(), list.file.sync(), syncSpool()];
      if (job.dsn !== undefined) beforeName.push(writeDsnRequest(deps, msgid, job.submitted, job.dsn));
      await sync(beforeName, message);
      const control = publish(list);
      await sync([syncSpool()], list);
      return { payload: msgid, control };
    } catch (error) {
      // The control message first: a job without its payload, or a payload that is never removed, is worse than none.
      for (const number of linked.reverse()) {
        removeIfExists(disk, layout.message(number));
        if (job.dsn !== undefined) removeDsnRequest(disk, layout, number);
      }
      for (const { path } of written) removeIfExists(disk, path);
      throw error;
    } finally {
      for (const { file } of written) file.close();
    }
  };
}
