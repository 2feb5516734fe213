/** `spoolroom run`: one queue run, then exit. On a terminal it prints a summary; under cron it does not. */
import { summaryEvent } from '../../output/log/process-events.ts';
import { runProgress, showProgress } from '../../output/progress.ts';
import { plural } from '../../output/text.ts';
import { formatTime } from '../../platform/clock.ts';
import { groupByPayload, isQueuedDue } from '../../queue/due.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { runQueue } from '../../runner/queue-runner.ts';
import type { RunCount } from '../../runner/run-count.ts';
import { foundNothing } from '../setup/looked-at.ts';
import { withQueue } from '../setup/with-queue.ts';
import { EXIT } from '../shell/exit.ts';

export const command = withQueue(
  'exit',
  async ({ spool, ports, rules, log, metrics, signal }, { settings, options, terminal }) => {
    const { queue } = ports;
    const isShared = queue.retryAll !== undefined;
    if (options.force === true)
      await queue.retryAll?.({ by: 'run --force', at: Math.floor(ports.clock.now() / 1000) });
    const due = { ...rules.due, force: options.force === true && !isShared };
    const quiet = options.quiet === true || settings.json || settings['log.format'] === 'json';
    const { status } = terminal;
    let ended = (): void => {};
    const observe = (count: RunCount): void => {
      if (status !== null && !quiet) ended = showProgress(status, ports.clock, () => runProgress(count));
    };
    const summary = await runQueue({ ...ports, observe }, { ...rules, due }, signal).finally(() => ended());
    metrics?.runEnded(summary.milliseconds);
    // What it found may have been delivered since.
    if (summary.due > 0 && settings.postgres === null)
      await metrics?.lookAgain(() => ports.queue.scan(new Set(), due.schedule));
    const verbose = terminal.interactive && !settings.json && options.quiet !== true;
    if (settings.json) terminal.print(JSON.stringify(summary));
    if (summary.due > 0) log.write(summaryEvent(summary, verbose ? 'info' : 'debug'));
    else if (verbose)
      terminal.printError(await nothingDue(ports.queue, rules.due.schedule, ports.clock.now()));
    if (signal.aborted) return EXIT.tempFail;
    if (summary.jobs === 0) foundNothing(spool, settings);
    return EXIT.ok;
  },
);

async function nothingDue(queue: Queue, schedule: Schedule, now: number): Promise<string> {
  const { jobs, waiting } = await queue.scan(new Set(), schedule);
  const count = jobs.length + (waiting?.payloads.length ?? 0);
  // There are none, or none is handed out: in its probe period a live room keeps them, which it has logged.
  if (count === 0) return 'There is nothing to deliver now.';
  const options = { schedule, force: false };
  const times = [...groupByPayload(jobs).values()].flatMap((lists) =>
    lists.flatMap((queued) => isQueuedDue(queued, lists, Math.floor(now / 1000), options).at ?? []),
  );
  const [first] = [...times, ...(waiting?.earliest == null ? [] : [waiting.earliest])].sort((a, b) => a - b);
  const next = first === undefined ? '' : `; the next attempt is at ${formatTime(first)}`;
  return `No job is due: ${plural(count, 'job')} waiting${next}.`;
}
