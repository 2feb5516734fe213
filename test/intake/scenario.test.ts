import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BOUNDS } from '../../src/intake/receiver/bounds.ts';
import { readCommand } from '../../src/intake/receiver/commands.ts';
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

it('no byte behind the word BDAT becomes a command', () => {
  for (const rest of ['', '\r6 LAST', '\x005', '\t5', '-1', ':5', '\x0b5', '<5>', ' 5\r', ' 5 LAST\0'])
    assert.deepEqual(readCommand(`BDAT${rest}`), { type: 'bad-chunk-size' }, JSON.stringify(rest));
});

it('a command line costs no more than its length', () => {
  const long = BOUNDS.line.value;
  const began = performance.now();
  for (const part of [' ', '\t', '"', '\\', '(', '<', '@a:', 'A=1 ', '\\"', '@']) {
    const text = part.repeat(long / part.length);
    for (const line of [
      `MAIL FROM:<${text}`,
      `RCPT TO:<a@b.example> ${text}`,
      `MAIL ${text}x`,
      `BDAT${text}x`,
      text,
    ])
      readCommand(line);
  }
  assert.ok(performance.now() - began < 1000, `${performance.now() - began} ms`);
});
