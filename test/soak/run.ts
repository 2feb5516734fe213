/** `npm run soak -- --minutes N --seed S`: the exit code is 1 when memory, open files, timers or other resources grow. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { growth, soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '15' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  },
});

const spool = fs.mkdtempSync(path.join(os.tmpdir(), 'spoolroom-soak-'));
console.log(`seed ${values.seed}, ${values.minutes} minutes`);
const result = await soak({
  spool,
  milliseconds: Number(values.minutes) * 60_000,
  seed: Number(values.seed),
});
const step = Math.max(1, Math.floor(result.samples.length / 20));
for (const { at, memory, files, timers, resources } of result.samples.filter(
  (_, index) => index % step === 0,
))
  console.log(
    `${String(Math.round(at / 1000)).padStart(5)} s  ${memory} MB  ${files} files  ${timers} timers  ${resources} resources`,
  );
const { samples, ...rest } = result;
console.log(JSON.stringify(rest));
const wrong = growth(samples);
for (const sentence of wrong) console.log(sentence);
if (wrong.length > 0 || result.exit !== 0) process.exitCode = 1;
fs.rmSync(spool, { recursive: true });
