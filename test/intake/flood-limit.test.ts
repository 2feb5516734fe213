import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodLimit } from '../../src/intake/flood-limit.ts';
import { createManualClock } from '../support/manual-clock.ts';

const MINUTE = 60_000;

function bench() {
  const clock = createManualClock();
  const told: string[] = [];
  const limit = new FloodLimit<string>(clock, (event) => event, {
    one: (event) => told.push(event),
    more: (source, count) => told.push(`${source} ${count} more`),
    others: (count) => told.push(`others ${count}`),
  });
  return { clock, told, limit };
}

test('the first events of a source are told one by one, the others together a minute later (R226)', () => {
  const { clock, told, limit } = bench();
  for (let at = 0; at < 1000; at++) limit.add('a');
  limit.add('b');
  assert.deepEqual(told, ['a', 'a', 'a', 'a', 'a', 'b']);
  clock.advance(MINUTE);
  assert.deepEqual(told.slice(6), ['a 995 more']);
  assert.equal(clock.pending, 0, 'no timer is left when nothing happens');
  limit.add('a');
  assert.equal(told.at(-1), 'a');
  clock.advance(MINUTE);
  assert.equal(told.length, 8, 'a few need no sum');
});

test('many sources cause a bounded number of lines, and those with most events are named (R226)', () => {
  const { clock, told, limit } = bench();
  for (let round = 0; round < 3; round++) for (let at = 0; at < 20_000; at++) limit.add(`s${at}`);
  for (let at = 0; at < 500; at++) limit.add('s700');
  assert.equal(told.length, 100);
  clock.advance(MINUTE);
  assert.equal(told.length, 151);
  assert.equal(told[100], 's700 503 more');
  assert.match(told.at(-1) ?? '', /^others \d+$/);
  const counted = told.slice(100).reduce((sum, line) => sum + Number(/\d+(?= more$|$)/.exec(line)?.[0]), 0);
  assert.equal(counted + 100, 60_500, 'each event is in a line');
});

test('what was counted is told at the end (R226)', () => {
  const { clock, told, limit } = bench();
  for (let at = 0; at < 7; at++) limit.add('a');
  limit.flush();
  assert.equal(told.at(-1), 'a 2 more');
  assert.equal(clock.pending, 0);
  limit.flush();
  assert.equal(told.length, 6);
});
