import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginThrottle } from '../../src/intake/login-throttle.ts';
import { createManualClock } from '../support/manual-clock.ts';

const wrong = (): boolean => false;
const right = (): boolean => true;

function bench() {
  const clock = createManualClock();
  const throttle = new LoginThrottle(clock);
  const guess = (user: string, address: string, count = 1) =>
    Array.from({ length: count }, () => throttle.attempt(user, address, wrong)).at(-1);
  return { clock, throttle, guess };
}

test('a few wrong passwords wait a second each; more of them wait longer and longer, then are not heard', () => {
  const { throttle } = bench();
  const delays: (number | string)[] = [];
  let asked = 0;
  for (let attempt = 0; attempt < 40; attempt++) {
    const result = throttle.attempt('citadel', '192.0.2.7', () => {
      asked++;
      return false;
    });
    delays.push(result.kind === 'failed' ? result.delay : result.kind);
  }
  assert.deepEqual(delays.slice(0, 8), [1000, 1000, 1000, 1000, 2000, 4000, 8000, 16_000]);
  assert.deepEqual([...new Set(delays.slice(9))], ['throttled']);
  assert.ok(asked < 10, `${asked} passwords were looked at in an instant`);
});

test('guesses count by address whatever the user, and by user whatever the address', () => {
  const { guess } = bench();
  for (let user = 0; user < 20; user++) guess(`user${user}`, '192.0.2.7');
  assert.equal(guess('another', '192.0.2.7')?.kind, 'throttled');
  for (let host = 0; host < 20; host++) guess('victim', `198.51.100.${host}`);
  assert.equal(guess('victim', '203.0.113.1')?.kind, 'throttled');
  assert.deepEqual(guess('another', '203.0.113.2'), { kind: 'failed', delay: 1000, failures: 1 });
});

test('an IPv6 network is one guesser, however its addresses are written', () => {
  const { guess } = bench();
  for (let host = 1; host <= 20; host++) guess(`user${host}`, `2001:db8:1:2::${host.toString(16)}`);
  assert.equal(guess('user', '2001:db8:1:2:3:4:5:6')?.kind, 'throttled');
  assert.equal(guess('user', '2001:db8:1:3::1')?.kind, 'failed');
  assert.equal(guess('user', '::1')?.kind, 'failed');
  for (let times = 0; times < 20; times++) guess(`name${times}`, '::ffff:192.0.2.7');
  assert.equal(guess('user', '192.0.2.7')?.kind, 'throttled');
});

test('who knows the password is not kept out by those who guess from elsewhere', () => {
  const { throttle, guess } = bench();
  assert.deepEqual(throttle.attempt('citadel', '192.0.2.7', right), { kind: 'accepted', delay: 0 });
  guess('citadel', '198.51.100.1', 30);
  assert.deepEqual(throttle.attempt('citadel', '192.0.2.7', right), { kind: 'accepted', delay: 0 });
  assert.equal(throttle.attempt('citadel', '203.0.113.1', right).kind, 'throttled');
});

test('a right password in the midst of guesses waits its turn as a wrong one does', () => {
  const { throttle, guess } = bench();
  guess('citadel', '192.0.2.7', 6);
  const attempt = throttle.attempt('citadel', '192.0.2.7', right);
  assert.deepEqual(attempt, { kind: 'accepted', delay: 7000 });
  assert.deepEqual(
    guess('citadel', '192.0.2.7'),
    { kind: 'failed', delay: 1000, failures: 1 },
    'and clears them',
  );
});

test('an account of their own does not clear what somebody guessed about others (R283)', () => {
  const { throttle, guess } = bench();
  let heard = 0;
  for (let round = 0; round < 100; round++) {
    for (const user of ['a', 'b', 'c']) {
      const isHeard = guess(`${user}${round}`, '192.0.2.7')?.kind === 'failed';
      if (isHeard) heard++;
    }
    throttle.attempt('mallory', '192.0.2.7', right);
  }
  assert.ok(heard < 10, `${heard} passwords were looked at in an instant`);
});

test('failures are forgotten after ten minutes', () => {
  const { clock, guess } = bench();
  guess('citadel', '192.0.2.7', 30);
  clock.advance(660_000);
  assert.deepEqual(guess('citadel', '192.0.2.7'), { kind: 'failed', delay: 1000, failures: 1 });
});

test('memory is bounded, whatever names and addresses are tried', () => {
  const { guess } = bench();
  const long = 'x'.repeat(10_000);
  const before = process.memoryUsage().heapUsed;
  for (let attempt = 0; attempt < 50_000; attempt++)
    guess(`${attempt}${long}`, `10.${attempt >> 16}.${(attempt >> 8) & 255}.${attempt & 255}`);
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 40_000_000, `${grown} bytes`);
});
