import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryList } from '../bench/delivery-list.ts';
import { measure } from '../bench/measure.ts';

test('a list of 1,000 recipients takes at most three times as long as JSON of the same data', async (t) => {
  const { figures } = await measure(deliveryList(), 15, () => {});
  const ratio = figures['a delivery list of 1,000 recipients: time, spoolroom / JSON']?.median ?? Number.NaN;
  t.diagnostic(`ratio ${ratio.toFixed(2)}`);
  assert.ok(ratio <= 3, `ratio ${ratio}`);
});
