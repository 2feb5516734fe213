/** Some seeds of the simulation of claims; more with `npm run simulate:claims -- --seed N --runs N`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { size } from '../../support/thorough.ts';
import { simulateClaims } from './claims.ts';

const FIRST = 1;
const RUNS = size(6, 15);

test('processes that share a queue lose nothing, whatever is killed or frozen', async () => {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++)
    assert.deepEqual((await simulateClaims(seed)).violations, [], `seed ${seed}`);
});
