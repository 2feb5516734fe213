/** Timers that many messages and each step of a session share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayedCalls, FixedDelay, MovingDeadline } from '../../src/platform/timers.ts';
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

test('what is over after the same time ends in order and on time, and shares one timer of the clock', async () => {
  const { clock, until, events } = timed();
  const delay = new FixedDelay<string>(
    clock,
    1000,
    (what) => void events.push(`${what} ${clock.monotonic()}`),
  );
  delay.add('a');
  await until(300);
  delay.add('b');
  delay.add('c');
  assert.equal(clock.pending, 1);
  await until(2000);
  assert.deepEqual(events, ['a 1000', 'b 1300', 'c 1300']);
});

test('what is removed is not over, and the clock has no timer when all is removed', async () => {
  const { clock, until, events } = timed();
  const delay = new FixedDelay<string>(
    clock,
    1000,
    (what) => void events.push(`${what} ${clock.monotonic()}`),
  );
  delay.add('first');
  await until(400);
  delay.add('second');
  delay.delete('first');
  delay.delete('first');
  await until(1200);
  assert.deepEqual(events, []);
  await until(1500);
  assert.deepEqual(events, ['second 1400']);
  delay.delete('second');
  assert.equal(clock.pending, 0);
  delay.add('third');
  delay.delete('third');
  assert.equal(clock.pending, 0);
});

test('a call that is added or removed while another one is made keeps its time', async () => {
  const { clock, until, events } = timed();
  const calls = delayedCalls(clock, 1000);
  const never = (): void => void events.push('never');
  calls.add(() => {
    calls.delete(never);
    calls.add(() => void events.push(`late ${clock.monotonic()}`));
  });
  calls.add(never);
  await until(3000);
  assert.deepEqual(events, ['late 2000']);
  assert.equal(clock.pending, 0);
});

test('what is over may remove all that is left and add another: the clock has one timer still (R316)', async () => {
  const { clock, until } = timed();
  const delay: FixedDelay<string> = new FixedDelay(clock, 1000, () => {
    delay.delete('second');
    delay.add('third');
  });
  delay.add('first');
  await until(500);
  delay.add('second');
  await until(1000);
  assert.equal(clock.pending, 1);
  delay.delete('third');
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
