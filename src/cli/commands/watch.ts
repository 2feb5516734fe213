/**
 * `spoolroom watch`: stay, look into the spool, deliver what is due. Looking regularly is the truth; a change in the
 * directory only makes it look sooner. With `--intake` mail comes in from Citadel's smarthost line as well.
 */
import { watch } from 'node:fs';
import { startedEvent, stoppedEvent } from '../../output/log/log-events.ts';
import type { Clock } from '../../platform/clock.ts';
import { QueueRunner, unreadableSpool, unwritableSpool } from '../../runner/queue-runner.ts';
import { layoutOf } from '../../storage/layout.ts';
import { cliError } from '../setup/load-config.ts';
import { withQueue } from '../setup/with-queue.ts';
import { EXIT } from '../shell/exit.ts';
import type { openListeners } from './intake.ts';

export const command = withQueue(
  'wait',
  async ({ spool, ports, rules, log, warn, signal }, { settings, options, terminal }) => {
    const listeners =
      options.intake === true
        ? await listenersOn(settings, { spool, log, room: ports.queue, clock: ports.clock })
        : null;
    if (listeners !== null && 'kind' in listeners) return listeners;
    const bell = changeBell([spool, layoutOf(spool).requests]);
    log.write(startedEvent(ports.queue.name, process.pid));
    const queue = new QueueRunner(ports, rules, signal);
    let told = '';
    while (!signal.aborted) {
      const began = ports.clock.monotonic();
      try {
        if (queue.halted) await queue.resume();
        await queue.scan(false);
        told = '';
      } catch (error) {
        // Said once, not at every look.
        const text = queue.halted ? unwritableSpool(error) : unreadableSpool(error);
        if (text !== told) warn(text);
        told = text;
      }
      // What we remove and rewrite rings as well: a look that takes long must not follow on the one before.
      const pause = Math.min(settings.poll, PAUSE * (ports.clock.monotonic() - began));
      await bell.wait(pause, settings.poll, ports.clock, signal);
    }
    await Promise.all([listeners?.close(String(signal.reason)), queue.close()]);
    if (settings.json) terminal.print(JSON.stringify(queue.count));
    bell.close();
    log.write(stoppedEvent(String(signal.reason)));
    return EXIT.ok;
  },
);

type OpenListeners = typeof openListeners;

/** What SMTP servers need is loaded only where there is one. */
async function listenersOn(...words: Parameters<OpenListeners>): ReturnType<OpenListeners> {
  const [settings] = words;
  if (settings.state !== null) {
    return cliError(
      'The queue inside a Citadel server takes no mail from outside, so --intake needs a spool. Leave --intake or --state out.',
      EXIT.usage,
    );
  }
  const intake = await import('./intake.ts');
  return intake.openListeners(...words);
}

/** So many times as long as a look took, nothing makes it look again. */
const PAUSE = 10;

interface Bell {
  /** resolves at a change but not before `least` milliseconds, after `most`, or when stopped */
  wait(least: number, most: number, clock: Clock, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Rings when a message or a request for a job appears. Where the system cannot watch, only time passes. */
function changeBell(directories: readonly string[]): Bell {
  let rung = false;
  const remember = (): void => {
    rung = true;
  };
  let ring = remember;
  const heard = (_: string, name: string | null): void => {
    if (name !== null && /^\d+$/.test(name)) ring();
  };
  const watchers = directories.map((directory) => watchOrNothing(directory, heard));
  return {
    wait: (least, most, clock, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          pause.cancel();
          end.cancel();
          signal.removeEventListener('abort', done);
          rung = false;
          ring = remember;
          resolve();
        };
        const pause = clock.after(least, () => {
          ring = done;
          if (rung) done();
        });
        const end = clock.after(most, done);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      }),
    close: () => {
      for (const watcher of watchers) watcher?.close();
    },
  };
}

function watchOrNothing(
  directory: string,
  heard: (event: string, name: string | null) => void,
): ReturnType<typeof watch> | null {
  try {
    const watcher = watch(directory, { persistent: false }, heard);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
