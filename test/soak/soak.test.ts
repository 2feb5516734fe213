/** A short soak, and that a long one would notice what grows. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/spool.ts';
import { size } from '../support/thorough.ts';
import { growth, soak } from './soak.ts';

test('what grows is noticed, what swings is not', () => {
  const samples = (memory: (at: number) => number) =>
    Array.from({ length: 90 }, (_, at) => ({
      ...{ at: at * 1000, memory: memory(at), files: 30 + (at % 3) },
      ...{ timers: 20 + (at % 10), resources: 40 + (at % 20) },
    }));
  assert.deepEqual(growth(samples((at) => 80 + (at % 10))), []);
  assert.deepEqual(growth(samples((at) => (at < 30 ? 60 + at : 95))), []);
  assert.match(growth(samples((at) => 80 + 2 * at)).join(), /memory grew from 170 to 230/);
  const timers = samples(() => 80).map((each, at) => ({ ...each, timers: at }));
  assert.deepEqual(growth(timers), ['timers grew from 45 to 75']);
});

const SECONDS = size(7, 12);

test(`${SECONDS} seconds of ordinary and hostile load`, {
  skip: existsSync('/proc/self/fd') ? false : 'there is no /proc',
}, async (t) => {
  const seed = 1;
  t.diagnostic(`seed ${seed}`);
  const result = await soak({ spool: temporaryDirectory(t), milliseconds: SECONDS * 1000, seed });
  assert.equal(result.exit, 0);
  assert.ok(result.delivered > 50 && result.hostileSessions > 5, JSON.stringify(result));
  assert.ok(
    result.samples.slice(3).every(({ timers }) => timers > 0 && timers < 200),
    JSON.stringify(result),
  );
  const most = Math.max(...result.samples.map(({ memory }) => memory));
  assert.ok(most < 250, `${most} MB`);
});
