/** Progress at a terminal: one line, in place, not too often, gone at the end. Time is moved by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runProgress, showProgress, statusLine } from '../../src/output/progress.ts';
import { createManualClock } from '../support/manual-clock.ts';

function shown(columns = 80) {
  const written: string[] = [];
  const clock = createManualClock();
  const line = statusLine({ write: (text) => written.push(text) }, () => columns);
  return { written, clock, line };
}

test('work of less than a second shows nothing', () => {
  const { written, clock, line } = shown();
  const end = showProgress(line, clock, () => 'working');
  clock.advance(999);
  end();
  clock.advance(5000);
  assert.deepEqual(written, []);
  assert.equal(clock.pending, 0);
});

test('longer work has one line, rewritten four times a second, which is gone at the end', () => {
  const { written, clock, line } = shown();
  let done = 0;
  const end = showProgress(line, clock, () => `${++done} done`);
  clock.advance(2000);
  assert.deepEqual(
    written,
    [1, 2, 3, 4, 5].map((count) => `\r${count} done\x1b[K`),
  );
  end();
  assert.equal(written.at(-1), '\r\x1b[K');
  clock.advance(5000);
  assert.equal(written.length, 6);
});

test('it never breaks into a second line', () => {
  const { written, line } = shown(10);
  line.draw('0123456789abc');
  assert.deepEqual(written, ['\r012345678\x1b[K']);
});

test('another line takes its place', () => {
  const { written, line } = shown();
  line.clear();
  line.draw('working');
  line.clear();
  line.clear();
  assert.deepEqual(written, ['\rworking\x1b[K', '\r\x1b[K']);
});

test('it says how far a run is', () => {
  const count = {
    jobs: 9,
    due: 7,
    done: 3,
    delivered: 1,
    deferred: 2,
    failed: 4,
    finished: 1,
    silent: 0,
    waited: 0,
  };
  assert.equal(runProgress(count), '3 of 7 jobs done: 1 recipient delivered, 2 deferred, 4 refused');
});
