import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LinePosition, stuffDots } from '../../src/smtp/dot-stuffing.ts';

function stuffed(pieces: readonly string[]): string {
  let position: LinePosition = 'line-start';
  let out = '';
  for (const piece of pieces) {
    const step = stuffDots(Buffer.from(piece, 'latin1'), position);
    out += step.bytes.toString('latin1');
    position = step.position;
  }
  return out;
}

for (const [body, sent] of [
  ['.\r\n', '..\r\n'],
  ['.hidden\r\n..\r\n', '..hidden\r\n...\r\n'],
  ['a.\r\n.\r\n', 'a.\r\n..\r\n'],
  ['no dots\r\n', 'no dots\r\n'],
  ['', ''],
] as const) {
  test(`${JSON.stringify(body)} goes out as ${JSON.stringify(sent)} (R026, C18)`, () =>
    assert.equal(stuffed([body]), sent));
}

test('wherever the message is cut, the same dots are doubled', () => {
  const body = fc
    .array(fc.constantFrom('.', '..', 'a', '\r\n', '.\r\n', '\r\n.'), { maxLength: 12 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(body, fc.array(fc.nat(30), { maxLength: 6 }), (whole, cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, index) => whole.slice(places[index], end));
      assert.equal(stuffed(pieces), whole.replace(/(^|\r\n)\./g, '$1..'));
    }),
    { numRuns: 500 },
  );
});

test('a message of dots alone costs no more than its length', () => {
  const began = performance.now();
  stuffDots(Buffer.from('.\r\n'.repeat(1_000_000)), 'line-start');
  assert.ok(performance.now() - began < 2000);
});
