/**
 * How `run` and `watch` tell senders what became of their mail: the return path that the setting names or that is
 * found here, and a reporter that uses it and logs what it does.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ReportEvents } from '../../dsn/reporter.ts';
import { Reporter } from '../../dsn/reporter.ts';
import type { ReturnPath } from '../../dsn/transport.ts';
import { parseReturnPath, roomTransport, sessionTransport } from '../../dsn/transport.ts';
import type { Log } from '../../output/log/log.ts';
import { reportLine, warningLine, withheldLine } from '../../output/log/log-events.ts';
import { forPeople, harmless } from '../../output/text.ts';
import type { RunPorts } from '../../runner/queue-runner.ts';
import type { RunRules } from '../../runner/rules.ts';
import type { Settings } from '../../settings/table.ts';
import type { Trouble } from './load-config.ts';
import { directoryDeps, wrongSetting } from './load-config.ts';
import { reportsOf } from './open-queue.ts';

/** Where Citadel puts its sockets: Easy Install, Debian. */
const CITADEL_FOLDERS = ['/usr/local/citadel', '/run/citadel', '/var/run/citadel'];

export function returnPathOf(settings: Settings, spool: string): ReturnPath | Trouble {
  const path = wayBack(settings, spool);
  if (settings.state === null || path.kind !== 'room') return path;
  return wrongSetting(
    settings,
    'return',
    'setting return: the queue inside a Citadel server takes no reports from outside. Name its lmtp:/path/lmtp.socket, or smtp://host:port.',
  );
}

function wayBack(settings: Settings, spool: string): ReturnPath | Trouble {
  const { return: given, citadel } = settings;
  if (given === null) {
    const beside = [spool, ...(citadel?.startsWith('/') === true ? [citadel] : [])].map((path) =>
      dirname(path),
    );
    const sockets = [...beside, ...CITADEL_FOLDERS].map((folder) => `${folder}/lmtp.socket`);
    const socket = sockets.find((path) => statSync(path, { throwIfNoEntry: false })?.isSocket() === true);
    return socket === undefined ? { kind: 'room' } : { kind: 'lmtp', socket };
  }
  return (
    parseReturnPath(given) ??
    wrongSetting(
      settings,
      'return',
      `setting return: ${harmless(given)} is none of lmtp:/path/lmtp.socket, smtp://host:port and room.`,
    )
  );
}

export function reporterFor(
  path: ReturnPath,
  { spool, rules, log }: { readonly spool: string; readonly rules: RunRules; readonly log: Log },
  settings: Settings,
  ports: RunPorts,
): Reporter {
  const { room, clock, random } = ports;
  const warn = (text: string): void => log.write(warningLine(text));
  const reports = reportsOf(spool, settings, directoryDeps(clock, warn));
  const { fqdn } = rules.render;
  const transport =
    path.kind === 'room'
      ? roomTransport(room, reports, () => Math.floor(clock.now() / 1000))
      : sessionTransport(path, ports, rules.dispatch.deadlines, fqdn);
  return new Reporter(
    { room, reports, transport, clock, random, events: newsOfReports(log, rules) },
    {
      site: { fqdn, aide: settings.aide ?? `room_aide@${fqdn}` },
      author: rules.postmaster,
      schedule: rules.due.schedule,
      render: rules.render,
    },
  );
}

function newsOfReports(log: Log, { render }: RunRules): ReportEvents {
  const readable = forPeople(render.legacy);
  return {
    sent: (record) => log.write(reportLine(record, readable)),
    withheld: (control, recipients, reason) => log.write(withheldLine(control, recipients, reason, readable)),
    waiting: (text) => log.write(warningLine(text)),
  };
}
