import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addr } from './addresses.ts';
import { compare } from './compare.ts';
import { eras, parse, roundtrip } from './lists.ts';
import { conformance, FIXTURES, ofKind } from './run.ts';
import { idOf, type Row, readRows, rowOf } from './vectors.ts';

const reports = await conformance(FIXTURES);

for (const report of reports) {
  test(`every ${report.name} row passes or deviates for a reason`, () => {
    assert.deepEqual(ofKind(report, 'failed'), []);
    assert.ok(ofKind(report, 'passed').length > 0);
  });
}

test('every vector file is compared', () => {
  const lists = ['parse', 'roundtrip', 'strip', 'due', 'generate', 'eras'];
  const names = [...lists, 'addr', 'envfrom', 'url', 'session', 'reply'];
  assert.deepEqual(reports.map((report) => report.name).sort(), names.sort());
});

test('at most 12 % of the parse and roundtrip rows deviate', () => {
  const both = reports.filter(({ name }) => name === 'parse' || name === 'roundtrip');
  const rows = both.flatMap(({ comparisons }) => comparisons);
  const deviations = both.flatMap((report) => ofKind(report, 'deviation'));
  assert.ok(deviations.length / rows.length <= 0.12, `${deviations.length} of ${rows.length}`);
});

function row(name: string, id: string): Row {
  const found = readRows(FIXTURES, name)?.find((each) => idOf(each) === id);
  assert.ok(found, `${name} ${id}`);
  return found;
}

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

/** What C makes of each: it takes out the last comment with the byte before it, and only then looks for an @. */
const comments: readonly (readonly [string, string, string, string])[] = [
  ['(a)(b)user@example.com', '(auser', 'example.com', 'b'],
  ['user@(comment)example.com', 'userexample.com', 'citnode', 'comment'],
  ['user (a) @ example.com (b)', 'user (a)', 'example.com', 'b'],
  ['<user(a)@(b)example.com>', 'user(a)', 'example.com', 'b'],
  ['user@example.com (a (b) c)', 'user', 'example.com', 'b) c'],
  ['"user\\"x"@example.com', '"user\\"x"', 'example.com', '"user\\"x"'],
  ['"Joe \\"Six\\"" <user@example.com>', 'user', 'example.com', '"Joe \\"Six\\""'],
];
for (const [address, user, node, name] of comments) {
  test(`comments and quoted names follow RFC 5322 where C does not: ${address}`, async () => {
    const same = { address, user, node, name, memory_check: 'ok' };
    const ours = await addr.ours(same);
    assert.equal((await compare(addr, same)).kind, 'deviation');
    assert.match(ours?.command ?? '', /^RCPT TO:<(?:user|"user\\"x")@example\.com>\r\n$/);
  });
}

test('a refusal in the words of a list of 2023 stays where C drops it', async () => {
  const header = 'Content-type: application/x-citadel-delivery-list\n\n\n';
  const body = (...lines: readonly string[]): string =>
    ['msgid|7', 'submitted|100', 'bounceto|a@b', ...lines, 'attempted|20100', ''].join('\n');
  const waiting = 'remote|x@y|4|421 (Service not available)';
  const list = body(waiting, 'remote|z@w|5|550 (no)', 'remote|v@w|5|No such user', 'remote|u@w|3|later');
  const later = 'remote|x@y|4|421 (later)';
  const row = (rewritten: string): Row => ({
    ...{ of: 'x', crash_2012: null, crash_2023: null, now_2023: 20_100 },
    rewritten_2023_b64: base64(header + rewritten),
  });
  const suite = eras(() => list);
  assert.equal((await compare(suite, row(body(later)))).kind, 'deviation');
  assert.equal((await compare(suite, row(body(later, 'remote|v@w|5|No such user')))).kind, 'failed');
});

test('a row that differs without a known defect fails', async () => {
  const plain = row('parse', 'p0001');
  const wrong = { ...plain, expect: { ...rowOf(plain, 'expect'), message_id: 4712 } };
  assert.equal((await compare(parse, plain)).kind, 'passed');
  assert.equal((await compare(parse, wrong)).kind, 'failed');
});

test('a known defect excuses itself alone: any other difference in the row still fails', async () => {
  const ceiling = row('roundtrip', 'c-first-12');
  const expect = Buffer.from(String(ceiling.expect_b64), 'base64').toString('latin1');
  assert.equal((await compare(roundtrip, ceiling)).kind, 'deviation');
  for (const other of [
    `${expect}remote|x@y|0|\n`,
    expect.replace('msgid|', 'msgid|1'),
    expect.replace('retry|', 'retry| '),
  ]) {
    assert.equal((await compare(roundtrip, { ...ceiling, expect_b64: base64(other) })).kind, 'failed');
  }
});
