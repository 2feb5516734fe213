/** Errors of the system (disk, network) by their code, and in words. The codes are those of Node's `fs` and `net`. */

/** The system's name for an error (`ENOSPC`); null for all others, Node's own `ERR_...` among them. */
export function errorCode(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** Another user might be permitted to do it. */
export function isPermissionDenied(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'EACCES' || code === 'EPERM';
}

/** The queue cannot do something; the message consists of full sentences for people. */
export class QueueError extends Error {}

/** Something we depend on is not available now; it may be in a minute. */
export class UnavailableError extends QueueError {}

/** Another program works on the same queue, or may do so; only an administrator can stop it. */
export class ConcurrentRunnerError extends QueueError {}

/** The directory of the queue is not the one that was opened; what is there now has to be opened anew. */
export class SpoolReplacedError extends ConcurrentRunnerError {}

/** Whether the disk or the server caused it; every other error is a bug. */
export function isOperationalError(error: unknown): boolean {
  return error instanceof QueueError || errorCode(error) !== null;
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the other side',
  EDQUOT: 'the disk quota is exceeded',
  EEXIST: 'it already exists',
  EILSEQ: 'it is not text in UTF-8',
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
