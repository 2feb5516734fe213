/**
 * Moves the jobs of a spool into a queue in PostgreSQL, message by message: it is held in the spool while it is on its way, is in the
 * database when its transaction is committed, and leaves the spool after that.
 */

import { isPending } from '../../delivery-list/job.ts';
import { removeIfExists } from '../../storage/atomic-file.ts';
import { payloadFingerprint } from '../../storage/fingerprint.ts';
import { layoutOf } from '../../storage/layout.ts';
import { type ControlMessages, groupByPayload } from '../due.ts';
import type { Queue, QueuedJob } from '../queue.ts';
import { notesIn } from '../spool/notes/dsn-store.ts';
import type { SpoolClient, SpoolDeps } from '../spool/open.ts';
import { forgetMoved, movedPayloads, type TakeInDeps, type TakenJob, takeIn } from './take-in.ts';

export interface MoveInDeps extends SpoolDeps {
  readonly adopting: TakeInDeps;
  /** of the spool, whose lock is held */
  readonly id: string;
  readonly queue: Queue;
  readonly client: SpoolClient;
}

export interface MovedIn {
  /** jobs */
  readonly moved: number;
  /** jobs in which nobody is pending */
  readonly left: number;
}

/** Who holds a job that is on its way. */
const MOVER = 'move';
/** A scan has set aside what is too long. */
const WHOLE = Number.POSITIVE_INFINITY;

/** Until a look at the spool finds nothing to move: others may put mail there meanwhile. */
export async function moveIn(spool: string, deps: MoveInDeps): Promise<MovedIn> {
  let moved = 0;
  for (;;) {
    const messages = [...groupByPayload((await deps.queue.scan()).jobs).values()];
    const movable = messages.filter((lists) => lists.some(({ job }) => job.recipients.some(isPending)));
    if (movable.length === 0) {
      await removeLeftOver(spool, messages, deps);
      return { moved, left: messages.reduce((sum, lists) => sum + lists.length, 0) };
    }
    for (const lists of movable) {
      await moveOne(spool, lists, deps);
      moved += lists.length;
    }
  }
}

/** Whether such a move was interrupted. */
export function isMovedIn({ request, requestedBy }: QueuedJob): boolean {
  return request === 'hold' && requestedBy?.by === MOVER;
}

/** Payloads of jobs that an interrupted move had taken out of the spool already. */
async function removeLeftOver(
  spool: string,
  messages: readonly ControlMessages[],
  { disk, adopting: { database }, id }: MoveInDeps,
): Promise<void> {
  const layout = layoutOf(spool);
  const named = new Set(messages.map(([{ job }]) => job.msgid));
  for (const { number, fingerprint } of await movedPayloads(database, id)) {
    const isLeft = fingerprint !== null && payloadFingerprint(disk, layout, number) === fingerprint;
    if (isLeft && !named.has(number)) removeIfExists(disk, layout.message(number));
  }
  await disk.syncDirectory(spool);
  await forgetMoved(database, id);
}

async function moveOne(
  spool: string,
  lists: ControlMessages,
  { disk, clock, adopting, id: source, client }: MoveInDeps,
): Promise<void> {
  const layout = layoutOf(spool);
  const [{ job }] = lists;
  const unheld = lists.filter(({ request }) => request === undefined);
  await client.request('hold', unheld, { by: MOVER, at: Math.floor(clock.now() / 1000) });
  const notes = notesIn(spool, disk);
  notes.refresh();
  const taken: TakenJob[] = [];
  for (const queued of lists) {
    const key = { control: queued.control, msgid: queued.job.msgid, submitted: queued.job.submitted };
    taken.push({
      queued: asAsked(queued),
      list: disk.read(layout.message(queued.control), WHOLE).bytes,
      dsn: notes.request(key),
      told: await notes.notified(key),
      firstAttempt: await notes.firstAttempt(key),
    });
  }
  const path = layout.message(job.msgid);
  const payload = payloadFingerprint(disk, layout, job.msgid);
  await takeIn(adopting, { source, jobs: taken, payload, pieces: () => disk.stream(path) });
  for (const { control } of lists) removeIfExists(disk, layout.message(control));
  await disk.syncDirectory(spool);
  if (payload !== null) removeIfExists(disk, path);
  await client.withdraw(lists);
}

/** A hold of ours is none of an administrator's. */
function asAsked(queued: QueuedJob): QueuedJob {
  if (!isMovedIn(queued)) return queued;
  const { request: _, requestedBy: __, ...rest } = queued;
  return rest;
}
