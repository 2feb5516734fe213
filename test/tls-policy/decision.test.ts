/** What DANE and MTA-STS demand together: every case has one row, and records and hosts lead to the right ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TlsaRecord } from '#net-stream-utils';
import type { LookupResult, StsPolicy } from '../../src/platform/dns.ts';
import type { Host } from '../../src/routing/hosts.ts';
import {
  DECISIONS,
  decide,
  protectionKey,
  protectionOf,
  type StsFinding,
  TLSA_FINDINGS,
  type TlsaFinding,
  withPolicy,
} from '../../src/tls-policy/decision.ts';
import { tlsaFromText, usableRecords } from '../../src/tls-policy/tlsa.ts';

const FINDINGS = Object.keys(TLSA_FINDINGS) as readonly TlsaFinding[];
const STS: readonly StsFinding[] = ['none', 'testing', 'enforce'];

test('each case has exactly one row', () => {
  for (const tlsa of FINDINGS)
    for (const sts of STS) {
      const rows = DECISIONS.filter((row) => row.tlsa.includes(tlsa) && row.sts.includes(sts));
      assert.equal(rows.length, 1, `${tlsa}, ${sts}`);
    }
});

test('an enforced policy is never less than verified, and MTA-STS never takes back what DANE demands', () => {
  for (const tlsa of FINDINGS) assert.ok(['dane', 'pkix', 'defer'].includes(decide(tlsa, 'enforce')), tlsa);
  for (const sts of STS) {
    assert.equal(decide('usable', sts), 'dane');
    assert.equal(decide('unknown', sts), 'defer');
  }
});

const D256 = 'ab'.repeat(32);
const D512 = 'cd'.repeat(64);

function records(...texts: readonly string[]): readonly TlsaRecord[] {
  return texts.map((text) => {
    const record = tlsaFromText(text);
    assert.ok(record !== null, text);
    return record;
  });
}

test('PKIX usages, unknown parameters and digests of a wrong length cannot be used (RFC 7672 3.1.3)', () => {
  const bad = [
    `0 1 1 ${D256}`,
    `1 1 1 ${D256}`,
    `4 1 1 ${D256}`,
    `3 2 1 ${D256}`,
    `3 1 3 ${D256}`,
    `3 1 1 ${D512}`,
  ];
  assert.deepEqual(usableRecords(records(...bad)), []);
});

test('of two digests of the same kind the stronger counts, and whole data always (RFC 7671 9)', () => {
  const all = records(`3 1 1 ${D256}`, `3 1 2 ${D512}`, `3 0 1 ${D256}`, `2 1 1 ${D256}`, '3 1 0 abcd');
  assert.deepEqual(
    usableRecords(all).map(({ usage, selector, matchingType }) => `${usage}${selector}${matchingType}`),
    ['312', '301', '211', '310'],
  );
});

const of = { domain: 'example.com', secure: true } as const;
const NAMES = ['mx.example.com', 'example.com'];
const found = (...texts: readonly string[]): LookupResult<TlsaRecord> => ({
  kind: 'found',
  records: records(...texts),
  secure: true,
});
const failed = (fault: 'no-data' | 'no-domain' | 'server-failure' | 'timeout'): LookupResult<TlsaRecord> => ({
  kind: 'failed',
  fault,
});

test('answers lead to their rows', () => {
  const usable = found(`3 1 1 ${D256}`, `1 1 1 ${D256}`);
  assert.deepEqual(protectionOf(of, usable, NAMES), {
    demands: 'dane',
    records: records(`3 1 1 ${D256}`),
    names: NAMES,
  });
  assert.deepEqual(protectionOf(of, found(`1 1 1 ${D256}`), NAMES), { demands: 'encryption' });
  assert.deepEqual(protectionOf({ ...of, sts: 'enforce' }, found(`1 1 1 ${D256}`), NAMES), {
    demands: 'pkix',
  });
  for (const fault of ['no-data', 'no-domain'] as const)
    assert.equal(protectionOf(of, failed(fault), NAMES), 'nothing');
  for (const fault of ['server-failure', 'timeout'] as const)
    assert.equal(protectionOf({ ...of, sts: 'enforce' }, failed(fault), NAMES), null);
  assert.equal(protectionOf(of, { kind: 'found', records: records(`3 1 1 ${D256}`) }, NAMES), 'nothing');
  assert.deepEqual(protectionOf({ ...of, sts: 'enforce' }, null, NAMES), { demands: 'pkix' });
  assert.equal(protectionOf({ ...of, sts: 'testing' }, null, NAMES), 'nothing');
});

function host(name: string, origin: Host['origin'] = 'mx'): Host {
  const rest = { literal: null, port: 25, preference: 10, credentials: null, implicitTls: false };
  return { name, origin, ...rest };
}

const POLICY: StsPolicy = { id: '1', mode: 'enforce', mx: ['*.example.com'], maxAge: 86_400 };
const HOSTS = [host('mx.example.com'), host('mx.other.example'), host('relay.example', 'fallbackhost')];

test('an enforced policy leaves out hosts that it does not list, and has no say about relays', () => {
  const left = withPolicy(HOSTS, 'example.com', false, POLICY);
  assert.deepEqual(
    left.map(({ name, policy }) => [name, policy]),
    [
      ['mx.example.com', { domain: 'example.com', sts: 'enforce' }],
      ['relay.example', undefined],
    ],
  );
});

test('a policy in testing keeps all hosts and notes what it would do', () => {
  const left = withPolicy(HOSTS, 'example.com', true, { ...POLICY, mode: 'testing' });
  assert.deepEqual(
    left.map(({ policy }) => policy),
    [
      { domain: 'example.com', secure: true, sts: 'testing' },
      { domain: 'example.com', secure: true, sts: 'testing', unlisted: true },
      undefined,
    ],
  );
});

test('where nothing is known, hosts stay as they are', () => {
  assert.equal(withPolicy(HOSTS, 'example.com', false, null), HOSTS);
  assert.equal(withPolicy(HOSTS, 'example.com', false, { ...POLICY, mode: 'none' }), HOSTS);
});

test('connections are alike where they prove the same', () => {
  const dane = { demands: 'dane', records: records(`3 1 1 ${D256}`), names: ['a.example'] } as const;
  const anchor = { ...dane, records: records(`2 1 1 ${D256}`) };
  assert.equal(protectionKey(undefined), '');
  assert.equal(protectionKey(dane), protectionKey({ ...dane, names: ['b.example'] }));
  assert.notEqual(protectionKey(anchor), protectionKey({ ...anchor, names: ['b.example'] }));
  const keys = [undefined, { demands: 'pkix' }, { demands: 'encryption' }, dane, anchor] as const;
  assert.equal(new Set(keys.map(protectionKey)).size, keys.length);
});
