import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type LinePosition,
  type StuffedPosition,
  stuffDots,
  stuffText,
  unstuffDots,
} from '../../src/smtp/dot-stuffing.ts';

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
  test(`${JSON.stringify(body)} goes out as ${JSON.stringify(sent)} (R026, C18)`, () => {
    assert.equal(stuffed([body]), sent);
    assert.equal(stuffText(body), sent);
  });
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
      assert.equal(stuffText(whole), stuffed(pieces));
    }),
    { numRuns: 500 },
  );
});

test('a message of dots alone costs no more than its length', () => {
  const began = process.cpuUsage();
  stuffDots(Buffer.from('.\r\n'.repeat(1_000_000)), 'line-start');
  assert.ok(process.cpuUsage(began).user < 2_000_000);
});

/** The message, and what comes behind its end; null: it does not end. */
function unstuffed(pieces: readonly string[]): { body: string; rest: string | null } {
  let position: StuffedPosition = 'line-start';
  let body = '';
  for (const [index, piece] of pieces.entries()) {
    const step = unstuffDots(Buffer.from(piece, 'latin1'), position);
    body += Buffer.concat(step.pieces).toString('latin1');
    if (step.end !== null) return { body, rest: piece.slice(step.end) + pieces.slice(index + 1).join('') };
    position = step.position;
  }
  return { body, rest: null };
}

for (const [sent, body, rest] of [
  ['.\r\n', '', ''],
  ['a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'],
  ['..\r\n...\r\n.x\r\n.\r\n', '.\r\n..\r\nx\r\n', ''],
  ['a\n.\nb\n.\r\nc\r.\rd\r\n.\r\n', 'a\n.\nb\n.\r\nc\r.\rd\r\n', ''],
  ['a\n..b\r..c\r\n.\r\n', 'a\n..b\r..c\r\n', ''],
  ['a\r\n.\nb\r\n.\rc\r\n.\r\r\n.\r\n', 'a\r\n\nb\r\n\rc\r\n\r\r\n', ''],
  ['\r\n.', '\r\n', null],
] as const) {
  const until = rest === null ? 'goes on' : `ends before ${JSON.stringify(rest)}`;
  test(`${JSON.stringify(sent)} comes in as ${JSON.stringify(body)} and ${until}`, () => {
    assert.deepEqual(unstuffed([sent]), { body, rest });
    assert.deepEqual(unstuffed([...sent]), { body, rest }, 'byte by byte');
  });
}

test('what is stuffed comes back as it was, wherever the wire cuts it', () => {
  const body = fc
    .array(fc.constantFrom('.', '..', 'a', '\r\n', '\r', '\n', '.\r\n', '\r\n.'), { maxLength: 14 })
    .map((parts) => `${parts.join('')}\r\n`);
  fc.assert(
    fc.property(body, fc.array(fc.nat(40), { maxLength: 6 }), (whole, cuts) => {
      const sent = `${stuffed([whole])}.\r\nNOOP\r\n`;
      const places = [0, ...cuts.sort((a, b) => a - b), sent.length];
      const pieces = places.slice(1).map((end, index) => sent.slice(places[index], end));
      assert.deepEqual(unstuffed(pieces), { body: whole, rest: 'NOOP\r\n' });
    }),
    { numRuns: 1000 },
  );
});

test('whatever comes in, it is the same message wherever the wire cuts it', () => {
  const sent = fc
    .array(fc.constantFrom('.', 'a', '\r\n', '\r', '\n', '.\r', '\r\n.', '\r\n.\r'), { maxLength: 12 })
    .map((parts) => `${parts.join('')}\r\n.\r\n`);
  fc.assert(
    fc.property(sent, fc.array(fc.nat(40), { maxLength: 6 }), (whole, cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, index) => whole.slice(places[index], end));
      assert.deepEqual(unstuffed(pieces), unstuffed([whole]));
    }),
    { numRuns: 3000 },
  );
});

test('lines of dots alone cost no more than their length on their way in', () => {
  const chunk = Buffer.from('..\r\n'.repeat(1_000_000));
  const began = process.cpuUsage();
  unstuffDots(chunk, 'line-start');
  const { user } = process.cpuUsage(began);
  assert.ok(user < 2_000_000, `${user} µs`);
});
