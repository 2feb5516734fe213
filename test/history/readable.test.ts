/** What the history and the log say of an outcome. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeText, outcomeTexts } from '../../src/history/readable.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';

const message = { submitted: null, sender: '', messageId: '<1@a.example>', size: 1 };
const peer = { host: 'mx.example', address: null, port: 25 };
const outcome: Outcome = { kind: 'delivered', code: 250, enhanced: '2.0.0', text: '2.0.0 a\n2.0.0 b', peer };

test('the null sender is shown as such, and the lines of a reply are one', () => {
  assert.deepEqual(
    outcomeText({ message, outcome }, (bytes) => bytes.toUpperCase()),
    { sender: '<>', messageId: '<1@A.EXAMPLE>', text: '2.0.0 A B' },
  );
});

test('what recipients have in common is read once, and anew for the next ones', () => {
  let read = 0;
  const textOf = outcomeTexts((bytes) => `${++read} ${bytes}`);
  const first = textOf({ message, outcome });
  assert.equal(textOf({ message, outcome }), first);
  assert.equal(read, 3);
  assert.equal(textOf({ message: { ...message, sender: 'b' }, outcome }).sender, '4 b');
  assert.equal(textOf({ message, outcome: { ...outcome, text: 'c' } }).text, '9 c');
});
