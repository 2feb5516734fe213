/**
 * Group commit: many callers, one piece of work at a time. Called wherever callers wait for the same slow thing, such
 * as a sync of the journal or of a directory. A call resolves when a run of `work` that began after the call is done;
 * calls that arrive during a run share the next one. Its error goes to those callers and to nobody else.
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
