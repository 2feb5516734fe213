/** What processes cost: commands from start to end, and servers while they run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cost } from './measure.ts';

const AT_EXIT = fileURLToPath(new URL('./at-exit.cjs', import.meta.url));
/** Unlike `times` and /proc, bash's `time` does not count in hundredths of a second. */
const TIMED = 'TIMEFORMAT="%3R %3U %3S"; time "$@" >"$BENCH_OUTPUT" 2>&1';

export function inTemporaryFolder<T>(below: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(below, 'spoolroom-bench-'));
  return work(folder).finally(() => rmSync(folder, { recursive: true }));
}

/** Runs a command `times` times, each time after `before`; throws when it fails, with what it printed. */
export function costOfCommand(
  command: readonly string[],
  times = 1,
  before: () => void = () => {},
  environment: NodeJS.ProcessEnv = {},
): Promise<Cost> {
  return inTemporaryFolder(tmpdir(), async (folder) => {
    const output = join(folder, 'output');
    const env = { ...process.env, ...environment, BENCH_OUTPUT: output };
    const sum = { seconds: 0, cpuSeconds: 0 };
    for (let time = 0; time < times; time++) {
      before();
      const child = spawn('bash', ['-c', TIMED, 'bash', ...command], {
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let printed = '';
      child.stderr.on('data', (piece) => {
        printed += piece;
      });
      const [code] = await once(child, 'close');
      if (code !== 0) {
        throw new Error(`${command.join(' ')} ended with ${code}: ${readFileSync(output, 'latin1')}`);
      }
      const [seconds, user, system] = printed.trim().split(' ').map(Number);
      sum.seconds += seconds ?? Number.NaN;
      sum.cpuSeconds += (user ?? Number.NaN) + (system ?? Number.NaN);
    }
    return sum;
  });
}

/** The same for a script of Node, with its main thread and its memory, which costs it a millisecond. */
export function costOfNode(script: readonly string[]): Promise<Cost> {
  return inTemporaryFolder(tmpdir(), async (folder) => {
    const report = join(folder, 'report');
    const command = [process.execPath, '--require', AT_EXIT, ...script];
    const cost = await costOfCommand(command, 1, undefined, { BENCH_REPORT: report });
    return { ...cost, ...JSON.parse(readFileSync(report, 'utf8')) };
  });
}

interface Process {
  readonly parent: number;
  /** clock ticks */
  readonly own: number;
  readonly ofReaped: number;
}

/** Ticks of /proc/PID/stat a second, on all Linux systems. */
const TICKS = 100;

function processOf(pid: number | string): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, parent = 0, , , , , , , , , , user = 0, system = 0, childUser = 0, childSystem = 0] = fields;
    return { parent, own: user + system, ofReaped: childUser + childSystem };
  } catch {
    return null;
  }
}

/** A process with all that descend from it. */
export function processTree(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const found = /^\d+$/.test(name) ? processOf(name) : null;
    if (found === null) continue;
    children.set(found.parent, [...(children.get(found.parent) ?? []), Number(name)]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(root);
}

/** Nanoseconds of one process where it has one thread, which is finer than ticks. */
function preciseSeconds(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
  } catch {
    return 0;
  }
}

/** CPU that a server, its processes and those it has already seen end have used so far. */
export function cpuOfTree(root: number): number {
  let seconds = 0;
  for (const pid of processTree(root)) {
    const found = processOf(pid);
    if (found !== null) seconds += Math.max(found.own / TICKS, preciseSeconds(pid)) + found.ofReaped / TICKS;
  }
  return seconds;
}
