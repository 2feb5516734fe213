/** Where reports to senders go: where the setting `return` says, or to a Citadel server on this machine. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DsnTransportSetting, parseDsnTransport } from '../../../dsn/return-path.ts';
import { escapeControl } from '../../../output/text.ts';
import { redactReturn } from '../../../settings/redact.ts';
import type { Settings } from '../../../settings/table.ts';
import type { CliError } from '../../shell/command.ts';
import { isIntake } from '../intake-address.ts';
import { liveState, settingError } from '../load-config.ts';

/** Where Citadel has its sockets: Easy Install, Debian. */
const CITADEL_FOLDERS = ['/usr/local/citadel', '/run/citadel', '/var/run/citadel'];

export function dsnTransportOf(settings: Settings, spool: string): DsnTransportSetting | CliError {
  const path = returnPath(settings, spool);
  if (liveState(settings) === null || path.kind !== 'room') return path;
  return settingError(
    settings,
    'return',
    'setting return: the queue inside a Citadel server takes no reports. Use the server’s lmtp:/path/lmtp.socket, or smtp://host:port.',
  );
}

function returnPath(settings: Settings, spool: string): DsnTransportSetting | CliError {
  const { return: given, citadel } = settings;
  if (given === null) {
    const near = [spool, ...(citadel?.startsWith('/') === true ? [citadel] : [])].map((path) =>
      dirname(path),
    );
    const sockets = [...near, ...CITADEL_FOLDERS].map((folder) => `${folder}/lmtp.socket`);
    const socket = sockets.find((path) => statSync(path, { throwIfNoEntry: false })?.isSocket() === true);
    return socket === undefined ? { kind: 'room' } : { kind: 'lmtp', socket };
  }
  const wrong = (why: string): CliError =>
    settingError(settings, 'return', `setting return: ${escapeControl(redactReturn(given))} ${why}`);
  const path = parseDsnTransport(given);
  if (path === null) return wrong('is not lmtp:/path/lmtp.socket, smtp://host:port or room.');
  return isOwnIntake(path, settings)
    ? wrong(
        'is our own intake (intake.listen): reports would come back into our queue. Name the server of the senders.',
      )
    : path;
}

function isOwnIntake(path: DsnTransportSetting, settings: Settings): boolean {
  if (path.kind === 'smtp') return isIntake(path, settings);
  return path.kind === 'lmtp' && settings['intake.listen'].includes(path.socket);
}
