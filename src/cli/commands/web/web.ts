/**
 * `spoolroom web`: the queue in a browser, beside the process that delivers from it, or without one. `web password` makes a
 * password for it. Delivers nothing itself.
 */
import { warningEvent } from '../../../output/log/process-events.ts';
import { logFor } from '../../setup/event-log.ts';
import { spoolOf } from '../../setup/load-config.ts';
import { becomeOwner } from '../../setup/privileges.ts';
import { type Round, untilStopped } from '../../setup/reload.ts';
import { type CliError, type Command, cliError, type Invocation } from '../../shell/command.ts';
import { EXIT, type ExitCode } from '../../shell/exit.ts';
import { stopped } from '../../shell/signals.ts';
import { openWeb, webOptions } from '../../web/listener.ts';

export const command: Command = async (called) => {
  const { action } = called.options;
  if (action === 'password') return (await import('./password.ts')).setPassword(called);
  if (action !== undefined) {
    return cliError(
      'The action of `spoolroom web` is password; without one it shows the queue to browsers.',
      EXIT.usage,
    );
  }
  return untilStopped(called, {
    problemWith: async (settings) => {
      const spool = spoolOf(settings);
      const options = typeof spool === 'string' ? webOptions(settings) : spool;
      return options.kind === 'options' ? null : options;
    },
    perform,
  });
};

async function perform(
  { settings, terminal, commandText }: Invocation,
  { signal, logsTo, started }: Round,
): Promise<ExitCode | CliError> {
  const spool = spoolOf(settings);
  if (typeof spool !== 'string') return spool;
  const notOwner = becomeOwner(spool, settings);
  if (notOwner !== null) return notOwner;
  const log = logFor(settings);
  logsTo(log);
  try {
    const web = await openWeb(settings, { spool, log, commandText, metrics: null });
    if ('kind' in web) return web;
    started();
    terminal.print(
      settings.json ? JSON.stringify({ listening: web.address }) : `The web view is at ${web.address}`,
    );
    await stopped(signal);
    await web.close();
    return EXIT.ok;
  } catch (error) {
    log.write(warningEvent('The web view ended because of an error.'));
    throw error;
  } finally {
    await log.close();
  }
}
