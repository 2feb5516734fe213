/** One machine: `spoolroom watch --intake` on the shared queue, started again whenever it has ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PROGRAM } from '../support/program.ts';

export interface WorkerOptions {
  readonly name: string;
  readonly room: string;
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
  }

  #start(): void {
    const { name, room, state, relay, lease, log } = this.#options;
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
    const child = spawn(process.execPath, [...PROGRAM, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    const lines = createInterface({ input: child.stderr });
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
