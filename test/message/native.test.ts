import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NativeMessage, readNative, writeNative } from '../../src/message/native.ts';
import { readConcatenation } from './concatenation.ts';
import { fixture, latin1 } from './support.ts';

function read(bytes: Buffer): { message: NativeMessage; end: number; problems: readonly string[] } {
  const result = readNative(bytes);
  assert.equal(result.kind, 'message');
  return result;
}

const plain = (message: NativeMessage): unknown => ({
  ...message,
  fields: [...message.fields].sort(),
  text: message.text?.toString('latin1') ?? null,
});

test('the example of the format', () => {
  const { message, end, problems } = read(latin1('\xffA\x01T1342224000\0ACitadel\0OAide\0Mhello\n\0'));
  assert.deepEqual([message.anonymous, message.format, message.text?.toString()], [65, 1, 'hello\n']);
  assert.deepEqual(
    [...message.fields],
    [
      ['T', '1342224000'],
      ['A', 'Citadel'],
      ['O', 'Aide'],
    ],
  );
  assert.deepEqual([end, problems], [38, []]);
});

test('messages of real servers are written back byte for byte', () => {
  const names = readdirSync(new URL('../../fixtures/messages/', import.meta.url)).filter((name) =>
    name.endsWith('.native'),
  );
  assert.ok(names.length >= 10);
  for (const name of names) {
    const bytes = fixture(name);
    const { message, end, problems } = read(bytes);
    assert.deepEqual([end, problems], [bytes.length, []], name);
    const order = name.startsWith('2012') ? '2012' : '2016';
    assert.deepEqual(writeNative(message, order), bytes, name);
  }
});

test('field order of each era', () => {
  const letters = 'UYZXVSQLKGJWECBDRHNOFATPI0123';
  const message: NativeMessage = {
    anonymous: 65,
    format: 4,
    fields: new Map([...letters].map((letter) => [letter, letter.toLowerCase()])),
    text: latin1('t'),
  };
  const order = (era: '2012' | '2016' | '2023'): string =>
    writeNative(message, era)
      .toString('latin1', 3)
      .split('\0')
      .map((part) => part[0] ?? '')
      .join('');
  assert.equal(order('2012'), 'IPTAFONHRDBCEWJGKLQSVXZYU0123M');
  assert.equal(order('2016'), 'IPTAFONHRDBCEWJKLSVYU012ZXQG3M');
  assert.equal(order('2023'), 'IPTAFORBEWJKLVYU012ZXSQGCDHN3M');
});

const odd: readonly (readonly [
  string,
  string,
  Partial<Record<'fields' | 'text' | 'end' | 'problem', unknown>>,
])[] = [
  ['NULs between fields are skipped', '\xffA\x01\0\0Ax\0\0\0Mt\0', { fields: [['A', 'x']], text: 't' }],
  ['of a repeated letter the last value wins', '\xffA\x01Ax\0Ay\0Mt\0', { fields: [['A', 'y']] }],
  [
    'unknown letters are kept',
    '\xffA\x01?x\0\xe9y\0Mt\0',
    {
      fields: [
        ['?', 'x'],
        ['\xe9', 'y'],
      ],
    },
  ],
  ['no M', '\xffA\x01Ax\0', { text: null, problem: /no field M/ }],
  ['an empty M', '\xffA\x01M\0', { text: '' }],
  ['0xFF in a text is text', '\xffA\x01Ma\xffb\0', { text: 'a\xffb' }],
  ['what follows M is left alone', '\xffA\x01Mt\0\0\0rubbish', { text: 't', end: 8 }],
  ['a text without its NUL', '\xffA\x01Mtext', { text: 'text', end: 8, problem: /cut off/ }],
  [
    'a field without its NUL',
    '\xffA\x01Axyz',
    { fields: [['A', 'xyz']], text: null, problem: /offset 3 is cut off/ },
  ],
  ['type bytes that are NUL', '\xff\0\0Mt\0', { text: 't' }],
];

for (const [name, bytes, expected] of odd) {
  test(`read: ${name}`, () => {
    const { message, end, problems } = read(latin1(bytes));
    if ('fields' in expected) assert.deepEqual([...message.fields], expected.fields);
    if ('text' in expected) assert.equal(message.text?.toString('latin1') ?? null, expected.text);
    if ('end' in expected) assert.equal(end, expected.end);
    if (expected.problem instanceof RegExp) assert.match(problems.join(), expected.problem);
    else assert.deepEqual(problems, []);
  });
}

for (const [name, bytes] of [
  ['nothing', ''],
  ['text', 'From: x\n'],
  ['one byte', '\xff'],
  ['two bytes', '\xffA'],
] as const) {
  test(`unreadable: ${name}`, () => assert.equal(readNative(latin1(bytes)).kind, 'unreadable'));
}

test('a concatenation is cut at fields, not at 0xFF bytes', () => {
  const parts = ['\xffA\x01AJ\xffrg\0Mone \xffA\x01\0\0\0', '\xffA\x04Alost\0', '\xffB\x01Mthree\0'];
  const { messages, end, problems } = readConcatenation(latin1(parts.join('')));
  assert.deepEqual(
    messages.map((message) => message.text?.toString('latin1')),
    ['one \xffA\x01', undefined, 'three'],
  );
  assert.equal(end, parts.join('').length);
  assert.match(problems.join(), /^message at offset \d+ has no field M/);
});

test('a concatenation stops where no message begins, and says so', () => {
  const { messages, end, problems } = readConcatenation(latin1('\xffA\x01Mone\0rubbish\xffA\x01Mtwo\0'));
  assert.deepEqual([messages.length, end], [1, 8]);
  assert.match(problems.join(), /offset 8.*15 bytes were not read/);
});

test('a NUL in a value cannot start a field', () => {
  const message: NativeMessage = {
    anonymous: 65,
    format: 1,
    fields: new Map([['U', 'a\0Vb']]),
    text: latin1('c\0Vd'),
  };
  const again = read(writeNative(message, '2016')).message;
  assert.deepEqual([...again.fields], [['U', 'a Vb']]);
  assert.equal(again.text?.toString(), 'c Vd');
});

const value = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const letter = fc
  .integer({ min: 1, max: 254 })
  .filter((code) => code !== 0x4d)
  .map((code) => String.fromCharCode(code));
const message = fc.record({
  anonymous: fc.integer({ min: 0, max: 255 }),
  format: fc.integer({ min: 0, max: 255 }),
  fields: fc.dictionary(letter, value).map((fields) => new Map(Object.entries(fields))),
  text: value.map(latin1),
});

test('written and read again is the same message, in every order', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 4 }),
      fc.constantFrom('2012' as const, '2016' as const, '2023' as const),
      (list, order) => {
        const { messages, problems } = readConcatenation(
          Buffer.concat(list.map((each) => writeNative(each, order))),
        );
        assert.deepEqual(messages.map(plain), list.map(plain));
        assert.deepEqual(problems, []);
      },
    ),
  );
});

test('any bytes are read without a throw and within their bounds', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0xff, 0x4d, 0x41, 1, 0x0a), { maxLength: 60 }), (list) => {
      const { end } = readConcatenation(Buffer.from(list));
      assert.ok(end <= list.length);
    }),
    { numRuns: 1000 },
  );
});
