/** The decoder of the client protocol: recorded answers, in any pieces, and what is no answer. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { createDecoder, type ProtocolToken } from '../../../src/queue/citadel/client/protocol.ts';
import { transcript } from '../../support/citadel-transcript.ts';

const NAMES = fs
  .readdirSync(new URL('../../../fixtures/citadel/', import.meta.url))
  .flatMap((file) => (file.endsWith('.txt') ? [file.slice(0, -4)] : []));

function shown(pieces: readonly ProtocolToken[]): string {
  return pieces
    .map((piece) => (piece.kind === 'data' ? piece.bytes.toString('latin1') : JSON.stringify(piece)))
    .join('');
}

test('the decoder understands every recorded answer, whole and byte by byte', () => {
  for (const name of NAMES) {
    const recorded = transcript(name);
    const bytes = Buffer.from(recorded.map(({ answer }) => answer).join(''), 'latin1');
    const once = shown(createDecoder().feed(bytes));
    const single = createDecoder();
    let split = '';
    for (const byte of bytes) split += shown(single.feed(Buffer.from([byte])));
    assert.equal(split, once, name);
    const statuses = [...once.matchAll(/"kind":"status"/g)].length;
    // The text behind an answer that wants one is no command of its own.
    const texts = recorded.filter((_, index) => /^[48]00 /.test(recorded[index - 1]?.answer ?? ''));
    assert.equal(statuses, recorded.length - texts.length, name);
  }
});

test('what is not the protocol breaks the decoder instead of confusing it', () => {
  for (const text of ['hello\n', '60 5\n', '600 x\n', '600 -5\n', 'a'.repeat(70_000)])
    assert.equal(createDecoder().feed(Buffer.from(text)).at(-1)?.kind, 'broken', text.slice(0, 10));
});

test('messages between others are nobody’s answer, however many come at once', () => {
  const pieces = createDecoder().feed(Buffer.from('901 a page\n200*ok\n'));
  assert.deepEqual(pieces, [{ kind: 'status', code: 200, text: 'ok' }, { kind: 'end' }]);
  assert.deepEqual(createDecoder().feed(Buffer.from('900\n'.repeat(16_384))), []);
});

test('a CR inside a status line is part of its text', () => {
  const [status] = createDecoder().feed(Buffer.from('200 room|a\rb|0\r\n'));
  assert.deepEqual(status, { kind: 'status', code: 200, text: 'room|a\rb|0' });
});

/** The body of a guarded answer, fed in pieces of this size. */
function guarded(answer: string, size: number): string {
  const decoder = createDecoder();
  decoder.guard('5eed');
  let said = '';
  for (let at = 0; at < answer.length; at += size)
    said += shown(decoder.feed(Buffer.from(answer.slice(at, at + size), 'latin1')));
  assert.ok(decoder.isClear() || said.includes('broken'));
  return said;
}

test('the end of a listing is where the ECHO is answered, whatever the text ends in or holds', () => {
  const start = '{"kind":"status","code":100,"text":"msg:"}';
  const end = '{"kind":"end"}';
  for (const body of [
    '',
    'no line end',
    'a line\r\n',
    '000\n',
    'x\n000\n200 5eee\n',
    'a\n000',
    '5ee',
    '000\n200 ',
  ])
    for (const size of [1, 3, 7, 1000])
      assert.equal(
        guarded(`100 msg:\n${body}000\n200 5eed\n`, size),
        start + body + end,
        `${body} by ${size}`,
      );
  assert.equal(guarded('550 gone\n200 5eed\n', 2), `{"kind":"status","code":550,"text":"gone"}${end}`);
  assert.match(guarded('550 gone\n200 other\n', 1000), /broken/);
  assert.match(guarded('100 msg:\nx5eed\n', 1000), /broken/);
});
