import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchDeliveryList } from '../bench/delivery-list.ts';

test('a list of 1,000 recipients takes at most three times as long as JSON of the same data', (t) => {
  const { ratio } = benchDeliveryList();
  t.diagnostic(`ratio ${ratio.toFixed(2)}`);
  assert.ok(ratio <= 3, `ratio ${ratio}`);
});
