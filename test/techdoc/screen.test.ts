import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { README, readmeScreen, withScreen } from './screen.ts';

test('the screen in the README is what the program prints (rewrite it with: npm run techdoc)', async () => {
  const readme = readFileSync(README, 'utf8');
  assert.equal(withScreen(readme, await readmeScreen()), readme);
});
