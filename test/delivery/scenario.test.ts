import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { DELIVERY_TABLE } from '../../src/delivery/table.ts';
import { rerun, SCENARIOS } from './scenario.ts';

describe('delivery scenarios', () => {
  const hit = new Set<string>();

  it('are what the machine makes of their events', () => {
    const text = readFileSync(SCENARIOS, 'utf8');
    assert.equal(`${rerun(text, hit).trimEnd()}\n`, text);
  });

  it('hit every row of the table', () => {
    assert.deepEqual(
      DELIVERY_TABLE.map(({ id }) => id).filter((id) => !hit.has(id)),
      [],
    );
  });
});
