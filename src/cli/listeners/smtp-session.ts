/**
 * `sendmail -bs`: one SMTP session over standard input and output, as some mail libraries hand in their messages. It is the
 * intake, on a socket that nobody else can open.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSpoolClient } from '../../queue/spool/open.ts';
import type { Settings } from '../../settings/table.ts';
import { openListeners } from '../commands/intake.ts';
import { logFor } from '../setup/event-log.ts';
import { clockFor, controlSettings, openError, ownName, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { becomeOwner } from '../setup/privileges.ts';
import { type CliError, type Invocation, warner } from '../shell/command.ts';
import { EXIT, type ExitCode } from '../shell/exit.ts';
import { standardStream } from '../shell/terminal.ts';

export async function speakSmtp({ settings: given, terminal }: Invocation): Promise<ExitCode | CliError> {
  const spool = spoolOf(given);
  if (typeof spool !== 'string') return spool;
  const notOwner = becomeOwner(spool, given);
  if (notOwner !== null) return notOwner;
  const folder = mkdtempSync(join(tmpdir(), 'spoolroom-'));
  const socket = join(folder, 'smtp');
  const isQuiet = given['log.target'] === 'stderr' && given['log.level'] === 'auto';
  const settings: Settings = {
    ...given,
    ...{ 'intake.protocol': 'smtp', 'intake.users': null, 'intake.certificate': null },
    'intake.listen': [socket],
    'log.level': isQuiet ? 'warn' : given['log.level'],
  };
  const log = logFor(settings);
  try {
    const clock = clockFor(settings);
    const warn = warner(terminal);
    const opened = await openSpoolClient(spool, spoolDeps(clock, warn), controlSettings(settings));
    if (opened.kind === 'refused') return openError(opened);
    const hostname = await ownName(settings, warn);
    const listeners = await openListeners(settings, { spool, room: opened.client, clock, log, hostname });
    if ('kind' in listeners) return listeners;
    const session = connect({ path: socket, allowHalfOpen: true });
    session.pipe(standardStream('stdout'), { end: false });
    terminal.input.pipe(session);
    await once(session, 'end');
    terminal.input.destroy();
    session.destroy();
    await listeners.close('the end of the session');
    return EXIT.ok;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await log.close();
  }
}
