/** `node --import tsx test/simulation/claims/run.ts --seed N --runs N`: the exit code is 1 when a seed fails. */
import { parseArgs } from 'node:util';
import { simulateClaims } from './claims.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, runs: { type: 'string', default: '1000' } },
});
const first = Number(values.seed);
const last = first + Number(values.runs) - 1;
let copies = 0;
let full = 0;
let failed = 0;
for (let seed = first; seed <= last; seed++) {
  const result = await simulateClaims(seed);
  copies += result.copies;
  if (result.isFull) full++;
  if (result.violations.length === 0) continue;
  failed++;
  console.log(`seed ${seed}: ${result.violations.join('; ')}`);
}
console.log(
  `seeds ${first} to ${last}: ${failed} failed, ${copies} second copies, ${full} with as many sessions as allowed`,
);
if (failed > 0) process.exitCode = 1;
