/** The line reader alone: every way of cutting a stream into reads gives the same lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLineReader, type Feed } from '#net-stream-utils';

function feedAll(pieces: readonly string[], limit?: number): Feed[] {
  const reader = createLineReader(limit);
  return pieces.map((piece) => reader.feed(piece));
}

function linesOf(feeds: readonly Feed[]): string[] {
  return feeds.flatMap((feed) => feed.lines);
}

const cases = [
  { pieces: ['220 hello\r\n'], lines: ['220 hello'], partial: false },
  { pieces: ['220 hello\n'], lines: ['220 hello'], partial: false },
  { pieces: ['250-a\r\n250 b\r\n'], lines: ['250-a', '250 b'], partial: false },
  { pieces: ['250 a\r', '\n'], lines: ['250 a'], partial: false },
  { pieces: ['250 a', '\r\n'], lines: ['250 a'], partial: false },
  { pieces: ['250 a\r\n25'], lines: ['250 a'], partial: true },
  { pieces: ['250 a\r\n', '\r'], lines: ['250 a'], partial: true },
  { pieces: ['\r\n\n'], lines: ['', ''], partial: false },
  { pieces: ['a\rb\r\r\n'], lines: ['a\rb\r'], partial: false },
  { pieces: ['\0\x80\xff\r\n'], lines: ['\0\x80\xff'], partial: false },
  { pieces: [''], lines: [], partial: false },
];

for (const { pieces, lines, partial } of cases) {
  test(`${JSON.stringify(pieces)} is ${lines.length} line(s)`, () => {
    const feeds = feedAll(pieces);
    assert.deepEqual(linesOf(feeds), lines);
    assert.equal(feeds.at(-1)?.partial, partial);
    assert.ok(feeds.every((feed) => !feed.overlong));
  });
}

test('any cut of any bytes gives the lines of the whole', () => {
  const piece = fc.stringMatching(/^[ab\r\n\xff]{0,6}$/);
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      assert.deepEqual(linesOf(feedAll(pieces)), linesOf(feedAll([pieces.join('')])));
      assert.deepEqual(linesOf(feedAll([...pieces.join('')])), linesOf(feedAll([pieces.join('')])));
    }),
  );
});

test('a line may be as long as the limit, whatever ends it', () => {
  for (const end of ['\n', '\r\n']) {
    assert.deepEqual(feedAll([`12345678${end}`], 8)[0]?.lines, ['12345678']);
    assert.deepEqual(linesOf(feedAll([...`12345678${end}`], 8)), ['12345678']);
  }
});

test('a longer line is reported as soon as it is known, the lines before it still come', () => {
  assert.deepEqual(feedAll(['ok\r\n123456789'], 8), [{ lines: ['ok'], partial: true, overlong: true }]);
  assert.deepEqual(feedAll(['ok\r\n123456789\r\n'], 8), [{ lines: ['ok'], partial: false, overlong: true }]);
  assert.equal(feedAll([...'123456789'], 8).at(-1)?.overlong, true);
});

test('the limit is 4096 bytes when none is given', () => {
  assert.equal(feedAll(['x'.repeat(4096)])[0]?.overlong, false);
  assert.equal(feedAll(['x'.repeat(4097)])[0]?.overlong, true);
});
