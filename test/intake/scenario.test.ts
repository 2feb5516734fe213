import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { INTAKE_TABLE } from '../../src/intake/receiver/table.ts';
import { rerun, scenarioFiles } from './scenario.ts';

describe('scenarios of receiving connections', () => {
  const hit = new Set<string>();
  for (const { name, text } of scenarioFiles()) {
    it(`${name} is what the machine makes of its inputs`, () => {
      assert.equal(`${rerun(text, hit).trimEnd()}\n`, text);
    });
  }

  it('hit every row of the table', () => {
    const missed = INTAKE_TABLE.map(({ id }) => id).filter((id) => !hit.has(id));
    assert.deepEqual(missed, []);
  });

  it('have rows with names of their own', () => {
    assert.equal(new Set(INTAKE_TABLE.map(({ id }) => id)).size, INTAKE_TABLE.length);
  });
});
