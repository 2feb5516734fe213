/** One machine: `spoolroom watch --intake` on the shared queue, started again whenever it has ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Link } from './proxy.ts';

const CLOCK_STEP = fileURLToPath(new URL('clock-step.cjs', import.meta.url));

export interface WorkerOptions {
  readonly name: string;
  /** words of the program, at each start */
  readonly program: () => readonly string[];
  readonly room: string;
  /** to each server, as `room` names them */
  readonly links: readonly Link[];
  readonly state: string;
  readonly relay: number;
  /** milliseconds */
  readonly lease: number;
  /** gets the lines of its log */
  readonly log: (line: string) => void;
}

export class ClusterWorker {
  readonly name: string;
  readonly #options: WorkerOptions;
  #child: ChildProcess | null = null;
  #isOver = false;
  /** of the processes that it was */
  readonly pids = new Set<number>();
  /** of its intake; null: it does not listen now */
  port: number | null = null;

  constructor(options: WorkerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#start();
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** The database cannot be reached from here. */
  cut(): void {
    for (const link of this.#options.links) link.cut();
  }

  mend(how: 'resume' | 'reset'): void {
    for (const link of this.#options.links) link.mend(how);
  }

  /** Milliseconds from the true time, until the process ends. */
  setClock(milliseconds: number): void {
    if (this.#child?.connected === true) this.#child.send(milliseconds, () => {});
  }

  /** Ends as an administrator ends it. */
  stop(): Promise<void> {
    this.#isOver = true;
    const child = this.#child;
    if (child === null) return Promise.resolve();
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill('SIGTERM');
    return ended;
  }

  kill(): void {
    this.#isOver = true;
    this.#child?.kill('SIGKILL');
    for (const link of this.#options.links) link.close();
  }

  #start(): void {
    const { name, program, room, state, relay, lease, log } = this.#options;
    const words = ['watch', '--intake', '--room', room, '--state', state, '--hostname', name];
    const given: { readonly [setting: string]: string } = {
      'intake.listen': '127.0.0.1:0',
      smarthost: `127.0.0.1:${relay}`,
      'postgres.lease': `${lease}ms`,
      poll: '200ms',
      'retry.first': '1s',
      return: 'room',
      transcripts: 'none',
      history: 'off',
      'timeout.stop': '5s',
      'log.level': 'info',
      'log.format': 'json',
    };
    for (const [setting, value] of Object.entries(given)) words.push(`--${setting}`, value);
    const child = spawn(process.execPath, ['--require', CLOCK_STEP, ...program(), ...words], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child = child;
    if (child.pid !== undefined) this.pids.add(child.pid);
    const lines = createInterface({ input: child.stderr as Readable });
    lines.on('line', (line) => {
      const listening = /127\.0\.0\.1:(\d+)/.exec(/"event":"listening"/.test(line) ? line : '');
      if (listening !== null) this.port = Number(listening[1]);
      log(`${name} ${line}`);
    });
    child.once('exit', (code, signal) => {
      this.port = null;
      this.#child = null;
      log(`${name} ended: ${code ?? signal}`);
      if (!this.#isOver) setTimeout(() => this.#isOver || this.#start(), 300);
    });
  }
}
