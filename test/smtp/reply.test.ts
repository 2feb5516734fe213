import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { createLineReader } from '#net-stream-utils';
import type { Reply } from '../../src/smtp/reply.ts';
import { BOUNDS, NO_LINES, readReplyLine } from '../../src/smtp/reply.ts';

/** The replies in these lines; `?` for what is none. */
function replies(...lines: readonly string[]): readonly (Reply | '?')[] {
  const found: (Reply | '?')[] = [];
  let partial = NO_LINES;
  for (const line of lines) {
    const step = readReplyLine(partial, line);
    partial = step.type === 'more' ? step.partial : NO_LINES;
    if (step.type === 'reply') found.push(step.reply);
    if (step.type === 'protocol-error') found.push('?');
  }
  return found;
}

const only = (...lines: readonly string[]): Reply | '?' | undefined => replies(...lines)[0];

test('a multi-line reply is one reply, with its whole text (R003, R101)', () => {
  assert.deepEqual(replies('550-5.1.1 no', '550-such', '550 5.1.1 user', '250 ok'), [
    { code: 550, enhanced: '5.1.1', text: '5.1.1 no\nsuch\n5.1.1 user' },
    { code: 250, enhanced: null, text: 'ok' },
  ]);
});

test('the last line decides when the codes differ', () => {
  assert.deepEqual(only('250-ok', '550 but no'), { code: 550, enhanced: null, text: 'ok\nbut no' });
});

test('a code is the first three digits of the line, not later digits (C32)', () => {
  assert.deepEqual(only('250 SIZE 35500000'), { code: 250, enhanced: null, text: 'SIZE 35500000' });
  assert.deepEqual(only('250'), { code: 250, enhanced: null, text: '' });
});

test('an enhanced code counts when its class matches the reply', () => {
  assert.equal((only('550 5.7.26 no') as Reply).enhanced, '5.7.26');
  assert.equal((only('450 5.7.26 no') as Reply).enhanced, null);
  assert.equal((only('250 2.0.0') as Reply).enhanced, '2.0.0');
  assert.equal((only('550 5.1.1000 no') as Reply).enhanced, null);
});

for (const line of [
  '',
  '2',
  '25',
  '25x ok',
  'abc',
  ' 250 ok',
  '-250 ok',
  '150 wait',
  '650 what',
  '000',
  '\u0662\u0665\u0660 ok',
])
  test(`${JSON.stringify(line)} is no reply`, () => assert.equal(only(line), '?'));

test('a reply of more than 512 lines is a protocol error', () => {
  assert.equal(only(...Array.from({ length: 512 }, () => '250-more')), undefined);
  assert.equal(only(...Array.from({ length: 513 }, () => '250-more')), '?');
});

test('of a long reply the beginning is kept, with a mark for what is not', () => {
  const lines = Array.from({ length: 500 }, (_, at) => `${at < 499 ? '250-' : '250 '}${'x'.repeat(4000)}`);
  const reply = only(...lines);
  assert.ok(reply !== undefined && reply !== '?');
  assert.ok(reply.text.length <= BOUNDS.replyText + 50);
  assert.match(reply.text, /^x{4000}\n.*\n\[1984000 more bytes are left out\]$/s);
});

describe('replies, whatever a server says', () => {
  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 400,
  });
  const likely = fc.stringMatching(/^[0-9a]{0,4}[ -]?[245]?\.?[0-9.]{0,5} ?.{0,20}$/);
  const lines = fc.array(fc.oneof(bytes, likely), { maxLength: 40 });

  it('never throw, have a bounded size, and are decided by the last line', () => {
    fc.assert(
      fc.property(lines, (said) => {
        let partial = NO_LINES;
        for (const line of said) {
          const step = readReplyLine(partial, line);
          if (step.type === 'more') {
            assert.ok(step.partial.lines <= 512);
            partial = step.partial;
            continue;
          }
          partial = NO_LINES;
          if (step.type === 'protocol-error') continue;
          assert.equal(step.reply.code, Number(line.slice(0, 3)));
          assert.ok(step.reply.code >= 200 && step.reply.code <= 599);
          assert.ok(step.reply.text.endsWith(line.slice(4)));
        }
      }),
      { numRuns: 2000, verbose: true },
    );
  });

  it('are the same however the network splits the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(likely, { maxLength: 12 }),
        fc.array(fc.nat(200), { maxLength: 8 }),
        (said, cuts) => {
          const stream = said.map((line) => `${line}\r\n`).join('');
          const places = [
            ...new Set([0, ...cuts.map((cut) => Math.min(cut, stream.length)), stream.length]),
          ].sort((a, b) => a - b);
          const reader = createLineReader();
          const pieces = places
            .slice(1)
            .flatMap((to, index) => reader.feed(stream.slice(places[index], to)).lines);
          assert.deepEqual(pieces, createLineReader().feed(stream).lines);
        },
      ),
      { numRuns: 1000, verbose: true },
    );
  });
});
