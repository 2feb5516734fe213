/**
 * How delivery reports get to the senders: the transport that the setting `return` names or that is found on this machine,
 * and a sender of reports that uses it and logs what it does.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { composeDsn } from '../../dsn/compose.ts';
import type { DsnEvents } from '../../dsn/sender.ts';
import { DsnSender } from '../../dsn/sender.ts';
import type { DsnTransportSetting } from '../../dsn/transport.ts';
import { parseDsnTransport, sessionTransport } from '../../dsn/transport.ts';
import type { Log } from '../../output/log/log.ts';
import { dsnEvent, suppressedEvent, warningEvent } from '../../output/log/log-events.ts';
import { escapeControl, textDecoder } from '../../output/text.ts';
import type { RunDeps } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError } from '../shell/command.ts';
import { settingError, spoolDeps } from './load-config.ts';
import { dsnStoreOf } from './open-queue.ts';

/** Where Citadel has its sockets: Easy Install, Debian. */
const CITADEL_FOLDERS = ['/usr/local/citadel', '/run/citadel', '/var/run/citadel'];

export function dsnTransportOf(settings: Settings, spool: string): DsnTransportSetting | CliError {
  const path = returnPath(settings, spool);
  if (settings.state === null || path.kind !== 'room') return path;
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
  return (
    parseDsnTransport(given) ??
    settingError(
      settings,
      'return',
      `setting return: ${escapeControl(given)} is not lmtp:/path/lmtp.socket, smtp://host:port or room.`,
    )
  );
}

export function createDsnSender(
  path: DsnTransportSetting,
  { spool, rules, log }: { readonly spool: string; readonly rules: RunRules; readonly log: Log },
  settings: Settings,
  ports: RunDeps,
): DsnSender {
  const { queue, clock, random } = ports;
  const warn = (text: string): void => log.write(warningEvent(text));
  const reports = dsnStoreOf(spool, settings, spoolDeps(clock, warn));
  const { fqdn } = rules.render;
  const transport =
    path.kind === 'room' ? null : sessionTransport(path, ports, rules.delivery.deadlines, rules.ehloName);
  return new DsnSender(
    {
      queue,
      store: reports,
      transport,
      compose: composeDsn,
      clock,
      random,
      events: dsnEvents(log, rules),
    },
    {
      site: { fqdn, aide: settings.aide ?? `room_aide@${fqdn}` },
      author: rules.postmaster,
      schedule: rules.due.schedule,
      render: rules.render,
      signer: rules.signer,
    },
  );
}

function dsnEvents(log: Log, { render }: RunRules): DsnEvents {
  const readable = textDecoder(render.legacy);
  return {
    sent: (record) => log.write(dsnEvent(record, readable)),
    suppressed: (control, recipients, reason) =>
      log.write(suppressedEvent(control, recipients, reason, readable)),
    waiting: (text) => log.write(warningEvent(text)),
  };
}
