/** The log lines about the process itself: its runs, its start and end, its listeners, and who logs in there. Pure. */
import type { SilentHosts } from '../../delivery/rules.ts';
import type { LoginFailure } from '../../intake/connection.ts';
import type { RunSummary } from '../../runner/run-count.ts';
import { duration, escapeControl, plural } from '../text.ts';
import type { LogEvent } from './log-events.ts';

/** Characters shown of a user that failed to log in. */
const LONGEST_USER = 100;

const loginFrom = (address: string): string => (address === '' ? 'the unix socket' : address);

/** The end of a queue run in which jobs were due; `info` for a run at a terminal. */
export function summaryEvent(
  { milliseconds, silent, waited, ...counts }: RunSummary,
  level: 'info' | 'debug' = 'debug',
): LogEvent {
  const { jobs, due, delivered, deferred, failed, finished } = counts;
  const held =
    silent === 0
      ? ''
      : `; ${plural(silent, 'session')} with silent hosts closed, others had waited up to ${duration(waited)} for one`;
  return {
    level,
    event: 'run',
    message:
      `queue run: ${due} of ${plural(jobs, 'job')} due, ${plural(delivered, 'recipient')} delivered, ${deferred} deferred, ` +
      `${failed} refused, ${plural(finished, 'message')} finished, ${duration(milliseconds)}${held}`,
    fields: { ...counts, silent, waited, milliseconds: Math.round(milliseconds) },
  };
}

/** Hosts that accept connections and say nothing held up the mail of others. */
export function silentEvent({ cut, slow, sessions, silence, waiting, waited }: SilentHosts): LogEvent {
  const span = duration(silence);
  const closed = `${cut} of ${plural(sessions, 'session')} were closed: their hosts did not answer within ${span}`;
  const waits = `${slow} of ${plural(sessions, 'session')} wait for more than ${span} for the answer to a whole message`;
  const message =
    `${[...(cut > 0 ? [closed] : []), ...(slow > 0 ? [waits] : [])].join(', and ')}, and ` +
    `messages for ${plural(waiting, 'other destination')} were waiting, the first for ${duration(waited)}.` +
    (cut > 0 ? ' Their messages go to the next host, or are tried again later.' : '') +
    (slow > 0 ? ' A message that may have been taken is waited for: timeout.dot says how long.' : '');
  const fields = { cut, slow, sessions, silence, waiting, waited: Math.round(waited) };
  return { level: 'warn', event: 'silent', message, recurs: 'silent hosts', fields };
}

export function warningEvent(text: string): LogEvent {
  return { level: 'warn', event: 'warning', message: text, recurs: text, fields: {} };
}

/** A problem of which the caller knows that it was not told before. */
export function alertEvent(text: string): LogEvent {
  return { level: 'warn', event: 'warning', message: text, fields: {} };
}

/** Another process holds the queue. */
export function busyEvent(text: string, runner: number | null): LogEvent {
  return { level: 'info', event: 'busy', message: text, fields: { runner } };
}

/** `watch` waits until another process has ended. */
export function waitingEvent(spool: string, runner: number | null): LogEvent {
  const who = runner === null ? 'another process' : `process ${runner}`;
  const message = `waiting: ${who} holds ${spool}; this one starts when that has ended`;
  return { level: 'info', event: 'waiting', message, fields: { spool, runner } };
}

/** A signal to stop, and what still has to finish. */
export function stoppingEvent(signal: string, milliseconds: number): LogEvent {
  return {
    level: 'info',
    event: 'stopping',
    message: `stopping (${signal}): no new deliveries are started, those in progress have ${duration(milliseconds)} to finish; a second signal stops at once`,
    fields: { signal, milliseconds },
  };
}

export function startedEvent(spool: string, pid: number): LogEvent {
  return { level: 'info', event: 'started', message: `watching ${spool}`, fields: { spool, pid } };
}

/** SIGHUP: the log was opened anew, and the settings were read again. */
export function reloadedEvent(changed: boolean): LogEvent {
  const settings = changed
    ? 'the settings have changed, and the work begins anew with them'
    : 'the settings are the same';
  return {
    level: 'info',
    event: 'reloaded',
    message: `reloaded: the log was opened anew; ${settings}`,
    fields: { changed },
  };
}

export function stoppedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'stopped',
    message: `stopped by ${signal}; every outcome is recorded`,
    fields: { signal },
  };
}

/** The intake accepts mail on this address. */
export function listeningEvent(address: string, spool: string): LogEvent {
  return {
    level: 'info',
    event: 'listening',
    message: `listening on ${address} for ${spool}`,
    fields: { address, spool },
  };
}

/** The web view answers. `address`: as browsers write it. */
export function webListeningEvent(address: string, spool: string): LogEvent {
  return {
    level: 'info',
    event: 'web-listening',
    message: `web view of ${spool} on ${address}`,
    fields: { address, spool },
  };
}

/** Somebody came into the web view. */
export function webLoginEvent(user: string, address: string): LogEvent {
  const name = escapeControl(user);
  return {
    level: 'info',
    event: 'web-login',
    message: `user ${name} logged in to the web view from ${loginFrom(address)}`,
    fields: { user: name, address },
  };
}

/** Somebody gave a wrong password to the intake. What a stranger wrote comes behind the address. */
export function loginFailedEvent({ user, address, failures, heard }: LoginFailure): LogEvent {
  const from = loginFrom(address);
  const name = escapeControl(user.slice(0, LONGEST_USER));
  const why = heard ? 'wrong user or password' : 'too many failures, the password was not checked';
  return {
    level: 'warn',
    event: 'login-failed',
    message: `login failed from ${from}: ${why} (${plural(failures, 'failure')}), user ${JSON.stringify(name)}`,
    fields: { address, user: name, failures, heard },
  };
}

/** More of these than are logged one by one. Null: from addresses that are not logged one by one. */
export function loginsFailedEvent(address: string | null, count: number): LogEvent {
  const message =
    address === null
      ? `logins failed from many other addresses: ${plural(count, 'failure')} within a minute`
      : `login failed from ${loginFrom(address)}: ${plural(count, 'more failure')} within a minute`;
  return { level: 'warn', event: 'logins-failed', message, fields: { address, count } };
}

export function closedEvent(signal: string): LogEvent {
  return {
    level: 'info',
    event: 'closed',
    message: `intake closed by ${signal}; every message it acknowledged is in the spool`,
    fields: { signal },
  };
}
