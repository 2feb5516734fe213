/** Runs the examples of techdoc/stored-messages.md: each result block is checked against the stored block before it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readNative } from '../../src/message/native.ts';
import { controlTextOf, wrapControlText } from '../../src/message/stored.ts';
import { latin1, render } from './support.ts';

const page = readFileSync(new URL('../../techdoc/stored-messages.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, kind = '', text = '']) => ({
  kind,
  text,
}));

const ESCAPES: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r' };

function unescaped(text: string): string {
  return text.replace(/\\(?:x([\da-f]{2})|([0nr]))/g, (_, hex, letter) =>
    hex === undefined ? (ESCAPES[letter] ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const oneLine = (text: string): Buffer => latin1(unescaped(text.replaceAll('\n', '')));

function fieldsOf(bytes: Buffer): string {
  const read = readNative(bytes);
  assert.equal(read.kind, 'message');
  const text = read.message.text?.toString('latin1') ?? '';
  return [...read.message.fields, ['M', text]].map(([letter, value]) => `${letter} ${value}\n`).join('');
}

const delivered = (list: string): string => list.replace('|0||', '|2|250 ok');

const CHECKS: Readonly<Record<string, (stored: Buffer, expected: string) => void>> = {
  fields: (stored, expected) => assert.equal(fieldsOf(stored), expected.replace(/\\n(?=\n)/g, '\n')),
  mail: (stored, expected) =>
    assert.equal(
      render(stored, { fqdn: 'citadel.example.org' }),
      unescaped(expected).replaceAll('\n', '\r\n'),
    ),
  rewritten: (stored, expected) => {
    const list = delivered(controlTextOf(stored) ?? '');
    assert.deepEqual(wrapControlText(list, 'native', stored), oneLine(expected));
  },
};

test('the page has examples of each kind', () => {
  for (const kind of Object.keys(CHECKS))
    assert.ok(
      blocks.some((block) => block.kind === kind),
      kind,
    );
});

blocks.forEach(({ kind, text }, index) => {
  const check = CHECKS[kind];
  if (check === undefined) return;
  test(`example ${index + 1} (${kind})`, () => check(oneLine(blocks[index - 1]?.text ?? ''), text));
});
