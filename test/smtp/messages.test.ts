/** Texts for failures about which the server said nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeEvent } from '../../src/smtp/machine/messages.ts';

test('singular and plural of seconds', () => {
  const after = (seconds: number) => describeEvent({ type: 'timeout', seconds }, 'greeting');
  assert.equal(after(1), 'said nothing for 1 second while we were waiting for the greeting');
  assert.equal(after(30), 'said nothing for 30 seconds while we were waiting for the greeting');
});
