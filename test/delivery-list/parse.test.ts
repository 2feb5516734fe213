import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialectEvidence } from '../../src/delivery-list/dialect.ts';
import type { Dialect, Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';

function list(text: string, dialect: Dialect | 'detect' = '2012', fallback: Dialect = '2012') {
  const parsed = parseDeliveryList(text, { dialect, fallback });
  assert.ok(parsed.kind === 'list', 'unreadable');
  return parsed;
}

const job = (text: string, dialect: Dialect | 'detect' = '2012'): Job => list(text, dialect).job;

const EVIDENCE: readonly [string, string, Dialect | null][] = [
  ['a first control message', 'msgid|1\nsubmitted|2\nbounceto|J@n\nremote|a@b|0||\n', null],
  ['a 2012 rewrite', 'msgid|1\nsubmitted|2\nretry|300\nattempted|302\nremote|a@b|4|greylisted\n', '2012'],
  ['a 2017 rewrite', '\nmsgid|1\nsubmitted|2\nremote|a@b|4|450 (450 4.2.1 busy )\nattempted|9\n', '2017'],
  ['attempted before the recipients, no retry', 'msgid|1\nattempted|9\nremote|a@b|4|later\n', null],
  ['attempted behind the recipients, old texts', 'msgid|1\nremote|a@b|4|later\nattempted|9\n', '2017'],
  ['a 2017 text without attempted', 'msgid|1\nremote|a@b|5|550 (no such user)\n', '2017'],
  ['a delivered recipient', 'msgid|1\nremote|a@b|2|ok\nremote|c@d|0||\n', '2012'],
  ['capitals', 'MSGID|1\nRemote|a@b|0||\n', '2017'],
  ['retry wins over capitals', 'MSGID|1\nretry|300\nremote|a@b|0||\n', '2012'],
  ['a CR inside a field starts no line', 'msgid|1\nbounceto|x\rretry|300\nremote|a@b|0||\n', null],
  ['retry in a status text', 'msgid|1\nremote|retry|0|retry|\n', null],
];

for (const [name, text, dialect] of EVIDENCE) {
  test(`era of ${name}`, () => {
    assert.equal(dialectEvidence(text)?.dialect ?? null, dialect);
    for (const fallback of ['2012', '2017'] as const) {
      assert.equal(list(text, 'detect', fallback).job.dialect, dialect ?? fallback);
    }
  });
}

test('the eras read the same bytes differently', () => {
  const text = 'MSGID|7\r\nmsgid|8\r\nbounceto|a|b\r\nretry|600\r\nattempted|9\r\nremote\nremote|x@y|4|t\r\n';
  const old = job(text, '2012');
  const late = job(text, '2017');
  assert.deepEqual([old.msgid, old.bounceto, old.retry, old.recipients.length], [8, 'a', 1200, 2]);
  assert.deepEqual([late.msgid, late.bounceto, late.retry, late.recipients.length], [8, 'a|b', 300, 1]);
  assert.equal(old.recipients[1]?.text, 't\r');
  assert.equal(late.recipients[0]?.text, 't');
  assert.equal(job('MSGID|7\nremote|a@b|0||\n', '2017').msgid, 7);
});

test('attempted is read in full, so that 2038 is an ordinary year', () => {
  assert.equal(job('msgid|1\nattempted|4102444800\n').attempted, 4102444800);
});

test('a text without an instruction is unreadable, in a sentence', () => {
  for (const text of ['', '\n\n', 'hello\nworld\n', '\0msgid|1\n']) {
    const parsed = parseDeliveryList(text, { dialect: 'detect', fallback: '2012' });
    assert.equal(parsed.kind, 'unreadable');
  }
});

test('what a person should know is a warning with its line', () => {
  const { warnings, job: read } = list('msgid|12x\nfoo|bar\n\nmsgid|13\nremote||0||\nsubmitted\n');
  assert.deepEqual(warnings, [
    { line: 1, text: 'msgid is "12x", read as 12' },
    { line: 2, text: 'not an instruction, ignored: "foo|bar"' },
    { line: 4, text: 'msgid is given more than once, this line counts' },
    { line: 5, text: 'recipient without an address' },
    { line: 6, text: 'submitted without a value, ignored' },
  ]);
  assert.deepEqual(read.unknownLines, ['foo|bar']);
  assert.equal(read.submitted, null);
  assert.match(list('remote|a@b|0||\n').warnings[0]?.text ?? '', /names no payload/);
  assert.deepEqual(list('msgid|1\nsubmitted|2\nremote|a@b|0||\n').warnings, []);
});

test('names of object members are no keywords', () => {
  assert.deepEqual(job('msgid|1\nconstructor|x\n__proto__|y\n').unknownLines, [
    'constructor|x',
    '__proto__|y',
  ]);
});

test('a million odd lines give a hundred warnings and one more', () => {
  assert.equal(list(`msgid|1\n${'x\n'.repeat(1_000_000)}`).warnings.length, 101);
});

/** The slowest of some shapes, against a plain text of the same size: quadratic work would be a thousand times slower. */
test('hostile shapes cost no more than their length', () => {
  const size = 1_000_000;
  const shapes = {
    'one line without an end': 'a'.repeat(size),
    'lines without bars': 'remote\n'.repeat(size / 7),
    'bars only': '|'.repeat(size),
    'one number of a million digits': `msgid|${'9'.repeat(size)}`,
    'blanks in a number': `msgid|${' '.repeat(size)}`,
    'empty lines': '\n'.repeat(size),
    CRs: `msgid|1\n${'\r'.repeat(size)}\n`,
    'half keywords': `msgid|1${'\nremote'.repeat(size / 7)}`,
  };
  for (const [name, text] of Object.entries(shapes)) {
    const started = performance.now();
    parseDeliveryList(text, { dialect: 'detect', fallback: '2017' });
    assert.ok(performance.now() - started < 2_000, name);
  }
});
