/**
 * Group commit: many callers share one run of slow work, such as a sync. A call resolves when a run of `work` that began
 * after the call has ended; calls that arrive during a run share the next one. Its error goes to these callers only.
 */
export function groupCommit(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | null = null;

  function run(): Promise<void> {
    waiting = null;
    return work();
  }

  return () => {
    if (waiting === null) {
      waiting = last.then(run, run);
      last = waiting;
    }
    return waiting;
  };
}
