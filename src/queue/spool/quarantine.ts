/**
 * Moves a control message that cannot be read to `.spoolroom/bad/`, with a file beside it that says why. New name and
 * reason are durable before the old name goes; after a crash in between, the steps are done again. Never deletes or changes
 * a message.
 */
import type { MessageNumber } from '../../delivery-list/job.ts';
import { errorCode } from '../../platform/system-errors.ts';
import { type ReplaceDeps, removeIfExists, replaceDurably } from '../../storage/atomic-file.ts';
import type { FileStatus } from '../../storage/disk.ts';
import type { StateLayout } from '../../storage/layout.ts';

export interface QuarantineDeps extends ReplaceDeps {
  readonly layout: StateLayout;
}

/** Give the message a name in `bad/`: its number, or `number.1` and so on when an older one has that. */
function linkIntoBad({ disk, layout }: QuarantineDeps, number: MessageNumber, status: FileStatus): string {
  for (let copy = 0; ; copy++) {
    const path = `${layout.bad}/${number}${copy === 0 ? '' : `.${copy}`}`;
    try {
      disk.link(layout.message(number), path);
      return path;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      if (disk.status(path)?.ino === status.ino) return path;
    }
  }
}

/** `reason` completes "Message N was quarantined, because". Resolves to its place in `bad/` when that is durable. */
export async function quarantine(
  deps: QuarantineDeps,
  number: MessageNumber,
  status: FileStatus,
  reason: string,
): Promise<string> {
  const { disk, layout } = deps;
  const path = linkIntoBad(deps, number, status);
  const text = [
    `Message ${number} was quarantined, because ${reason}.`,
    'Its content type makes it a delivery list, but nothing can be delivered with it.',
    'The message it belongs to is still in the spool directory. Correct the list and put it back there',
    'under a free number, or delete it together with the message.\n',
  ];
  await replaceDurably(deps, `${path}.reason`, Buffer.from(text.join('\n')));
  removeIfExists(disk, layout.message(number));
  return path;
}
