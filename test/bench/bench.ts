/**
 * `npm run bench`: what spoolroom costs on this machine, beside a bare loop without a queue (the ceiling) and beside
 * nodemailer's pool, in one run. Only the ratios carry over to another machine. `--runs N` repeats each measurement;
 * the median is shown.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { columns } from '../../src/output/queue-table.ts';
import { benchDeliveryList } from './delivery-list.ts';
import type { Load, Measured } from './load.ts';
import { inProcess, LOADS, SESSIONS, startSink } from './load.ts';
import { benchManyDomains } from './many-domains.ts';

const RUNS = Number(process.argv[process.argv.indexOf('--runs') + 1]) || 3;

const CLIENTS = [
  { name: 'bare loop (ceiling)', script: './bare-client.ts', volatile: false },
  { name: 'spoolroom, durable', script: './spoolroom-client.ts', volatile: false },
  { name: 'spoolroom, no fsync', script: './spoolroom-client.ts', volatile: true },
  { name: 'nodemailer pool', script: './nodemailer-client.ts', volatile: false },
] as const;

async function measure(load: Load): Promise<string> {
  const all = CLIENTS.map(() => [] as Measured[]);
  for (let run = 0; run < RUNS; run++) {
    for (const [index, { script, volatile }] of CLIENTS.entries()) {
      const sink = await startSink();
      all[index]?.push(await inProcess(script, { ...load, port: sink.port, volatile }));
      sink.stop();
    }
  }
  const best = all.map(median);
  const ceiling = best[0];
  const recipients = load.messages * load.recipients;
  const rows = best.map((each, index) => [
    CLIENTS[index]?.name ?? '',
    (recipients / each.seconds).toFixed(0),
    ratio(ceiling?.seconds, each.seconds),
    ((each.cpuSeconds / load.messages) * 1000).toFixed(2),
    ratio(each.cpuSeconds, ceiling?.cpuSeconds),
    each.peakMegabytes.toFixed(0),
    each.fsyncs === undefined ? '' : (each.fsyncs / recipients).toFixed(3),
  ]);
  const head = [
    'client',
    'recipients/s',
    'of ceiling',
    'CPU ms/message',
    'x ceiling',
    'peak MB',
    'fsyncs/recipient',
  ];
  return `${load.name}, ${SESSIONS} sessions\n${columns([head, ...rows])}\n`;
}

function median(measured: readonly Measured[]): Measured {
  const sorted = [...measured].sort((a, b) => a.seconds - b.seconds);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('nothing was measured');
  return middle;
}

function ratio(a: number | undefined, b: number | undefined): string {
  return a === undefined || b === undefined ? '' : (a / b).toFixed(2);
}

/** CPU of an idle `run` beside that of an empty Node process, each the median of several. */
function startUp(): string {
  const spool = mkdtempSync(join(tmpdir(), 'spoolroom-idle-'));
  const command = fileURLToPath(new URL('../../bin/spoolroom', import.meta.url));
  const idle: number[] = [];
  const empty: number[] = [];
  for (let run = 0; run < 15; run++) {
    idle.push(cpuOf([command, 'run', '--spool', spool]));
    empty.push(cpuOf(['-e', '0']));
  }
  rmSync(spool, { recursive: true });
  const [a, b] = [middleOf(idle), middleOf(empty)];
  return `idle run: ${(a * 1000).toFixed(0)} ms CPU, node -e 0: ${(b * 1000).toFixed(0)} ms, ratio ${ratio(a, b)}`;
}

/** CPU seconds of a Node process, as the shell's `times` counts its finished children. */
function cpuOf(words: readonly string[]): number {
  const { stdout } = spawnSync('sh', ['-c', '"$@" >&2; times', 'sh', process.execPath, ...words], {
    encoding: 'utf8',
  });
  const [user = '', system = ''] = stdout.trim().split('\n').at(-1)?.split(' ') ?? [];
  return secondsOf(user) + secondsOf(system);
}

/** `0m0.058s` */
function secondsOf(text: string): number {
  const match = /^(\d+)m([\d.]+)s$/.exec(text);
  if (match === null) throw new Error(`the shell counts time as "${text}"`);
  return Number(match[1]) * 60 + Number(match[2]);
}

function middleOf(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

for (const load of LOADS) console.log(await measure(load));
console.log(await benchManyDomains());
console.log(startUp());
const list = benchDeliveryList();
console.log(
  `delivery list of 1,000 recipients, read and written: ${list.listMs.toFixed(2)} ms, JSON of the same: ` +
    `${list.jsonMs.toFixed(2)} ms, ratio ${list.ratio.toFixed(2)}`,
);
