/** `spoolroom run`: one queue run, then exit. */
import { queueRun } from '../delivery/queue-run.ts';
import { summaryLine } from '../report/lines.ts';
import { EXIT } from './exit.ts';
import { stationed } from './station.ts';

export const command = stationed(async ({ ports, rules, log, signal }, { settings, options, terminal }) => {
  const due = { ...rules.due, force: options.force === true };
  const summary = await queueRun(ports, { ...rules, due }, signal);
  if (settings.json) terminal.print(JSON.stringify(summary));
  if (summary.due > 0) log.write(summaryLine(summary));
  return signal.aborted ? EXIT.tempFail : EXIT.ok;
});
