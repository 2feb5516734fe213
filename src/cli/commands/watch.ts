/**
 * `spoolroom watch`: keep running, and deliver jobs as they become due. The spool is scanned at regular intervals; a change
 * in the directory only makes the next scan come sooner. With `--intake` it also accepts mail from Citadel's smarthost line.
 */
import { watch } from 'node:fs';
import { startedEvent, stoppedEvent } from '../../output/log/process-events.ts';
import type { Clock } from '../../platform/clock.ts';
import { ConcurrentRunnerError } from '../../platform/system-errors.ts';
import { QueueRunner, unreadableSpool, unwritableSpool } from '../../runner/queue-runner.ts';
import { layoutOf } from '../../storage/layout.ts';
import { liveState } from '../setup/load-config.ts';
import { withQueue } from '../setup/with-queue.ts';
import { type CliError, cliError, type Invocation } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import type { WebDeps, WebView } from '../web/listener.ts';
import type { openListeners } from './intake.ts';

export const command = withQueue(
  'wait',
  async ({ spool, ports, rules, log, warn, metrics, signal, started }, invocation) => {
    const { settings, options, terminal } = invocation;
    const listeners =
      options.intake === true
        ? await listenersOn(settings, {
            ...{ spool, log, room: ports.queue, clock: ports.clock },
            hostname: rules.render.fqdn,
          })
        : null;
    if (listeners !== null && 'kind' in listeners) return listeners;
    const web = options.web === undefined ? null : await webOn({ spool, log, metrics }, invocation);
    if (web !== null && 'kind' in web) {
      await listeners?.close('an error of the web view');
      return web;
    }
    const watcher = watchForChanges([spool, layoutOf(spool).requests]);
    ports.queue.listen?.(() => watcher.wake());
    started();
    log.write(startedEvent(ports.queue.name, process.pid));
    const queue = new QueueRunner({ ...ports, mayClaim: () => watcher.wake() }, rules, signal);
    let warned = '';
    let rival: ConcurrentRunnerError | null = null;
    while (!signal.aborted) {
      const began = ports.clock.monotonic();
      try {
        if (queue.halted) await queue.resume();
        await queue.scan(false);
        metrics?.succeeded();
        warned = '';
      } catch (error) {
        if (error instanceof ConcurrentRunnerError) {
          rival = error;
          break;
        }
        // Logged once, not at every scan.
        const text = queue.halted ? unwritableSpool(error) : unreadableSpool(error);
        if (text !== warned) warn(text);
        warned = text;
      }
      // Our own changes wake us too: a scan that takes long must not follow directly on the one before.
      const pause = Math.min(settings.poll, PAUSE * (ports.clock.monotonic() - began));
      await watcher.wait(pause, settings.poll, ports.clock, signal);
    }
    const reason = rival === null ? String(signal.reason) : 'another program that delivers from the queue';
    await Promise.all([listeners?.close(reason), web?.close(), queue.close()]);
    if (settings.json) terminal.print(JSON.stringify(queue.count));
    watcher.close();
    log.write(stoppedEvent(reason));
    if (rival !== null) throw rival;
    return EXIT.ok;
  },
);

type OpenListeners = typeof openListeners;

/** The SMTP server is loaded only when it is needed. */
async function listenersOn(...args: Parameters<OpenListeners>): ReturnType<OpenListeners> {
  const [settings] = args;
  if (liveState(settings) !== null) {
    return cliError(
      'The queue inside a Citadel server takes no mail from outside, so --intake needs a spool. Leave out --intake or --state.',
      EXIT.usage,
    );
  }
  const intake = await import('./intake.ts');
  return intake.openListeners(...args);
}

/** The web view is loaded only when it is needed. */
async function webOn(
  deps: Pick<WebDeps, 'spool' | 'log' | 'metrics'>,
  { settings, options, commandText }: Invocation,
): Promise<WebView | CliError> {
  if (liveState(settings) !== null) {
    return cliError(
      'The queue inside a Citadel server is shown by that server, so --web needs a spool. Leave out --web or --state.',
      EXIT.usage,
    );
  }
  const { openWeb } = await import('../web/listener.ts');
  return openWeb(settings, { ...deps, commandText }, String(options.web));
}

/** After a scan, nothing starts the next one for this many times as long as it took. */
const PAUSE = 10;

interface ChangeWatcher {
  /** resolves at a change but not before `least` milliseconds, after `most`, or when stopped */
  wait(least: number, most: number, clock: Clock, signal: AbortSignal): Promise<void>;
  /** as if something had changed */
  wake(): void;
  close(): void;
}

/** Notices new messages and new requests. Where the system cannot watch directories, only time passes. */
function watchForChanges(directories: readonly string[]): ChangeWatcher {
  let changed = false;
  const remember = (): void => {
    changed = true;
  };
  let notify = remember;
  const onChange = (_: string, name: string | null): void => {
    if (name !== null && /^\d+$/.test(name)) notify();
  };
  const watchers = directories.map((directory) => watchDirectory(directory, onChange));
  return {
    wait: (least, most, clock, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          pause.cancel();
          end.cancel();
          signal.removeEventListener('abort', done);
          changed = false;
          notify = remember;
          resolve();
        };
        const pause = clock.after(least, () => {
          notify = done;
          if (changed) done();
        });
        const end = clock.after(most, done);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      }),
    wake: () => notify(),
    close: () => {
      for (const watcher of watchers) watcher?.close();
    },
  };
}

/** Null: it cannot be watched. */
function watchDirectory(
  directory: string,
  onChange: (event: string, name: string | null) => void,
): ReturnType<typeof watch> | null {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
