/** The benchmark still runs. What it measures here says nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from './baseline.ts';
import { findPlaces } from './context.ts';
import { startSink } from './load.ts';
import { measure } from './measure.ts';
import { queue } from './queue.ts';
import { signing } from './signing.ts';

test('a few messages are delivered by each contender, and compared', async () => {
  const sink = await startSink();
  try {
    const options = { scale: 0.001, peers: false, parked: 1 };
    const { value } = await queue({ options, places: findPlaces(), sink }).next();
    assert.ok(value !== undefined);
    const comparison = { ...value, ours: { name: value.ours.name, run: value.ours.run } };
    const { table, figures } = await measure(comparison, 1, () => {});
    assert.match(table, /^spoolroom /m);
    assert.deepEqual(
      Object.keys(figures).filter((name) =>
        / (time|CPU), spoolroom \/ (bare loop|nodemailer pool)$/.test(name),
      ).length,
      4,
    );
    for (const { min, median, max } of Object.values(figures))
      assert.ok(0 < min && min <= median && median <= max);
  } finally {
    sink.stop();
  }
});

test('signed messages are delivered, and by watch on their whole way', async () => {
  const sink = await startSink();
  try {
    const section = signing({
      options: { scale: 0.005, peers: false, parked: 1 },
      places: findPlaces(),
      sink,
    });
    for await (const { name, ours } of section) {
      const { seconds, cpuSeconds } = await ours.run();
      assert.ok(seconds > 0 && cpuSeconds > 0, name);
    }
  } finally {
    sink.stop();
  }
});

test('a figure is worse when its median is beyond that of the baseline by more than the margin', () => {
  const figure = (median: number) => ({ min: 0, median, max: 9 });
  const baseline = { same: figure(1), slower: figure(1), faster: figure(1), gone: figure(1) };
  const now = { same: figure(1.2), slower: figure(1.3), faster: figure(0.5), added: figure(7) };
  const { worse, text } = differences(baseline, now, 0.25);
  assert.equal(worse, 1);
  assert.match(text, /^WORSE +1\.00 +1\.30 +slower$/m);
  assert.match(text, /3 figures compared, 1 worse by more than 25 %/);
});
