/** Nothing that a server or a list says becomes markup, or is hidden, in the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeHtml } from '../../src/output/html/escape.ts';

for (const [text, shown] of [
  [`<a href="x" title='y'>&`, '&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;'],
  ['\x1b]0;title\x07\x1b[31m\0', '\\x1b]0;title\\x07\\x1b[31m\\x00'],
  ['abc\u202edef\u200b', 'abc\\u{202e}def\\u{200b}'],
  ['one\n\ttwo\r', 'one\n\ttwo\\r'],
] as const)
  test(`${JSON.stringify(text)} on the page`, () => assert.equal(escapeHtml(text), shown));

test('no character of a class that does harm is left, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(escapeHtml(text), /[<>"'\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});
