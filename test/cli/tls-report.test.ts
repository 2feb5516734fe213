/** `spoolroom tls-report`: what was counted, as sentences and as reports of RFC 8460. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { command } from '../../src/cli/commands/tls/report.ts';
import { perform } from '../../src/cli/shell/main.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { tlsReportFiles } from '../../src/tls-report/files.ts';
import { addFact, type DayTally } from '../../src/tls-report/tally.ts';
import { caughtTerminal, invocation } from '../support/invocation.ts';
import { temporaryDirectory } from '../support/spool.ts';

function countedSpool(t: TestContext): string {
  const spool = temporaryDirectory(t);
  mkdirSync(path.join(spool, '.spoolroom'));
  const counts: DayTally = new Map();
  const policy = { type: 'sts', domain: 'a.example', strings: ['version: STSv1'], mx: [] } as const;
  const where = { host: 'mx.a.example', address: '192.0.2.1' };
  addFact(counts, { domain: 'a.example', policy, failure: null });
  addFact(counts, {
    domain: 'a.example',
    policy,
    failure: 'certificate-expired',
    reason: 'CERT_HAS_EXPIRED',
    ...where,
  });
  addFact(counts, {
    domain: 'b.example',
    policy: { ...policy, type: 'tlsa', domain: 'mx.b.example' },
    failure: null,
  });
  tlsReportFiles(nodeDisk, spool).add('2026-11-27', counts);
  return spool;
}

async function call(spool: string, options: object, given: object = {}) {
  const caught = caughtTerminal();
  const settings = { spool, hostname: 'me.example', now: '1795780800', ...given };
  const exit = await perform(command, invocation(caught, settings, { ...options }));
  return { exit, printed: caught.printed, errors: caught.errors.join('\n') };
}

test('counts of a day, by domain and policy', async (t) => {
  const spool = countedSpool(t);
  const { exit, printed } = await call(spool, {});
  assert.equal(exit, 0);
  assert.deepEqual(printed, [
    'a.example: MTA-STS: 1 session as it should be, 1 not\n  1 certificate-expired (CERT_HAS_EXPIRED) at mx.a.example [192.0.2.1]',
    'b.example: DANE of mx.b.example: 1 session as it should be, 0 not',
  ]);
  assert.equal((await call(spool, { day: '2026-11-27', domain: 'b.example' })).printed.length, 1);
});

test('as JSON, one report of RFC 8460 for each domain', async (t) => {
  const { printed } = await call(countedSpool(t), {}, { json: true });
  const reports = printed.map((line) => JSON.parse(line));
  assert.deepEqual(
    reports.map((report) => report['report-id']),
    ['2026-11-27.a.example@me.example', '2026-11-27.b.example@me.example'],
  );
});

test('a day without counts says which days have some; a word that is no day is an error', async (t) => {
  const spool = countedSpool(t);
  assert.deepEqual((await call(spool, { day: 'yesterday' })).printed, [
    'No TLS sessions were counted on 2026-11-26 (UTC). There are counts of 2026-11-27.',
  ]);
  const { exit, errors } = await call(spool, { day: 'lately' });
  assert.equal(exit, 64);
  assert.match(errors, /lately is no day/);
});
