/**
 * Tells of alerts when they begin and when they have ended: by a command, by a message, or both, one after the other. Each is
 * tried once: what fails is told in the log, and mail goes on meanwhile. Loaded when there is something to tell.
 */
import { spawn } from 'node:child_process';
import type { Clock } from '../platform/clock.ts';
import { inTurn } from '../platform/in-turn.ts';
import { describeError } from '../platform/system-errors.ts';
import type { AlertChange } from '../runner/alerts.ts';
import { alertText, headline } from './alert-message.ts';

export interface NotifierDeps {
  /** the program and its arguments; none: no command */
  readonly command: readonly string[];
  /** null: no message. Resolves to why it was not sent, a clause; null: it was */
  readonly mail: ((change: AlertChange) => Promise<string | null>) | null;
  /** for people: the path of the directory */
  readonly home: string;
  readonly clock: Clock;
  readonly environment: NodeJS.ProcessEnv;
  readonly warn: (text: string) => void;
}

/** Milliseconds for the command. */
export const COMMAND_TIME = 30_000;
/** Characters shown of what a failing command says. */
const LONGEST = 500;

/** What the command gets of our environment: nothing that may hold a password. */
const PASSED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TZ'] as const;

export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #inTurn = inTurn();
  #last: Promise<void> = Promise.resolve();

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  tell(change: AlertChange): void {
    this.#last = this.#inTurn(() => this.#tellNow(change));
  }

  /** Resolves when everything was told. */
  done(): Promise<void> {
    return this.#last;
  }

  async #tellNow(change: AlertChange): Promise<void> {
    const { command, mail, warn } = this.#deps;
    const about = `The alert "${headline(change)}"`;
    const [program, ...words] = command;
    // Some errors are thrown, others come as events.
    const problem =
      program === undefined ? null : await this.#run(program, words, change).catch(describeError);
    if (problem !== null)
      warn(`${about} could not be told by ${program}: ${problem}. Correct the setting alert.command.`);
    const why = (await mail?.(change).catch(describeError)) ?? null;
    if (why !== null) warn(`${about} could not be mailed: ${why}.`);
  }

  /** Resolves to why it failed, a clause; null: it did not. */
  #run(program: string, words: readonly string[], change: AlertChange): Promise<string | null> {
    const { clock } = this.#deps;
    return new Promise((resolve) => {
      const child = spawn(program, words, {
        stdio: ['pipe', 'ignore', 'pipe'],
        env: this.#environmentFor(change),
      });
      let said = '';
      let isLate = false;
      const timer = clock.after(COMMAND_TIME, () => {
        isLate = true;
        child.kill('SIGKILL');
        // A process that it left behind may hold the pipe.
        child.stderr.destroy();
      });
      const end = (problem: string | null): void => {
        timer.cancel();
        resolve(problem);
      };
      child.stderr.on('data', (bytes: Buffer) => {
        said = (said + bytes.toString('utf8')).slice(0, LONGEST);
      });
      // It need not read.
      child.stdin.on('error', () => {});
      child.on('error', (error) => end(describeError(error)));
      child.on('close', (code, signal) => {
        const ended = code === null ? `it was ended by ${signal}` : `it ended with status ${code}`;
        const why = isLate ? `it did not end within ${COMMAND_TIME / 1000} s` : ended;
        end(code === 0 && !isLate ? null : `${why}${said.trim() === '' ? '' : ` and said: ${said.trim()}`}`);
      });
      child.stdin.end(alertText(change, this.#now()));
    });
  }

  #environmentFor({ has, key, text, since }: AlertChange): NodeJS.ProcessEnv {
    const { environment, home } = this.#deps;
    return {
      ...Object.fromEntries(PASSED.map((name) => [name, environment[name]])),
      ALERT_EVENT: has === 'begun' ? 'begin' : 'end',
      ALERT_NAME: key,
      ALERT_TEXT: text,
      ALERT_SINCE: String(since),
      ALERT_SPOOL: home,
    };
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}
