/**
 * `npm run simulate -- --seed N --runs M`: M simulations from seed N on. The plan of the first seed that fails is reduced and
 * printed with its plan, every step, and transcripts for `spoolroom replay`; the exit code is then 1.
 */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Clock } from '../../src/platform/clock.ts';
import { Recorder } from '../../src/replay/transcript/recorder.ts';
import { transcriptStore } from '../../src/replay/transcript/transcript-files.ts';
import { readSettings } from '../../src/settings/read.ts';
import { planFor } from './plan.ts';
import { shrink } from './shrink.ts';
import { type Simulated, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1000' },
    /** continue after a failure, and print only which seeds failed */
    all: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const runs = Number(values.runs);

/** Rejections that the code under test does not handle count as violations. */
const unhandled: string[] = [];
process.on('unhandledRejection', (reason) => {
  unhandled.push(`unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}`);
});

async function violationsOf(...call: Parameters<typeof simulate>): Promise<Simulated> {
  unhandled.length = 0;
  const result = await simulate(...call);
  return { ...result, violations: [...result.violations, ...unhandled] };
}

async function explain(seed: number, { violations }: Simulated): Promise<void> {
  console.log(`seed ${seed} fails:\n${violations.join('\n')}\n`);
  const plan = await shrink(planFor(seed), async (each) => (await violationsOf(each)).violations.length > 0);
  const folder = mkdtempSync(join(tmpdir(), 'spoolroom-simulate-'));
  const result = await violationsOf(plan, { trace: true, recorder: recorderInto(folder) });
  console.log(`Reduced plan:\n${JSON.stringify(plan, null, 1)}\n\n${result.trace.join('\n')}\n`);
  console.log(result.violations.join('\n'));
  for (const file of readdirSync(folder).sort()) console.log(`spoolroom replay ${join(folder, file)}`);
}

/** Records the deliveries of the failing plan as transcripts for `replay`. */
function recorderInto(folder: string): (clock: Clock) => Recorder {
  const read = readSettings({ hostname: 'me.example' });
  if (!read.ok) throw new Error('the settings of the simulation are wrong');
  const rules = {
    keep: 'all',
    settings: read.settings,
    relays: [],
    hostname: 'me.example',
    ehloName: 'me.example',
  } as const;
  const bounds = { size: Number.POSITIVE_INFINITY, age: Number.POSITIVE_INFINITY };
  const store = transcriptStore(folder, bounds, (text) => console.error(text));
  return (clock) => new Recorder(rules, clock, store);
}

const began = performance.now();
const failed: number[] = [];
let steps = 0;
for (let seed = first; seed < first + runs; seed++) {
  const result = await violationsOf(planFor(seed));
  steps += result.steps;
  if (result.violations.length > 0) {
    failed.push(seed);
    if (values.all) console.log(`seed ${seed}: ${result.violations[0]}`);
    else await explain(seed, result);
    if (!values.all) break;
  }
  const done = seed - first + 1;
  if (done % 10_000 === 0) console.log(`${done} seeds, ${failed.length} failed`);
}
const seconds = (performance.now() - began) / 1000;
console.log(
  `seeds ${first} to ${first + runs - 1}: ${failed.length} failed; ${steps} steps in ${seconds.toFixed(1)} s (${(runs / seconds).toFixed(0)} seeds/s)`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
