import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeliveryList, stripHeader } from '../../src/delivery-list/header.ts';

const LIST = 'msgid|1\nsubmitted|2\nremote|a:b@c|0||\n';
const TYPE = 'Content-type: application/x-citadel-delivery-list';

/** stored form, lines of its header */
const FORMS: Readonly<Record<string, readonly [string, number]>> = {
  'as Citadel stores it': [`${TYPE}\n\n${LIST}`, 2],
  'CRLF throughout (R087)': [`${TYPE}\r\n\r\n${LIST.replaceAll('\n', '\r\n')}`, 2],
  'several headers': [`MIME-Version: 1.0\n${TYPE}\nX-Y: z\n\n${LIST}`, 4],
  'several headers, CRLF': [`Date: x\r\n${TYPE}\r\n\r\n${LIST.replaceAll('\n', '\r\n')}`, 3],
  'folded header': [`${TYPE};\n\tcharset=y\n\n${LIST}`, 3],
  'header ends LF CRLF (s015)': [`${TYPE}\n\r\n${LIST}`, 2],
  'no header (s001)': [LIST, 0],
  'blank line first (s008)': [`\n${LIST}`, 1],
  'no blank line behind the header': [`${TYPE}\n${LIST}`, 1],
  'a blank in the blank line (s023)': [`${TYPE}\n \n${LIST}`, 2],
};

for (const [name, [stored, headerLines]] of Object.entries(FORMS)) {
  test(`header taken off: ${name}`, () => {
    assert.deepEqual(stripHeader(stored), { instructions: LIST, headerLines });
  });
}

test("C's own form keeps the bytes of its instructions", () => {
  const body = 'msgid|1\r\nremote|a@b|0|x\r\n';
  assert.equal(stripHeader(`${TYPE}\r\n\n${body}`).instructions, body);
  assert.equal(stripHeader(`${TYPE}\n\n\n${body}`).instructions, `\n${body}`);
});

test('a header and nothing else', () => {
  assert.deepEqual(stripHeader(`${TYPE}\n`), { instructions: '', headerLines: 1 });
  assert.deepEqual(stripHeader(''), { instructions: '', headerLines: 0 });
});

const TYPES: readonly [string, boolean][] = [
  [`${TYPE}\n\nmsgid|1\n`, true],
  ['CONTENT-TYPE:APPLICATION/X-CITADEL-DELIVERY-LIST\r\n\r\n', true],
  ['Date: x\nContent-Type: application/x-citadel-delivery-list; charset=utf-8\n\n', true],
  ['Content-Type:\r\n application/x-citadel-delivery-list\r\n\r\n', true],
  [`Subject: x\n\n${TYPE}\n\n`, false],
  [`X: y\n\t${TYPE}\n\n`, false],
  ['Content-type: application/x-citadel-delivery-list2\n\n', false],
  ['Content-type: text/plain; x=application/x-citadel-delivery-list\n\n', false],
  [`X-${TYPE}\n\n`, false],
  ['msgid|1\n', false],
  ['', false],
];

for (const [head, expected] of TYPES) {
  test(`${expected ? 'a delivery list' : 'no delivery list'}: ${JSON.stringify(head)}`, () => {
    assert.equal(isDeliveryList(head), expected);
  });
}

test('a million header lines, folds, blanks: all linear', () => {
  for (const head of ['A: b\n', ' x\n', 'A: b\r\n \r\n', '\t']) {
    const text = `A: b\n${head.repeat(300_000)}`;
    const started = performance.now();
    stripHeader(text);
    isDeliveryList(text);
    assert.ok(performance.now() - started < 2_000, JSON.stringify(head));
  }
});
