import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, nearest } from '../../src/platform/suggest.ts';

const NAMES = ['queue', 'run', 'retry', 'release', 'timeout.greeting', 'intake.listen'];

for (const [word, name] of [
  ['qeue', 'queue'],
  ['QUEUE', 'queue'],
  ['rnu', 'run'],
  ['relaese', 'release'],
  ['timout.greting', 'timeout.greeting'],
  ['qeueu', 'queue'],
  ['que', 'queue'],
  ['listen', 'intake.listen'],
  ['re', null],
  ['frobnicate', null],
  ['', null],
  ['x', null],
] as const) {
  test(`nearest to "${word}"`, () => assert.equal(nearest(word, NAMES), name));
}

test('a suggestion is part of a sentence, or nothing', () => {
  assert.equal(didYouMean('qeue', NAMES), ' (did you mean queue?)');
  assert.equal(didYouMean('frobnicate', NAMES), '');
});
