/**
 * `spoolroom intake`: accept mail from Citadel's smarthost line and put it into the spool, beside the process that delivers
 * from it. `watch --intake` opens the same listeners on its own queue. Delivers nothing itself.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { queuedEntry } from '../../history/record.ts';
import type { LoginFailure } from '../../intake/connection.ts';
import type { IntakeDeps, IntakeOptions, IntakeStart } from '../../intake/listener.ts';
import { INTAKE_DEFAULTS, startIntake } from '../../intake/listener.ts';
import { LoginThrottle } from '../../intake/login-throttle.ts';
import type { QueuedMessage, RejectedMessage } from '../../intake/transaction-handler.ts';
import { metricsFor } from '../../metrics/wanted.ts';
import type { Log } from '../../output/log/log.ts';
import { queuedEvent, rejectedEvent } from '../../output/log/log-events.ts';
import { closedEvent, listeningEvent, warningEvent } from '../../output/log/process-events.ts';
import { textDecoder } from '../../output/text.ts';
import type { Clock } from '../../platform/clock.ts';
import { optimiseLater } from '../../platform/tune-v8.ts';
import { readPrivate } from '../../queue/citadel/client/login.ts';
import type { Settings } from '../../settings/table.ts';
import { layoutOf } from '../../storage/layout.ts';
import { syncTogether } from '../../storage/thread-pool.ts';
import { boundedLog } from '../listeners/bounded-log.ts';
import { certificateFrom } from '../listeners/certificate.ts';
import { logFor } from '../setup/event-log.ts';
import { historyFor } from '../setup/history.ts';
import { charsetFrom, clockFor, ownName, settingError, spoolDeps, spoolOf } from '../setup/load-config.ts';
import { becomeOwner } from '../setup/privileges.ts';
import { type Round, untilStopped } from '../setup/reload.ts';
import { openClient } from '../setup/room/open-client.ts';
import type { CliError, Command, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import type { ExitCode } from '../shell/exit.ts';
import { EXIT } from '../shell/exit.ts';
import { stopped } from '../shell/signals.ts';

export const command: Command = (called) =>
  untilStopped(called, {
    problemWith: async (settings) => {
      const spool = spoolOf(settings);
      const options = typeof spool === 'string' ? optionsFrom(settings, spool, '') : spool;
      return 'kind' in options ? options : null;
    },
    perform: async (invocation, round) => {
      syncTogether();
      optimiseLater();
      const spool = spoolOf(invocation.settings);
      if (typeof spool !== 'string') return spool;
      const notOwner = becomeOwner(spool, invocation.settings);
      if (notOwner !== null) return notOwner;
      const written = logFor(invocation.settings);
      round.logsTo(written);
      const wish = { parts: ['intake'], isShown: false } as const;
      const metrics = await metricsFor(spool, invocation.settings, wish, {
        clock: clockFor(invocation.settings),
        quarantined: () => 0,
        warn: (text) => written.write(warningEvent(text)),
      });
      metrics?.hold(null);
      metrics?.start();
      try {
        return await intake(spool, invocation, metrics?.counted(written) ?? written, round);
      } finally {
        metrics?.close();
        await written.close();
      }
    },
  });

async function intake(
  spool: string,
  { settings, terminal }: Invocation,
  log: Log,
  { signal, started }: Round,
): Promise<ExitCode | CliError> {
  const clock = clockFor(settings);
  const warn = (text: string): void => log.write(warningEvent(text));
  const hostname = await ownName(settings, warn);
  const opened = await openClient(spool, settings, spoolDeps(clock, warn));
  if (opened.kind === 'error') return opened;
  const listeners = await openListeners(settings, { spool, room: opened.client, clock, log, hostname });
  if ('kind' in listeners) return listeners;
  started();
  if (settings.json) terminal.print(JSON.stringify({ listening: listeners.addresses }));
  await stopped(signal);
  await listeners.close(String(signal.reason));
  return EXIT.ok;
}

export interface ListenerDeps {
  readonly spool: string;
  readonly room: IntakeDeps['queue'];
  readonly clock: Clock;
  readonly log: Log;
  /** by which it greets: the same as in EHLO */
  readonly hostname: string;
}

