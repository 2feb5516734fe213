/**
 * Rewrites the control message of one job. Called by the room's checkpoint: `draft` makes the new text durable under a
 * temporary name, `putInPlace` gives it the message's name. In between and before, the message is compared with what we
 * read: one that another program changed is read again and merged, one it removed is not brought back.
 */

import { rewrittenText } from '../../delivery-list/apply.ts';
import type { Dialect } from '../../delivery-list/job.ts';
import type { RetryIntervals } from '../../delivery-list/serialise.ts';
import { wrapControlText } from '../../message/stored.ts';
import { type TemporaryName, writeAndSync } from '../../storage/atomic-file.ts';
import type { FileStatus } from '../../storage/disk.ts';
import { currentJob, type PendingJob, pendingJob } from '../pending-job.ts';
import { type FileContents, readContents, type SpoolIndexDeps, sameFile } from './spool-index.ts';

export interface RewriteDeps extends SpoolIndexDeps {
  readonly temporaryName: TemporaryName;
  readonly dialect: Dialect;
  readonly spans: RetryIntervals;
}

export interface ReadyRewrite {
  readonly kind: 'ready';
  readonly held: PendingJob;
  readonly temporary: string;
  /** the file it takes the place of */
  readonly replaces: FileStatus;
  /** how many changes of `held` are in it */
  readonly changes: number;
}

export type Rewrite =
  | ReadyRewrite
  /** another program removed the message, or put another one in its place: it is not ours any more */
  | { readonly kind: 'gone'; readonly held: PendingJob }
  /** the dialect has no words for "all delivered"; the job is about to be removed */
  | { readonly kind: 'unsaid' }
  /** it cannot be rewritten now; `reason` completes "The control message N could not be rewritten: " */
  | { readonly kind: 'stuck'; readonly held: PendingJob; readonly reason: string };

function stuckReason(look: Exclude<FileContents, { kind: 'control' | 'gone' | 'payload' }>): string {
  switch (look.kind) {
    case 'refused':
    case 'unreadable':
      return look.reason;
    case 'unfinished':
      return 'another program is writing it';
  }
}

export async function prepareRewrite(deps: RewriteDeps, held: PendingJob): Promise<Rewrite> {
  const look = readContents(deps, held.control);
  if (look.kind === 'gone' || look.kind === 'payload') return { kind: 'gone', held };
  if (look.kind !== 'control') return { kind: 'stuck', held, reason: stuckReason(look) };
  if (look.job.msgid !== held.base.msgid) return { kind: 'gone', held };
  const changes = held.changes.length;
  if (!sameFile(look.status, held.status)) held.foreign = true;
  const job = currentJob(held.foreign ? pendingJob(held.control, look, held) : held);
  const text = rewrittenText(job, deps.dialect, held.now, deps.spans);
  if (text === null) return { kind: 'unsaid' };
  const temporary = deps.temporaryName();
  await writeAndSync(deps.disk, temporary, [wrapControlText(text, look.form, look.bytes)], look.status);
  return { kind: 'ready', held, temporary, replaces: look.status, changes };
}

/** False when the message changed while the draft was written: the draft is thrown away and has to be made again. */
export function commitRewrite({ disk, layout }: RewriteDeps, ready: ReadyRewrite): boolean {
  const path = layout.message(ready.held.control);
  const status = disk.status(path);
  if (status === null || !sameFile(status, ready.replaces)) {
    disk.unlink(ready.temporary);
    return false;
  }
  disk.rename(ready.temporary, path);
  ready.held.status = disk.status(path) ?? status;
  return true;
}
