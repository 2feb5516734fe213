/**
 * Words for what a disk refuses. Called by the files of this folder wherever an error of the disk is told to people or
 * decides what happens next. Knows the codes of Node's `fs`, which the simulated disk uses too.
 */

/** The system's name for an error of the disk (`ENOSPC`); null for errors that are none, Node's own `ERR_...` among them. */
export function errorCode(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** Another user might be allowed to. */
export function isPermissionDenied(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'EACCES' || code === 'EPERM';
}

/** The disk refused something, and the message is a full sentence for people. */
export class QueueError extends Error {}

/** What we depend on does not answer now; it may in a minute. */
export class UnavailableError extends QueueError {}

/** Another program works on the same queue; only a person can end that. */
export class ConcurrentRunnerError extends QueueError {}

/** Whether the disk or the server is in the way, for now or for good; every other error is a bug. */
export function isOperationalError(error: unknown): boolean {
  return error instanceof QueueError || errorCode(error) !== null;
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the other side has cut the connection',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'it is there already',
  EIO: 'the disk reports an input/output error',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a symbolic link',
  EMFILE: 'this process has too many open files',
  ENFILE: 'the system has too many open files',
  ENOENT: 'it does not exist',
  ENOSPC: 'no space is left on the disk',
  ENOTDIR: 'part of its path is not a directory',
  EPERM: 'the operation is not permitted',
  EROFS: 'the file system is read-only',
};

/** A phrase for people, with the system's code: `no space is left on the disk (ENOSPC)`. */
export function describeError(error: unknown): string {
  const code = errorCode(error);
  if (code !== null && WORDS[code] !== undefined) return `${WORDS[code]} (${code})`;
  return error instanceof Error ? error.message : String(error);
}