export interface Listeners {
  readonly addresses: readonly string[];
  /** Resolves when every acknowledged message is durable. `why`: the signal */
  close(why: string): Promise<void>;
}

/** Listens on every address of the settings, or on none. */
export async function openListeners(settings: Settings, deps: ListenerDeps): Promise<Listeners | CliError> {
  const options = optionsFrom(settings, deps.spool, deps.hostname);
  if ('kind' in options) return options;
  const charset = charsetFrom(settings);
  if ('kind' in charset) return charset;
  const readable = textDecoder(charset);
  const { spool, room, clock, log } = deps;
  const { logins, warnings } = boundedLog(log, clock, 'intake');
  const warn = (text: string): void => warnings.add(text);
  const history = await historyFor(spool, settings, { clock, readable, warn });
  const events = {
    queued: (mail: QueuedMessage) => {
      history?.write(queuedEntry(mail, readable));
      log.write(queuedEvent(mail, readable));
    },
    refused: (message: RejectedMessage) => log.write(rejectedEvent(message, readable)),
    loginFailed: (failure: LoginFailure) => logins.add(failure),
    warning: warn,
  };
  const throttle = new LoginThrottle(clock);
  const open: Extract<IntakeStart, { kind: 'listening' }>[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((listener) => listener.close()));
    await history?.close();
  };
  for (const listen of settings['intake.listen']) {
    const started = await startIntake({ ...options, listen }, { queue: room, clock, events, throttle });
    if (started.kind === 'refused') {
      await close();
      return started.why === 'address'
        ? settingError(settings, 'intake.listen', started.text)
        : cliError(started.text, EXIT.unavailable);
    }
    open.push(started);
    log.write(listeningEvent(started.address, spool));
  }
  return {
    addresses: open.map(({ address }) => address),
    async close(why) {
      await close();
      logins.flush();
      warnings.flush();
      log.write(closedEvent(why));
    },
  };
}

function optionsFrom(
  settings: Settings,
  spool: string,
  hostname: string,
): Omit<IntakeOptions, 'listen'> | CliError {
  const authenticate = usersFrom(settings['intake.users']);
  if (typeof authenticate === 'object' && authenticate !== null) return authenticate;
  const tls = certificateFrom(settings, 'intake.certificate');
  if (tls !== null && 'kind' in tls) return tls;
  if (authenticate !== null && tls === null) {
    return cliError(
      'setting intake.users: passwords are accepted only over TLS, so no client could log in. Set intake.certificate as well.',
      EXIT.config,
    );
  }
  return {
    ...INTAKE_DEFAULTS,
    protocol: settings['intake.protocol'],
    hostname,
    size: settings['intake.size'],
    connections: settings['intake.connections'],
    scratch: layoutOf(spool).temporary,
    authenticate,
    tls,
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function usersFrom(path: string | null): IntakeOptions['authenticate'] | CliError {
  if (path === null) return null;
  const wrong = (why: string): CliError =>
    cliError(`setting intake.users: ${path} cannot be used: ${why}.`, EXIT.config);
  const read = readPrivate(path);
  if ('why' in read) return wrong(read.why);
  const users = new Map<string, Buffer>();
  for (const [index, line] of read.text.split(/\r?\n/).entries()) {
    if (line === '') continue;
    const [, user, password] = /^([^:]+):(.+)$/.exec(line) ?? [];
    if (user === undefined || password === undefined) return wrong(`line ${index + 1} is not user:password`);
    if (users.has(user)) return wrong(`line ${index + 1} names a user who was named before`);
    users.set(user, digest(password));
  }
  if (users.size === 0) return wrong('it names no users');
  // Not the digest of any password; compared all the same, so that the time does not tell whether the user exists.
  const unknownUser = Buffer.alloc(32, ' ');
  return (user, password) => timingSafeEqual(users.get(user) ?? unknownUser, digest(password));
}
