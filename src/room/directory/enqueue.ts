/**
 * Puts a new job into the spool: the payload under the next free number, made durable, then its control message in the
 * same way. Called through the room, with or without the claim on the spool, by several processes at once: link(2)
 * gives a number to exactly one of them. Never replaces a file.
 */
import { firstControlText } from '../../control/generate.ts';
import { storedControl } from '../../message/stored.ts';
import type { MessageNumber, Room } from '../room.ts';
import type { Disk, Ownership } from './disk.ts';
import type { Layout } from './layout.ts';
import type { Shelf } from './shelf.ts';
import { removeIfThere, type TemporaryName, writeDurably } from './temporary.ts';
import { codeOf } from './trouble.ts';

export interface EnqueueDeps {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly shelf: Shelf;
  readonly temporaryName: TemporaryName;
  readonly owner: Ownership;
  /** resolves when all links made so far are durable */
  readonly syncSpool: () => Promise<void>;
}

/** A mail that would be read as a delivery list, and so give its author the say over our queue. */
export class NotAMail extends Error {
  constructor() {
    super(
      'The message was not taken: its content type makes it a delivery list, which cannot be sent as mail.',
    );
    this.name = 'NotAMail';
  }
}

/** As much of a payload as is looked at to tell it from a delivery list. */
const HEAD = 65_536;

/** Link the file under the next free number. */
function linkNext({ disk, layout, shelf }: EnqueueDeps, temporary: string): MessageNumber {
  for (;;) {
    const number = shelf.nextNumber();
    try {
      disk.link(temporary, layout.message(number));
      return number;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      shelf.list();
    }
  }
}

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Write a message and give it its number; `accept` looks at the complete file before it gets one. */
async function place(
  deps: EnqueueDeps,
  pieces: Pieces,
  accept: (path: string) => void,
): Promise<MessageNumber> {
  const temporary = deps.temporaryName();
  await writeDurably(deps.disk, temporary, pieces, deps.owner);
  try {
    accept(temporary);
    return linkNext(deps, temporary);
  } finally {
    removeIfThere(deps.disk, temporary);
  }
}

export function enqueueInto(deps: EnqueueDeps): Room['enqueue'] {
  function refuseList(path: string): void {
    if (storedControl(deps.disk.read(path, HEAD).bytes) !== null) throw new NotAMail();
  }

  /** Place the message and wait until its place is durable; if it cannot be, the place is given up again. */
  async function placeDurably(pieces: Pieces, accept: (path: string) => void): Promise<MessageNumber> {
    const number = await place(deps, pieces, accept);
    try {
      await deps.syncSpool();
      return number;
    } catch (error) {
      removeIfThere(deps.disk, deps.layout.message(number));
      throw error;
    }
  }

  return async (payload, job) => {
    if (!job.recipients.some((address) => address !== '')) throw new Error('a new job needs a recipient');
    const msgid = await placeDurably(payload instanceof Uint8Array ? [payload] : payload, refuseList);
    try {
      const text = firstControlText({ ...job, msgid });
      return { payload: msgid, control: await placeDurably([Buffer.from(text, 'latin1')], () => {}) };
    } catch (error) {
      // Without its control message it would lie there for ever (C24).
      removeIfThere(deps.disk, deps.layout.message(msgid));
      throw error;
    }
  };
}
