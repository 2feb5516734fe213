/**
 * A command as a process of its own, its log lines read as JSON. It is killed at the end of the test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { PROGRAM } from './program.ts';

export interface LogLine {
  readonly event?: unknown;
  readonly [field: string]: unknown;
}

export class RunningCommand {
  readonly child: ChildProcess;
  /** lines of its standard error that are not JSON */
  readonly unparsed: string[] = [];
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<readonly unknown[]>;

  constructor(t: TestContext, ...words: readonly string[]) {
    const log = ['--log.level', 'info', '--log.format', 'json'];
    this.child = spawn(process.execPath, [...PROGRAM, ...words, ...log], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    if (this.child.stderr === null) throw new Error('its standard error is not piped');
    this.#exit = once(this.child, 'exit');
    this.#lines = createInterface({ input: this.child.stderr })[Symbol.asyncIterator]();
  }

  /** The next line of its log; null when it has ended. */
  async line(): Promise<LogLine | null> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) return null;
      if (value.startsWith('{')) return JSON.parse(value);
      this.unparsed.push(value);
    }
  }

  /** The next line of this event. */
  async says(event: string): Promise<LogLine> {
    for (let line = await this.line(); line !== null; line = await this.line()) {
      if (line.event === event) return line;
    }
    throw new Error(`it ended without logging "${event}": ${this.unparsed.join('\n')}`);
  }

  /** Its exit code, after the rest of its output was read; null when a signal ended it. */
  async ended(): Promise<unknown> {
    while ((await this.line()) !== null);
    return (await this.#exit)[0];
  }

  async stop(signal: NodeJS.Signals): Promise<unknown> {
    this.child.kill(signal);
    return this.ended();
  }
}
