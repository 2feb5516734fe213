/** A small run of `npm run cluster`: a few faults, and the same promises. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_POSTGRES } from '../support/postgres.ts';
import { runCluster } from './cluster.ts';

test('three processes share a queue while they and the database are killed: nothing is lost', {
  skip: NO_POSTGRES,
  timeout: 240_000,
}, async () => {
  const seed = 4711;
  const log: string[] = [];
  const run = { seed, faults: 5, messages: 120, workers: 3, lease: 2000 };
  const result = await runCluster({ ...run, log: (line) => log.push(line) });
  const shown = `seed ${seed}: ${JSON.stringify(result)}\n${log.filter((line) => !line.includes('"delivered"')).join('\n')}`;
  assert.deepEqual([result.lost, result.left, result.unexplained, result.repeated], [[], [], [], []], shown);
  assert.ok(result.acknowledged >= 120, shown);
});
