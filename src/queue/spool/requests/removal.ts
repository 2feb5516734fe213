/**
 * Takes jobs out of the spool for which that was asked: control message and mail go to a folder in `.spoolroom/removed/`
 * with a text that says who asked. Called by requests-heeded.ts, with the claim on the spool and before anything is due. Files
 * have their new name durably before the old one goes; the mail goes first, so that a control message that is still
 * there says that it has to be done again. Deletes nothing.
 */

import type { MessageNumber } from '../../../delivery-list/job.ts';
import { errorCode } from '../../../platform/system-errors.ts';
import { removeIfExists, writeAndSync } from '../../../storage/atomic-file.ts';
import type { StateLayout } from '../../../storage/layout.ts';
import type { PendingJob } from '../../pending-job.ts';
import type { Requester } from '../../queue.ts';
import type { SpoolIndex } from '../spool-index.ts';
import type { Request, RequestDeps } from './requests.ts';

export interface RemovalDeps extends RequestDeps {
  readonly shelf: SpoolIndex;
  /** resolves when the names in the spool directory are durable */
  readonly syncSpool: () => Promise<void>;
}

/** What was asked at the same time lies in one folder. */
export function removalFolder(
  { removed }: Pick<StateLayout, 'removed'>,
  { at }: Pick<Requester, 'at'>,
): string {
  return `${removed}/${new Date(at * 1000).toISOString().replace(/[-:]|\.\d+/g, '')}`;
}

export interface Removal {
  readonly held: PendingJob;
  readonly request: Request;
}

/** Resolves when the jobs are out of the spool, durably. The shelf is up to date. */
export async function removeJobs(deps: RemovalDeps, removals: readonly Removal[]): Promise<void> {
  const { disk, layout, shelf, syncSpool } = deps;
  const leaving = new Set(removals.map(({ held }) => held.control));
  const mails = mailsOf(shelf, removals, leaving);
  const folders = new Set(removals.map(({ request }) => removalFolder(layout, request)));
  for (const folder of [layout.removed, ...folders]) makeFolder(deps, folder);
  for (const removal of removals) await putAway(deps, removal, mails);
  for (const folder of [...folders, layout.removed, layout.state]) await disk.syncDirectory(folder);
  for (const numbers of [mails, leaving]) {
    for (const number of numbers) {
      removeIfExists(disk, layout.message(number));
      shelf.forget(number);
    }
    await syncSpool();
  }
}

/** The mails that no job names which stays. One that a message nobody could look into may name stays as well. */
function mailsOf(
  shelf: SpoolIndex,
  removals: readonly Removal[],
  leaving: ReadonlySet<MessageNumber>,
): ReadonlySet<MessageNumber> {
  const staying = new Set<MessageNumber>();
  for (const { control, base } of shelf.jobs()) if (!leaving.has(control)) staying.add(base.msgid);
  const riddle = shelf.highestUnreadable();
  const mails = removals
    .map(({ held }) => held.base.msgid)
    .filter((msgid) => msgid > riddle && !staying.has(msgid) && shelf.refresh(msgid)?.kind === 'payload');
  return new Set(mails);
}

function makeFolder({ disk, owner }: RemovalDeps, path: string): void {
  if (disk.status(path) !== null) return;
  // Who may read a file here may pass through its folder.
  disk.mkdir(path, { ...owner, mode: owner.mode | ((owner.mode & 0o444) >> 2) });
}

async function putAway(
  { disk, layout, temporaryName, owner }: RemovalDeps,
  { held: { control, base }, request }: Removal,
  mails: ReadonlySet<MessageNumber>,
): Promise<void> {
  const folder = removalFolder(layout, request);
  for (const number of mails.has(base.msgid) ? [base.msgid, control] : [control]) {
    try {
      disk.link(layout.message(number), `${folder}/${number}`);
    } catch (error) {
      // From a run that was interrupted here, or of another job whose mail this is, too.
      const there = errorCode(error) === 'EEXIST' ? disk.status(`${folder}/${number}`) : null;
      if (there === null || there.ino !== disk.status(layout.message(number))?.ino) throw error;
    }
  }
  const withMail = disk.status(`${folder}/${base.msgid}`) !== null;
  const text = [
    `Job ${control} was removed from the spool: user ${request.by} asked for it at ${new Date(request.at * 1000).toISOString()}.`,
    withMail
      ? `To bring it back, move first the mail ${base.msgid} and then the list ${control} into the spool directory.`
      : `Its mail ${base.msgid} is not here: it was missing, or another job needs it.`,
  ];
  const temporary = temporaryName();
  await writeAndSync(disk, temporary, [Buffer.from(`${text.join('\n')}\n`)], owner);
  disk.rename(temporary, `${folder}/${control}.why`);
}
