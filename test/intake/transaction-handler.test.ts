import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransactionHandler } from '../../src/intake/transaction-handler.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { MAIL } from './intake.ts';

test('a message that is stored while the intake stops is told of before the intake has stopped (R315)', async () => {
  const told: number[] = [];
  const handler = new TransactionHandler(
    { hostname: 'queue.example', size: 10_000, window: 100, scratch: '/nowhere' },
    {
      queue: { enqueue: async () => ({ payload: 1, control: 2 }) },
      clock: createManualClock(),
      events: { queued: ({ control }) => void told.push(control), refused: ({ text }) => assert.fail(text) },
    },
  );
  const client = { id: 'one', address: '127.0.0.1' };
  handler.expect(client, 'alice@citref.example');
  const message = handler.begin(client, {
    ...{ client: 'citref.example', protocol: 'ESMTP', sender: 'alice@citref.example' },
    ...{ recipients: ['b@example.com'], dsn: null },
  });
  message.add(Buffer.from(MAIL));
  const settled = handler.settle();
  // What there was to wait for when it began to wait does not include the line of the log.
  await new Promise(setImmediate);
  const { code } = await message.finish();
  await settled;
  assert.deepEqual([code, told], [250, [2]]);
});
