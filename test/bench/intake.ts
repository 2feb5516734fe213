/** The intake beside Postfix' smtpd: both make a message durable before they take it. Nothing is delivered. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/postfix.ts';
import { PROGRAM } from '../support/program.ts';
import { counted, type Place, type Section, scaled, withPostfix } from './context.ts';
import { costOfClient, filesLeft, type Submission } from './load.ts';
import type { Comparison, Contender } from './measure.ts';
import { cpuOfTree } from './process.ts';
import { callsOfTree } from './strace.ts';

type Load = Omit<Submission, 'port'>;

const LOADS: readonly Load[] = [
  { connections: 300, atOnce: 1, messages: 1, size: 4096 },
  { connections: 1000, atOnce: 20, messages: 1, size: 4096 },
  { connections: 500, atOnce: 500, messages: 4, size: 4096 },
];

/** Postfix has one process for each connection. */
const ACCEPTING = { default: ['default_process_limit = 600'] };

export interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  /** messages in its queue */
  queued(): number;
}

function contender({ name, pid, port, queued }: Server, load: Load): Contender {
  const run = async () => {
    const before = queued();
    const cpu = cpuOfTree(pid);
    const { seconds } = await costOfClient('./intake-client.ts', { ...load, port });
    const cpuSeconds = cpuOfTree(pid) - cpu;
    const taken = queued() - before;
    if (taken !== load.connections * load.messages)
      throw new Error(`${name} has only ${taken} messages in its queue`);
    return { seconds, cpuSeconds };
  };
  return { name, run, systemCalls: () => callsOfTree(pid, run) };
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'data');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The command over a new spool, until the work is done: `intake`, or another one that listens. */
export async function* withIntake(
  { folder }: Place,
  work: (server: Server) => AsyncGenerator<Comparison>,
  command: readonly string[] = ['intake'],
): AsyncGenerator<Comparison> {
  const spool = mkdtempSync(join(folder, 'intake-'));
  const port = await freePort();
  const words = ['--spool', spool, '--intake.listen', String(port), '--log.target', join(spool, 'log')];
  const child = spawn(process.execPath, [...PROGRAM, ...command, ...words], { stdio: 'ignore' });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    while (!(await listens(port))) {
      if (child.exitCode !== null) throw new Error(`spoolroom ${command[0]} ended with ${child.exitCode}`);
      await sleep(20);
    }
    yield* work({ name: 'spoolroom', pid: child.pid ?? 0, port, queued: () => filesLeft(spool) / 2 });
  } finally {
    process.off('exit', kill);
    child.kill();
    await once(child, 'close');
  }
}

export const intake: Section = async function* (context) {
  for (const place of context.places) {
    yield* withIntake(place, (ours) =>
      withPostfix(context, place, ACCEPTING, [], async function* (queues) {
        const others = [...queues].map(([name, { postfix }]) => ({
          name,
          pid: postfix.master,
          port: postfix.port,
          queued: () => readdirSync(`${postfix.root}/queue/hold`).length,
        }));
        for (const whole of LOADS) {
          const load = { ...whole, connections: scaled(context, whole.connections) };
          const each = load.messages === 1 ? 'one message' : `${load.messages} messages`;
          yield {
            name: `intake of ${each} on each of ${counted(load.connections)} connections, ${load.atOnce} at once, ${place.fileSystem}`,
            unit: 'message',
            units: load.connections * load.messages,
            ours: contender(ours, load),
            others: others.map((server) => contender(server, load)),
          };
        }
      }),
    );
  }
};
