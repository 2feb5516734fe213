/** The web view of a spool: settings checked, users read, server started. `web` has it alone, `watch --web` beside its own work. */
import { statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { EVENTS } from '../../history/search.ts';
import { parseListenAddress } from '../../intake/listen-address.ts';
import { LoginThrottle } from '../../intake/login-throttle.ts';
import type { RunningMetrics } from '../../metrics/running.ts';
import type { Log } from '../../output/log/log.ts';
import { webListeningEvent, webLoginEvent } from '../../output/log/process-events.ts';
import { machineName } from '../../platform/machine-name.ts';
import { ownAddresses } from '../../platform/own-addresses.ts';
import { readPrivate } from '../../queue/citadel/client/login.ts';
import type { CommandText } from '../../settings/shell-words.ts';
import type { Settings } from '../../settings/table.ts';
import { answer, isOpenPost } from '../../web/app.ts';
import { BOUNDS } from '../../web/bounds.ts';
import { Logins } from '../../web/login.ts';
import { type Users, usersIn } from '../../web/password.ts';
import { startServer } from '../../web/server.ts';
import { Sessions } from '../../web/sessions.ts';
import { boundedLog } from '../listeners/bounded-log.ts';
import { certificateFrom } from '../listeners/certificate.ts';
import { clockFor, settingError } from '../setup/load-config.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { webModel } from './model.ts';
import { openSources } from './sources.ts';

export interface WebDeps {
  readonly spool: string;
  readonly log: Log;
  readonly commandText: CommandText;
  /** of this process, where it delivers; else null */
  readonly metrics: RunningMetrics | null;
}

export interface WebView {
  readonly address: string;
  close(): Promise<void>;
}

/** What the settings say, checked; nothing is opened. `listen`: instead of the setting. */
export function webOptions(settings: Settings, listen = settings['web.listen']) {
  const address = parseListenAddress(listen.replace(/^unix:(?=\/)/, ''), 'The web view');
  if (address.kind === 'unusable') return settingError(settings, 'web.listen', address.text);
  const tls = certificateFrom(settings, 'web.certificate');
  if (tls !== null && 'kind' in tls) return tls;
  const origin = settings['web.origin'];
  if (address.kind === 'tcp' && !address.loopback && tls === null && origin === null) {
    return settingError(
      settings,
      'web.listen',
      `The web view does not listen on ${address.host} without TLS, because passwords could be read on the way. ` +
        'Use a loopback address or unix:/path, set web.certificate, or set web.origin where a proxy with TLS is in front.',
    );
  }
  const file = settings['web.users'];
  if (file === null) {
    return cliError(
      'The web view has no users. Name a file with --web.users FILE, and make it with `spoolroom web password USER --web.users FILE`.',
      EXIT.config,
    );
  }
  const users = usersOf(file);
  if (typeof users === 'string')
    return cliError(`setting web.users: ${file} cannot be used: ${users}.`, EXIT.config);
  return { kind: 'options', address, tls, origin, file } as const;
}

/** A clause when they cannot be read. */
function usersOf(file: string): Users | string {
  const read = readPrivate(file);
  return 'why' in read ? read.why : usersIn(read.text);
}

/** Reads the file again when it has changed. */
function usersFrom(file: string): () => Users | string {
  let known: { readonly stamp: string; readonly users: Users | string } = { stamp: '', users: new Map() };
  return () => {
    const status = statSync(file, { throwIfNoEntry: false });
    const stamp =
      status === undefined ? '-' : `${status.ino} ${status.size} ${status.mtimeMs} ${status.ctimeMs}`;
    if (stamp !== known.stamp) known = { stamp, users: usersOf(file) };
    return known.users;
  };
}

export async function openWeb(
  settings: Settings,
  deps: WebDeps,
  listen?: string,
): Promise<WebView | CliError> {
  const options = webOptions(settings, listen);
  if (options.kind !== 'options') return options;
  const { address, tls, origin, file } = options;
  const { spool, log, commandText, metrics } = deps;
  const clock = clockFor(settings);
  const bounded = boundedLog(log, clock, 'web view');
  const warn = (text: string): void => bounded.warnings.add(text);
  const sources = await openSources(spool, settings, { commandText, metrics, warn });
  if ('kind' in sources) return sources;
  const model = webModel(sources);
  const sessions = new Sessions(clock, {
    ...{ life: settings['web.session'], idle: BOUNDS.idle, most: BOUNDS.sessions },
  });
  const logins = new Logins({
    ...{ clock, sessions, throttle: new LoginThrottle(clock), users: usersFrom(file) },
    secure: tls !== null || origin !== null,
    failed: (user, from, failures, heard) => bounded.logins.add({ user, address: from, failures, heard }),
    succeeded: (user, from) => log.write(webLoginEvent(user, from)),
    warn: (why) => warn(`setting web.users: ${file} cannot be used: ${why}. Nobody can log in.`),
  });
  const app = { model, logins, events: EVENTS, metrics: settings['web.metrics'] };
  const server = await startServer(address, {
    origin: { origin, tls: tls !== null, hosts: ownHosts(settings) },
    ...{ tls, warn, isOpen: isOpenPost },
    sessionOf: (message) => logins.sessionOf(message),
    answer: (request) => answer(request, app),
  });
  if ('kind' in server) {
    sources.jobs.close();
    return cliError(
      `The web view cannot listen on ${listen ?? settings['web.listen']}: ${server.why}.`,
      EXIT.unavailable,
    );
  }
  const scheme = tls === null ? 'http' : 'https';
  const shown = address.kind === 'unix' ? `unix:${server.address}` : `${scheme}://${server.address}/`;
  log.write(webListeningEvent(shown, spool));
  return {
    address: shown,
    async close() {
      await server.close();
      sources.jobs.close();
      await sources.history?.close();
      await sources.past.close();
      bounded.logins.flush();
      bounded.warnings.flush();
    },
  };
}

/** Names that nobody else can lead here. */
function ownHosts(settings: Settings): readonly string[] {
  const addresses = ownAddresses().addresses.map((each) => (isIPv6(each) ? `[${each}]` : each));
  return [settings.hostname ?? machineName(), machineName(), ...addresses].map((name) => name.toLowerCase());
}
