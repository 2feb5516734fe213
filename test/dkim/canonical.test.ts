/** Relaxed canonicalisation: the example of RFC 6376 3.4.5, and the same bytes however a body is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { relaxedBody, relaxedField } from '../../src/dkim/canonical.ts';

function canonical(...pieces: readonly string[]): string {
  const body = relaxedBody();
  return pieces.map((piece) => body.write(Buffer.from(piece, 'latin1'))).join('') + body.end();
}

test('the example of RFC 6376 3.4.5', () => {
  assert.equal(relaxedField('A', ' X'), 'a:X');
  assert.equal(relaxedField('B ', ' Y\t\r\n\tZ  '), 'b:Y Z');
  assert.equal(canonical(' C \r\nD \t E\r\n\r\n\r\n'), ' C\r\nD E\r\n');
});

for (const [what, body, expected] of [
  ['no body', '', ''],
  ['only blank lines', '\r\n\r\n', ''],
  ['only white space', ' \t \r\n\r\n', ''],
  ['no final line end', 'text  ', 'text\r\n'],
  ['bytes that are blanks elsewhere', '\xa0 \xa0\x85\x0b\r\n', '\xa0 \xa0\x85\x0b\r\n'],
  ['blank lines inside', 'a\r\n\r\n\r\nb\r\n', 'a\r\n\r\n\r\nb\r\n'],
] as const)
  test(`${what}: the canonical body`, () => assert.equal(canonical(body), expected));

test('the same bytes however the body is cut', () => {
  const piece = fc.constantFrom('a', ' ', '\t', '\r\n', '\xe9', 'word');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(60), { maxLength: 6 }), (parts, cuts) => {
      const body = parts.join('');
      const at = [0, ...cuts.filter((cut) => cut <= body.length).sort((a, b) => a - b), body.length];
      const pieces = at.slice(1).map((end, index) => body.slice(at[index], end));
      assert.equal(canonical(...pieces), canonical(body));
    }),
  );
});

test('a line of a megabyte keeps no more than the rest of a piece, and its blanks count once', () => {
  const long = `x${' '.repeat(100_000)}y`.repeat(10);
  assert.equal(canonical(...(long.match(/.{1,4096}/gs) ?? []), '\r\n'), `${'x y'.repeat(10)}\r\n`);
});

test('a million blank lines before the last one cost no more than their length', () => {
  const blank = '\r\n'.repeat(1_000_000);
  const began = process.cpuUsage();
  assert.equal(canonical(`${blank}x`).length, blank.length + 3);
  assert.ok(process.cpuUsage(began).user < 2_000_000);
});
