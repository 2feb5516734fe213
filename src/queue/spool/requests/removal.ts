/**
 * Takes jobs out of the spool on request: control message and payload go to a folder in `.spoolroom/removed/`, with a text
 * that says who asked. Files have their new name durably before the old one goes. The payload goes first: as long as the
 * control message is there, the removal is done again after a crash. Deletes nothing.
 */
import type { MessageNumber } from '../../../delivery-list/job.ts';
import { errorCode } from '../../../platform/system-errors.ts';
import { removeIfExists, writeAndSync } from '../../../storage/atomic-file.ts';
import { ensureFolder } from '../../../storage/folder.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import type { Requester } from '../../queue.ts';
import type { SpoolIndex } from '../index/spool-index.ts';
import type { SpoolJob } from '../index/spool-job.ts';
import type { Request, RequestDeps } from './requests.ts';

export interface RemovalDeps extends RequestDeps {
  readonly index: SpoolIndex;
  /** resolves when the names in the spool directory are durable */
  readonly syncSpool: () => Promise<void>;
}

/** Jobs that were requested at the same time lie in one folder. */
export function removalFolder(
  { removed }: Pick<StateLayout, 'removed'>,
  { at }: Pick<Requester, 'at'>,
): string {
  return `${removed}/${new Date(at * 1000).toISOString().replace(/[-:]|\.\d+/g, '')}`;
}

export interface Removal {
  readonly job: SpoolJob;
  readonly request: Request;
}

/** Resolves when the jobs are out of the spool, durably. The index has to be up to date. */
export async function removeJobs(deps: RemovalDeps, removals: readonly Removal[]): Promise<void> {
  const { disk, layout, index, syncSpool } = deps;
  const leaving = new Set(removals.map(({ job }) => job.control));
  const payloads = payloadsOf(index, removals, leaving);
  const folders = new Set(removals.map(({ request }) => removalFolder(layout, request)));
  for (const folder of [layout.removed, ...folders]) makeFolder(deps, folder);
  for (const removal of removals) await moveAway(deps, removal, payloads);
  for (const folder of [...folders, layout.removed, layout.state]) await disk.syncDirectory(folder);
  for (const numbers of [payloads, leaving]) {
    for (const number of numbers) {
      removeIfExists(disk, layout.message(number));
      index.known.forget(number);
    }
    await syncSpool();
  }
}

/** Payloads of the removals that no remaining job names. One that an unread message may name stays as well. */
function payloadsOf(
  index: SpoolIndex,
  removals: readonly Removal[],
  leaving: ReadonlySet<MessageNumber>,
): ReadonlySet<MessageNumber> {
  const { payloads: parked } = index.parked;
  const staying = new Set<MessageNumber>();
  for (const { control, base } of index.known.jobs()) if (!leaving.has(control)) staying.add(base.msgid);
  const highestUnread = index.known.highestUnread();
  const payloads = removals
    .map(({ job }) => job.base.msgid)
    .filter(
      (msgid) =>
        msgid > highestUnread &&
        !staying.has(msgid) &&
        !parked.has(msgid) &&
        index.known.refresh(msgid)?.kind === 'payload',
    );
  return new Set(payloads);
}

function makeFolder({ disk, owner }: RemovalDeps, path: string): void {
  // Whoever may read the files may enter the folder.
  ensureFolder(disk, path, { ...owner, mode: owner.mode | ((owner.mode & 0o444) >> 2) });
}

async function moveAway(
  { disk, layout, temporaryName, owner }: RemovalDeps,
  { job: { control, base }, request }: Removal,
  payloads: ReadonlySet<MessageNumber>,
): Promise<void> {
  const folder = removalFolder(layout, request);
  for (const number of payloads.has(base.msgid) ? [base.msgid, control] : [control]) {
    try {
      disk.link(layout.message(number), `${folder}/${number}`);
    } catch (error) {
      // Linked by a run that was interrupted here, or for another job with the same payload.
      const there = errorCode(error) === 'EEXIST' ? disk.status(`${folder}/${number}`) : null;
      if (there === null || there.ino !== disk.status(layout.message(number))?.ino) throw error;
    }
  }
  const hasPayload = disk.status(`${folder}/${base.msgid}`) !== null;
  const text = [
    `Job ${control} was removed from the spool: user ${request.by} asked for it at ${new Date(request.at * 1000).toISOString()}.`,
    hasPayload
      ? `To restore it, move the message ${base.msgid} into the spool directory first, and then the list ${control}.`
      : `Its message ${base.msgid} is not here: it was missing, or another job needs it.`,
  ];
  const temporary = temporaryName();
  await writeAndSync(disk, temporary, [Buffer.from(`${text.join('\n')}\n`)], owner);
  disk.rename(temporary, `${folder}/${control}.why`);
}
