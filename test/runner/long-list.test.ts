/** A list with very many recipients: it is worked on in parts, so that others get their turn and memory has a bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryAttempt } from '../../src/delivery/attempt.ts';
import type { StatusChange } from '../../src/delivery-list/job.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { ActiveMessage } from '../../src/runner/active-message.ts';
import { emptyJob } from '../support/jobs.ts';
import { MESSAGE_DEPS } from '../support/message-deps.ts';
import { NO_MESSAGE_EVENTS } from '../support/no-events.ts';

const NO_SESSION = { milliseconds: 0, tls: null };

function longMessage(addresses: readonly string[]) {
  const records: (readonly StatusChange[])[] = [];
  const queue = {
    record: async (_: number, changes: readonly StatusChange[]) => void records.push(changes),
    finish: async () => {},
  };
  const recipients = addresses.map((address) => ({ address, status: 0, text: '' }));
  const job = { ...emptyJob('2012'), msgid: 1, submitted: 1_400_000_000, recipients };
  const deps = {
    ...MESSAGE_DEPS,
    queue: queue as unknown as Queue,
    now: () => 1_400_000_000,
    dsnSender: null,
  };
  return {
    message: new ActiveMessage([{ control: 2, job, warnings: [] }], deps, NO_MESSAGE_EVENTS),
    records,
  };
}

test('a list with many destinations has a few hundred attempts at a time, and a long one several (R259)', async () => {
  const { message } = longMessage([
    ...Array.from({ length: 2500 }, (_, n) => `u${n}@one.example`),
    ...Array.from({ length: 3000 }, (_, n) => `u@d${n}.example`),
  ]);
  const open: DeliveryAttempt[] = [];
  const ids: number[] = [];
  let most = 0;
  let longest = 0;
  const end = (attempt: DeliveryAttempt): void => {
    const each = attempt.recipients.map(({ id }) => id);
    ids.push(...each);
    longest = Math.max(longest, each.length);
    const peer = { host: 'mx.example', address: null, port: 25 };
    message.recordOutcome(
      attempt.destination.name,
      each,
      { kind: 'delivered', code: 250, enhanced: '2.0.0', text: 'ok', peer },
      NO_SESSION,
    );
    attempt.finish();
  };
  const done = message.attempt((attempt) => {
    assert.ok(open.every(({ destination }) => destination.name !== attempt.destination.name));
    open.push(attempt);
    most = Math.max(most, open.length);
    // Some end at once, while they are made known.
    if (ids.length % 3 === 0) end(open.pop() as DeliveryAttempt);
  });
  await new Promise(setImmediate);
  for (let next = open.pop(); next !== undefined; next = open.pop()) end(next);
  await done;
  assert.ok(most <= 500, `${most} at a time`);
  assert.ok(longest <= 1000, `${longest} recipients in one`);
  assert.deepEqual(
    ids.sort((a, b) => a - b),
    Array.from({ length: 5500 }, (_, n) => n),
  );
});
