/** Timers that many messages and each step of a session share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedDelay, MovingDeadline } from '../../src/platform/timers.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';

function timed(): {
  readonly clock: VirtualClock;
  readonly until: (ms: number) => Promise<void>;
  events: string[];
} {
  const clock = new VirtualClock(0);
  const until = (ms: number): Promise<void> =>
    clock.runUntil(new Promise((done) => clock.after(ms - clock.monotonic(), done)));
  return { clock, until, events: [] };
}

test('timers of one length end in order and on time, and share one timer of the clock', async () => {
  const { clock, until, events } = timed();
  const start = fixedDelay(clock, 1000);
  const tell = (what: string) => () => void events.push(`${what} ${clock.monotonic()}`);
  start(tell('a'));
  await until(300);
  start(tell('b'));
  start(tell('c'));
  assert.equal(clock.pending, 1);
  await until(2000);
  assert.deepEqual(events, ['a 1000', 'b 1300', 'c 1300']);
});

test('a cancelled timer is not called, and the clock has none when all are cancelled', async () => {
  const { clock, until, events } = timed();
  const start = fixedDelay(clock, 1000);
  const first = start(() => void events.push('first'));
  await until(400);
  const second = start(() => void events.push(`second ${clock.monotonic()}`));
  first.cancel();
  first.cancel();
  await until(1200);
  assert.deepEqual(events, []);
  await until(1500);
  assert.deepEqual(events, ['second 1400']);
  second.cancel();
  assert.equal(clock.pending, 0);
  start(() => {}).cancel();
  assert.equal(clock.pending, 0);
});

test('one that is started or cancelled while another ends keeps its time', async () => {
  const { clock, until, events } = timed();
  const start = fixedDelay(clock, 1000);
  let other = start(() => {
    other.cancel();
    start(() => void events.push(`late ${clock.monotonic()}`));
  });
  other = start(() => void events.push('never'));
  await until(3000);
  assert.deepEqual(events, ['late 2000']);
  assert.equal(clock.pending, 0);
});

test('a deadline that is moved passes when it was set to last', async () => {
  const { clock, until, events } = timed();
  const deadline = new MovingDeadline(
    clock,
    (length) => void events.push(`${length} at ${clock.monotonic()}`),
  );
  deadline.set(1000);
  await until(900);
  deadline.set(2000);
  assert.equal(clock.pending, 1, 'the timer stays');
  await until(2899);
  assert.deepEqual(events, []);
  await until(2901);
  assert.deepEqual(events, ['2000 at 2900']);
  deadline.set(500);
  deadline.set(10);
  await until(2911);
  assert.deepEqual(events, ['2000 at 2900', '10 at 2911']);
  deadline.set(10);
  deadline.cancel();
  await until(4000);
  assert.equal(events.length, 2);
  assert.equal(clock.pending, 0);
});

test('deadlines of one clock share a timer, which ends with the first that is still set', async () => {
  const { clock, until, events } = timed();
  const tell = (what: string) => () => void events.push(`${what} at ${clock.monotonic()}`);
  const slow = new MovingDeadline(clock, tell('slow'));
  const quick = new MovingDeadline(clock, tell('quick'));
  const moved = new MovingDeadline(clock, (length) => {
    events.push(`moved at ${clock.monotonic()}`);
    if (length === 700) moved.set(100);
    slow.cancel();
  });
  slow.set(900);
  quick.set(500);
  moved.set(700);
  assert.equal(clock.pending, 1);
  await until(100);
  quick.cancel();
  await until(2000);
  assert.deepEqual(events, ['moved at 700', 'moved at 800']);
  quick.set(10);
  slow.set(10);
  assert.equal(clock.pending, 1);
  await until(2010);
  assert.deepEqual(events.slice(2), ['quick at 2010', 'slow at 2010']);
  assert.equal(clock.pending, 0);
});
