import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './judge.ts';
import { parse, roundtrip } from './lists.ts';
import { conformance, FIXTURES, ofKind } from './run.ts';
import { idOf, type Row, readRows, rowOf } from './vectors.ts';

const reports = await conformance(FIXTURES);

for (const report of reports) {
  test(`every ${report.name} row passes or deviates for a reason`, () => {
    assert.deepEqual(ofKind(report, 'failed'), []);
    assert.ok(ofKind(report, 'passed').length > 0);
  });
}

test('every vector file is judged', () => {
  const lists = ['parse', 'roundtrip', 'strip', 'due', 'generate', 'eras'];
  const names = [...lists, 'addr', 'envfrom', 'url', 'session', 'reply'];
  assert.deepEqual(reports.map((report) => report.name).sort(), names.sort());
});

test('at most 12 % of the parse and roundtrip rows deviate', () => {
  const both = reports.filter(({ name }) => name === 'parse' || name === 'roundtrip');
  const rows = both.flatMap(({ judgements }) => judgements);
  const deviations = both.flatMap((report) => ofKind(report, 'deviation'));
  assert.ok(deviations.length / rows.length <= 0.12, `${deviations.length} of ${rows.length}`);
});

function row(name: string, id: string): Row {
  const found = readRows(FIXTURES, name)?.find((each) => idOf(each) === id);
  assert.ok(found, `${name} ${id}`);
  return found;
}

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

test('a row that differs without a known defect fails', async () => {
  const plain = row('parse', 'p0001');
  const wrong = { ...plain, expect: { ...rowOf(plain, 'expect'), message_id: 4712 } };
  assert.equal((await judge(parse, plain)).kind, 'passed');
  assert.equal((await judge(parse, wrong)).kind, 'failed');
});

test('a known defect excuses itself alone: any other difference in the row still fails', async () => {
  const ceiling = row('roundtrip', 'c-first-12');
  const expect = Buffer.from(String(ceiling.expect_b64), 'base64').toString('latin1');
  assert.equal((await judge(roundtrip, ceiling)).kind, 'deviation');
  for (const other of [
    `${expect}remote|x@y|0|\n`,
    expect.replace('msgid|', 'msgid|1'),
    expect.replace('retry|', 'retry| '),
  ]) {
    assert.equal((await judge(roundtrip, { ...ceiling, expect_b64: base64(other) })).kind, 'failed');
  }
});
