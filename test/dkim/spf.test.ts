/** SPF (RFC 7208) as far as `spoolroom dkim check` needs it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateSpf, type RecordLookup, type SpfResult } from '../../src/dkim/spf.ts';

const TXT: { readonly [name: string]: readonly string[] } = {
  'all.example': ['v=spf1 -all'],
  'ip.example': ['something else', 'v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 ~all'],
  'a.example': ['v=spf1 a a:other.example/24 ?all'],
  'mx.example': ['v=spf1 mx -all'],
  'include.example': ['v=spf1 include:ip.example -all'],
  'nothing.example': ['v=spf1'],
  'redirect.example': ['v=spf1 redirect=ip.example'],
  'loop.example': ['v=spf1 include:loop.example -all'],
  'two.example': ['v=spf1 +all', 'v=spf1 -all'],
  'macro.example': ['v=spf1 exists:%{i}.x.example -all'],
  'gone.example': ['v=spf1 include:none.example -all'],
};

const lookup: RecordLookup = {
  txt: async (name) => (name === 'down.example' ? null : (TXT[name] ?? [])),
  addresses: async (name) =>
    ({ 'a.example': ['192.0.2.1'], 'other.example': ['198.51.100.1'], 'host.mx.example': ['192.0.2.9'] })[
      name
    ] ?? [],
  mx: async (name) => (name === 'mx.example' ? ['host.mx.example'] : []),
  ptr: async () => [],
};

const CASES: readonly (readonly [string, string, SpfResult])[] = [
  ['192.0.2.1', 'all.example', 'fail'],
  ['192.0.2.1', 'ip.example', 'pass'],
  ['192.0.2.16', 'ip.example', 'softfail'],
  ['2001:db8:1::5', 'ip.example', 'pass'],
  ['192.0.2.1', 'a.example', 'pass'],
  ['198.51.100.200', 'a.example', 'pass'],
  ['198.51.101.1', 'a.example', 'neutral'],
  ['192.0.2.9', 'mx.example', 'pass'],
  ['192.0.2.10', 'mx.example', 'fail'],
  ['192.0.2.1', 'include.example', 'pass'],
  ['203.0.113.1', 'include.example', 'fail'],
  ['192.0.2.1', 'nothing.example', 'neutral'],
  ['203.0.113.1', 'redirect.example', 'softfail'],
  ['192.0.2.1', 'loop.example', 'unknown'],
  ['192.0.2.1', 'two.example', 'unknown'],
  ['192.0.2.1', 'macro.example', 'unknown'],
  ['192.0.2.1', 'gone.example', 'unknown'],
  ['192.0.2.1', 'down.example', 'unknown'],
  ['192.0.2.1', 'without.example', 'none'],
];

for (const [address, domain, result] of CASES)
  test(`${address} for ${domain}: ${result}`, async () => {
    assert.equal(await evaluateSpf(address, domain, lookup), result);
  });
