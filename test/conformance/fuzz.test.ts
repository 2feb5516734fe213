import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from './fuzz.ts';

test('mutated vectors neither throw nor linger nor let anything unsafe out', (t) => {
  const seed = Math.floor(Math.random() * 1_000_000);
  t.diagnostic(`seed ${seed}; again with: npm run fuzz -- --seed ${seed} --runs 20000`);
  assert.equal(fuzz(seed, 20_000), null);
});
