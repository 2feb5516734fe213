/** `spoolroom run`: one queue run, then exit. Who watches it at a terminal hears how it went, cron does not. */

import { summaryEvent } from '../../output/log/log-events.ts';
import { formatTime, plural } from '../../output/text.ts';
import { groupByPayload, isQueuedDue } from '../../queue/due.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Schedule } from '../../queue/schedule.ts';
import { runQueue } from '../../runner/queue-runner.ts';
import { withQueue } from '../setup/with-queue.ts';
import { EXIT } from '../shell/exit.ts';

export const command = withQueue(
  'leave',
  async ({ ports, rules, log, signal }, { settings, options, terminal }) => {
    const due = { ...rules.due, force: options.force === true };
    const summary = await runQueue(ports, { ...rules, due }, signal);
    const watched = terminal.interactive && !settings.json;
    if (settings.json) terminal.print(JSON.stringify(summary));
    if (summary.due > 0) log.write(summaryEvent(summary, watched ? 'info' : 'debug'));
    else if (watched) terminal.tell(await nothingDue(ports.queue, rules.due.schedule, ports.clock.now()));
    return signal.aborted ? EXIT.tempFail : EXIT.ok;
  },
);

async function nothingDue(room: Queue, schedule: Schedule, now: number): Promise<string> {
  const { jobs } = await room.scan();
  // None is there, or none is given out: a live room in its trial keeps them, and has said so.
  if (jobs.length === 0) return 'There is nothing to deliver now.';
  const options = { schedule, force: false };
  const times = [...groupByPayload(jobs).values()].flatMap((lists) =>
    lists.flatMap((queued) => isQueuedDue(queued, lists, Math.floor(now / 1000), options).at ?? []),
  );
  const [first] = times.sort((a, b) => a - b);
  const next = first === undefined ? 'none at a time of its own' : `the next one at ${formatTime(first)}`;
  return `Nothing is due: ${plural(jobs.length, 'job')} wait${jobs.length === 1 ? 's' : ''}, ${next}.`;
}
