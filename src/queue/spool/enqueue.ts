/**
 * Puts a new job into the spool: the payload under the next free number, made durable, then its control message in the
 * same way. Needs no lock: several processes may do so at once, and link(2) gives a number to exactly one of them. Never
 * replaces a file.
 */
import { newControlText } from '../../delivery-list/generate.ts';
import type { MessageNumber } from '../../delivery-list/job.ts';
import { MAX_HEADER, storedControl } from '../../message/stored.ts';
import { errorCode } from '../../platform/system-errors.ts';
import {
  assertOwnerCanRead,
  removeIfExists,
  type TemporaryName,
  writeAndSync,
} from '../../storage/atomic-file.ts';
import type { Disk, Ownership } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { InvalidMessage, type Queue } from '../queue.ts';
import { readHighest } from './highest-number.ts';
import { removeDsnRequest, writeDsnRequest } from './notes/dsn-requests.ts';
import type { SpoolIndex } from './spool-index.ts';

export interface EnqueueDeps {
  readonly disk: Disk;
  readonly layout: StateLayout;
  readonly index: SpoolIndex;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
  /** resolves when all links made so far are durable */
  readonly syncSpool: () => Promise<void>;
}

/** Link the file under the next free number. */
export function linkNext(
  { disk, layout, index }: Pick<EnqueueDeps, 'disk' | 'layout' | 'index'>,
  temporary: string,
): MessageNumber {
  // Others may have given higher ones meanwhile, whose files have come and gone.
  index.reserveNumber(readHighest(disk, layout));
  for (;;) {
    const number = index.nextNumber();
    try {
      disk.link(temporary, layout.message(number));
      return number;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      index.list();
    }
  }
}

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export function createEnqueue(deps: EnqueueDeps): Queue['enqueue'] {
  const { disk, layout, temporaryName, owner, syncSpool } = deps;

  function refuseList(path: string): void {
    if (storedControl(disk.read(path, MAX_HEADER).bytes) !== null) throw new InvalidMessage();
  }

  /** Writes a message under a temporary name, durably. `accept` throws to refuse it. */
  async function prepare(pieces: Pieces, accept: (path: string) => void): Promise<string> {
    const temporary = temporaryName();
    await writeAndSync(disk, temporary, pieces, owner);
    try {
      assertOwnerCanRead(disk, temporary, owner, layout.spool);
      accept(temporary);
    } catch (error) {
      removeIfExists(disk, temporary);
      throw error;
    }
    return temporary;
  }

  /** Gives a prepared message its number, which is also added to `linked`. Durable after the next `syncSpool`. */
  function publish(temporary: string, linked: MessageNumber[]): MessageNumber {
    try {
      const number = linkNext(deps, temporary);
      linked.push(number);
      return number;
    } finally {
      removeIfExists(disk, temporary);
    }
  }

  /** The control message is written while the payload's name becomes durable, and gets its own name only then. */
  async function prepareControl(list: Buffer): Promise<string> {
    const [control, synced] = await Promise.allSettled([prepare([list], () => {}), syncSpool()]);
    if (control.status === 'rejected') throw control.reason;
    if (synced.status === 'fulfilled') return control.value;
    removeIfExists(disk, control.value);
    throw synced.reason;
  }

  return async (payload, job) => {
    if (!job.recipients.some((address) => address !== '')) throw new Error('a new job needs a recipient');
    const linked: MessageNumber[] = [];
    try {
      const msgid = publish(
        await prepare(payload instanceof Uint8Array ? [payload] : payload, refuseList),
        linked,
      );
      if (job.dsn !== undefined) await writeDsnRequest(deps, msgid, job.submitted, job.dsn);
      const list = Buffer.from(newControlText({ ...job, msgid }), 'latin1');
      const control = publish(await prepareControl(list), linked);
      await syncSpool();
      return { payload: msgid, control };
    } catch (error) {
      // The control message first: a job without its payload, or a payload that is never removed, is worse than none.
      for (const number of linked.reverse()) {
        removeIfExists(disk, layout.message(number));
        if (job.dsn !== undefined) removeDsnRequest(disk, layout, number);
      }
      throw error;
    }
  };
}
