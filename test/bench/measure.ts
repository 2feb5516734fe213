/**
 * Contenders take turns, so that a busy moment of the machine meets all of them, and are compared round by round: a
 * ratio is ours divided by theirs in the same round, and less is better. Only ratios carry over to another machine.
 */
import { columns } from '../../src/output/queue-facts.ts';
import type { SystemCalls } from './strace.ts';

/** What one round cost a contender. */
export interface Cost {
  readonly seconds: number;
  /** of all threads and processes */
  readonly cpuSeconds: number;
  /** of the main thread alone */
  readonly mainSeconds?: number;
  /** largest resident memory */
  readonly peakMegabytes?: number;
  /** with the server */
  readonly sessions?: number;
  /** those whose TLS was resumed */
  readonly resumed?: number;
}

export interface Contender {
  readonly name: string;
  /** Prepares the work and does it; only the work is measured. */
  run(): Promise<Cost>;
  /** The same work once more, to count its system calls; null where that cannot be done. */
  systemCalls?(): Promise<SystemCalls | null>;
}

/** A piece of work, done by us and by others. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  /** what costs are divided by: this many units are done in a round */
  readonly units: number;
  readonly ours: Contender;
  readonly others: readonly Contender[];
}

export interface Range {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Each figure by its name; a lower one is better. */
export type Figures = { [name: string]: Range };

export interface Measured {
  readonly table: string;
  readonly figures: Figures;
}

interface Result {
  readonly name: string;
  readonly costs: readonly Cost[];
  readonly calls: SystemCalls | null;
}

function range(values: readonly number[]): Range {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    min: at(0),
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    max: at(sorted.length - 1),
  };
}

function medianOf({ costs }: Result, field: keyof Cost): number {
  return range(costs.map((cost) => cost[field] ?? Number.NaN)).median;
}

/** The third column and those after it are medians for one unit. */
const COLUMNS: readonly {
  readonly head: string;
  of(result: Result, units: number): number;
  readonly digits: number;
}[] = [
  { head: 'a second', of: (result, units) => units / medianOf(result, 'seconds'), digits: 0 },
  { head: 'ms', of: (result, units) => (medianOf(result, 'seconds') / units) * 1000, digits: 2 },
  { head: 'CPU ms', of: (result, units) => (medianOf(result, 'cpuSeconds') / units) * 1000, digits: 2 },
  { head: 'main thread', of: (result, units) => (medianOf(result, 'mainSeconds') / units) * 1000, digits: 2 },
  { head: 'calls', of: ({ calls }, units) => (calls?.all ?? Number.NaN) / units, digits: 1 },
  { head: 'syncs', of: ({ calls }, units) => (calls?.syncs ?? Number.NaN) / units, digits: 3 },
  { head: 'sessions', of: (result) => medianOf(result, 'sessions'), digits: 0 },
  { head: 'resumed', of: (result) => medianOf(result, 'resumed'), digits: 0 },
  { head: 'peak MB', of: (result) => medianOf(result, 'peakMegabytes'), digits: 0 },
];

const RATIOS = { time: 'seconds', CPU: 'cpuSeconds' } as const;

function ratioOf(ours: Result, theirs: Result, field: keyof Cost): Range {
  return range(
    ours.costs.map(
      (cost, round) => (cost[field] ?? Number.NaN) / (theirs.costs[round]?.[field] ?? Number.NaN),
    ),
  );
}

/** `told` hears of each round that begins. */
async function takeTurns(
  { name, ours, others }: Comparison,
  rounds: number,
  told: (text: string) => void,
): Promise<readonly Result[]> {
  const results = [ours, ...others].map((contender) => ({ contender, costs: [] as Cost[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, costs } of results) {
      told(`${name}: ${contender.name}, round ${round} of ${rounds}`);
      costs.push(await contender.run());
    }
  }
  const counted: Result[] = [];
  for (const { contender, costs } of results) {
    told(`${name}: ${contender.name}, system calls`);
    counted.push({ name: contender.name, costs, calls: (await contender.systemCalls?.()) ?? null });
  }
  return counted;
}

export async function measure(
  comparison: Comparison,
  rounds: number,
  told: (text: string) => void,
): Promise<Measured> {
  const { name, unit, units } = comparison;
  const results = await takeTurns(comparison, rounds, told);
  const [ours] = results;
  if (ours === undefined) throw new Error('nothing was measured');
  const shownColumns = COLUMNS.filter(({ of }) => results.some((result) => !Number.isNaN(of(result, units))));
  const figures: Figures = {};
  const rows = results.map((result) => {
    const cells = shownColumns.map(({ of, digits }) => {
      const value = of(result, units);
      if (Number.isNaN(value)) return '';
      return Number.isInteger(value)
        ? String(value)
        : value.toFixed(value < 10 ? Math.max(digits, 2) : digits);
    });
    const ratios = Object.entries(RATIOS).map(([what, field]) => {
      if (result === ours) return '';
      const ratio = ratioOf(ours, result, field);
      figures[`${name}: ${what}, ${ours.name} / ${result.name}`] = ratio;
      return `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`;
    });
    return [result.name, ...cells, ...ratios];
  });
  const peaks = range(ours.costs.map(({ peakMegabytes }) => peakMegabytes ?? Number.NaN));
  if (!Number.isNaN(peaks.median)) figures[`${name}: peak MB, ${ours.name}`] = peaks;
  const head = [
    unit,
    ...shownColumns.map(({ head }) => head),
    ...Object.keys(RATIOS).map((what) => `${what}, ours / theirs`),
  ];
  return { table: `${name}\n${columns([head, ...rows])}\n`, figures };
}
