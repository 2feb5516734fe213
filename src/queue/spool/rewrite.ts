/**
 * Rewrites control messages: the new text is made durable under a temporary name, then renamed over the old one. Before
 * and in between, the file is compared with what was read: one that another program changed is read again and merged, one
 * it removed is not brought back.
 */
import { rewrittenText } from '../../delivery-list/apply.ts';
import { wrapControlText } from '../../message/stored.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { type TemporaryName, writeAndSync } from '../../storage/atomic-file.ts';
import type { FileStatus } from '../../storage/disk.ts';
import { sameFile } from '../../storage/fingerprint.ts';
import type { ControlSettings } from '../control-message.ts';
import { currentJob } from '../pending-job.ts';
import { type ReadDeps, readMessage } from './index/read-message.ts';
import type { SpoolIndex } from './index/spool-index.ts';
import { type SpoolJob, spoolJob } from './index/spool-job.ts';

/** Control messages that are made durable at the same time. */
const BATCH = 32;
/** How often a control message that other programs keep changing is tried in one flush. */
const ATTEMPTS = 3;

export interface RewriteDeps extends ReadDeps, ControlSettings {
  readonly index: SpoolIndex;
  readonly temporaryName: TemporaryName;
  /** resolves when all names in the spool directory are durable */
  readonly syncSpool: () => Promise<void>;
}

interface ReadyRewrite {
  readonly kind: 'ready';
  readonly job: SpoolJob;
  readonly temporary: string;
  /** the file it takes the place of */
  readonly replaces: FileStatus;
  /** how many changes of the job are in it */
  readonly changes: number;
}

type Rewrite =
  | ReadyRewrite
  /** another program removed the message, or put another one in its place: it is not ours any more */
  | { readonly kind: 'gone'; readonly job: SpoolJob }
  /** the dialect cannot express "all delivered"; the job is about to be removed */
  | { readonly kind: 'inexpressible' }
  | { readonly kind: 'stuck'; readonly job: SpoolJob; readonly reason: string };

/** Resolves, when the new texts are durable, to a sentence for each control message that could not be rewritten. */
export async function rewriteControls(deps: RewriteDeps, jobs: readonly SpoolJob[]): Promise<string[]> {
  const failures: string[] = [];
  for (let from = 0; from < jobs.length; from += BATCH)
    failures.push(...(await rewriteBatch(deps, jobs.slice(from, from + BATCH), 1)));
  return failures;
}

async function rewriteBatch(
  deps: RewriteDeps,
  jobs: readonly SpoolJob[],
  attempt: number,
): Promise<string[]> {
  const rewrites = await Promise.all(jobs.map((job) => prepareOrSayWhyNot(deps, job)));
  const { committed, changed, failures } = commitAll(deps, rewrites);
  if (committed.length > 0) await deps.syncSpool();
  for (const { job, changes } of committed) job.written = changes;
  if (changed.length === 0) return failures;
  if (attempt < ATTEMPTS) return [...failures, ...(await rewriteBatch(deps, changed, attempt + 1))];
  return [...failures, ...changed.map((job) => failureText(job, 'another program keeps changing it'))];
}

async function prepareOrSayWhyNot(deps: RewriteDeps, job: SpoolJob): Promise<Rewrite> {
  try {
    return await prepare(deps, job);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return { kind: 'stuck', job, reason: describeError(error) };
  }
}

async function prepare(deps: RewriteDeps, job: SpoolJob): Promise<Rewrite> {
  const read = readMessage(deps, job.control);
  if (read.kind === 'gone') return { kind: 'gone', job };
  if (read.kind === 'refused') return { kind: 'stuck', job, reason: read.reason };
  const { contents, status, bytes: before } = read;
  if (contents.kind === 'payload') return { kind: 'gone', job };
  if (contents.kind === 'unreadable') return { kind: 'stuck', job, reason: contents.reason };
  if (contents.kind === 'unfinished') return { kind: 'stuck', job, reason: 'another program is writing it' };
  if (contents.job.msgid !== job.base.msgid) return { kind: 'gone', job };
  const changes = job.changes.length;
  if (!sameFile(status, job.status)) job.externallyModified = true;
  const current = currentJob(job.externallyModified ? spoolJob(job.control, contents, status, job) : job);
  const text = rewrittenText(current, deps.dialect, job.now, deps.spans, deps.longestList);
  if (text === null) return { kind: 'inexpressible' };
  const temporary = deps.temporaryName();
  const bytes = wrapControlText(text, contents.form, before);
  await writeAndSync(deps.disk, temporary, [bytes], status);
  return { kind: 'ready', job, temporary, replaces: status, changes };
}

function commitAll(deps: RewriteDeps, rewrites: readonly Rewrite[]) {
  const committed: ReadyRewrite[] = [];
  const changed: SpoolJob[] = [];
  const failures: string[] = [];
  for (const rewrite of rewrites) {
    switch (rewrite.kind) {
      case 'ready':
        if (commit(deps, rewrite)) committed.push(rewrite);
        else changed.push(rewrite.job);
        break;
      case 'gone':
        deps.index.known.forget(rewrite.job.control);
        break;
      case 'stuck':
        failures.push(failureText(rewrite.job, rewrite.reason));
        break;
      case 'inexpressible':
        break;
    }
  }
  return { committed, changed, failures };
}

/** False when the file changed meanwhile: the new text is thrown away and has to be made again. */
function commit({ disk, layout }: RewriteDeps, { job, temporary, replaces }: ReadyRewrite): boolean {
  const path = layout.message(job.control);
  const status = disk.status(path);
  if (status === null || !sameFile(status, replaces)) {
    disk.unlink(temporary);
    return false;
  }
  disk.rename(temporary, path);
  job.status = disk.status(path) ?? status;
  return true;
}

function failureText({ control }: SpoolJob, reason: string): string {
  return `The control message ${control} could not be rewritten: ${reason}. The outcomes for its recipients stay in the journal.`;
}
