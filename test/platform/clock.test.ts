/** The real clock, as far as it can be seen without waiting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/platform/clock.ts';

test('now is the wall clock, monotonic never runs backwards', () => {
  const before = Date.now();
  const first = systemClock.monotonic();
  assert.ok(systemClock.now() >= before && systemClock.now() <= Date.now());
  assert.ok(systemClock.monotonic() >= first);
});

test('a timer fires, a cancelled one does not', async () => {
  const fired: string[] = [];
  systemClock.after(0, () => fired.push('cancelled')).cancel();
  await new Promise<void>((resolve) => {
    systemClock.after(0, () => {
      fired.push('set');
      resolve();
    });
  });
  assert.deepEqual(fired, ['set']);
});

test('a timer of a year does not fire at once', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let fired = false;
  const timer = systemClock.after(365 * 86_400_000, () => {
    fired = true;
  });
  t.mock.timers.tick(86_400_000);
  timer.cancel();
  assert.equal(fired, false);
});
