/** Node's pool of threads, on which syncs wait for the disk. */

/**
 * Syncs that wait for the disk at the same time share what it does for one of them, so that twenty files take little longer than
 * one; Node's four threads would let four wait. Has an effect before the first of them is used, and where the administrator has
 * set no number.
 */
export function syncTogether(): void {
  process.env.UV_THREADPOOL_SIZE ??= '16';
}
