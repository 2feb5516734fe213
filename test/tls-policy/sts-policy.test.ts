/** MTA-STS texts: the TXT record, the policy, and which hosts a policy lists (RFC 8461 3.1, 3.2, 4.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LONGEST_AGE, listsHost, parseStsPolicy, stsRecordId } from '../../src/tls-policy/sts-policy.ts';

const RECORDS: readonly (readonly [records: readonly string[], id: string | null, why: string])[] = [
  [['v=STSv1; id=20160831085700Z;'], '20160831085700Z', 'the example of RFC 8461'],
  [['v=STSv1;id=1'], '1', 'without blanks and final semicolon'],
  [['v=STSv1 ; id=a1 ; x=y'], 'a1', 'a field that nobody knows'],
  [['v=STSv1; id=1; id=2'], '1', 'the first of two ids'],
  [['v=spf1 -all', 'v=STSv1; id=1;'], '1', 'another record beside it'],
  [[], null, 'no record'],
  [['v=STSv1; id=1;', 'v=STSv1; id=1;'], null, 'two records, even if they are equal'],
  [['v=STSv1; id=;'], null, 'an empty id'],
  [['v=STSv1; id=2026-01-01;'], null, 'an id with other characters'],
  [[`v=STSv1; id=${'1'.repeat(33)};`], null, 'an id that is too long'],
  [['v=STSv1;'], null, 'no id'],
  [['v=STSv2; id=1;'], null, 'another version'],
  [[' v=STSv1; id=1;'], null, 'a blank before the version'],
];

for (const [records, id, why] of RECORDS)
  test(`record: ${why}`, () => {
    assert.equal(stsRecordId(records), id);
  });

const GOOD =
  'version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net.\r\nmax_age: 604800\r\n';

test('policy: the example of RFC 8461', () => {
  const policy = { mode: 'enforce', mx: ['mail.example.com', '*.example.net'], maxAge: 604800 };
  assert.deepEqual(parseStsPolicy(GOOD), { kind: 'policy', policy });
  assert.deepEqual(parseStsPolicy(GOOD.replaceAll('\r', '')), { kind: 'policy', policy });
  assert.deepEqual(parseStsPolicy(GOOD.trimEnd()), { kind: 'policy', policy });
});

test('policy: unknown fields are ignored, and of repeated ones the first counts', () => {
  const text = `${GOOD}new-thing: 1\r\nmode: none\r\nmax_age: 1\r\n`;
  assert.deepEqual(parseStsPolicy(text), parseStsPolicy(GOOD));
});

test('policy: mode none needs no mx, and a long max_age is cut', () => {
  assert.deepEqual(parseStsPolicy('version: STSv1\nmode: none\nmax_age: 9999999999\n'), {
    kind: 'policy',
    policy: { mode: 'none', mx: [], maxAge: LONGEST_AGE },
  });
});

const BAD: readonly (readonly [from: RegExp | string, to: string, reason: RegExp])[] = [
  ['STSv1', 'STSv2', /version/],
  [/version.*\r\n/, '', /version/],
  ['enforce', 'enforced', /mode/],
  [/mode.*\r\n/, '', /mode/],
  ['604800', '-1', /max_age/],
  ['604800', '1e9', /max_age/],
  [/max_age.*\r\n/, '', /max_age/],
  [/mx: .*\r\n/g, '', /lists no mx/],
  ['mail.example.com', 'mail.*.com', /mx that is neither/],
  ['mail.example.com', '*', /mx that is neither/],
  ['mail.example.com', 'a b', /mx that is neither/],
  ['mx: mail', '<html>', /no field/],
];

for (const [from, to, reason] of BAD)
  test(`policy with ${from} as ${JSON.stringify(to)}: ${reason}`, () => {
    const read = parseStsPolicy(GOOD.replace(from, to));
    assert.ok(read.kind === 'invalid');
    assert.match(read.reason, reason);
  });

test('no text makes the reader throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseStsPolicy(text) !== undefined));
});

test('a wildcard stands for exactly one label', () => {
  const policy = { mx: ['mail.example.com', '*.example.net'] };
  const listed = ['mail.example.com', 'MAIL.example.com.', 'a.example.net'];
  const others = ['example.com', 'x.mail.example.com', 'example.net', 'a.b.example.net', '.example.net'];
  for (const host of listed) assert.equal(listsHost(policy, host), true, host);
  for (const host of others.slice(0, 4)) assert.equal(listsHost(policy, host), false, host);
});
