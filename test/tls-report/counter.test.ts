/** What is counted of deliveries under policies, how counts are kept, and the report that comes of them (RFC 8460). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { traceFor } from '../../src/delivery/trace.ts';
import type { ServerScript } from '../../src/replay/world/server.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript, Zone } from '../../src/replay/world/world.ts';
import { TlsCounter } from '../../src/tls-report/counter.ts';
import { tlsReportFiles } from '../../src/tls-report/files.ts';
import { addFact, addTally, type DayTally, reportAddresses, tlsReport } from '../../src/tls-report/tally.ts';
import { deliver } from '../delivery/scheduling.ts';
import { rulesOf, settingsWith } from '../replay/recording.ts';
import { MemoryDisk } from '../support/memory-disk.ts';

const TLS: ServerScript = { ehlo: '250-mx\n250 STARTTLS' };
const CLEAR: ServerScript = { ehlo: '250 mx' };
const WRONG: ServerScript = { ...TLS, certificate: 'wrong' };
const MISMATCH: Zone['sts'] = { mode: 'testing', mx: ['other.example'] };
const ENFORCE: Zone['sts'] = { mode: 'enforce', mx: ['mx.a.example'] };
const TESTING: Zone['sts'] = { mode: 'testing', mx: ['mx.a.example'] };
const USABLE = [`3 1 1 ${'ab'.repeat(32)}`];

function world(domain: Zone, server: ServerScript, tlsa: Zone['tlsa'] = 'no-data'): WorldScript {
  return {
    names: {
      'a.example': { mx: [[10, 'mx.a.example']], secure: true, ...domain },
      'mx.a.example': { a: ['192.0.2.1'], secure: true },
      '_25._tcp.mx.a.example': { secure: true, tlsa },
    },
    servers: { '192.0.2.1': server },
  };
}

async function counted(script: WorldScript): Promise<readonly string[]> {
  const days: DayTally = new Map();
  const counter = new TlsCounter(new VirtualClock(1_400_000_000_000), (_day, counts) =>
    addTally(days, counts),
  );
  const rules = rulesOf(settingsWith()).delivery;
  await deliver(script, [{ to: ['you@a.example'] }], rules, undefined, {
    observe: traceFor([counter.observer]),
  });
  counter.flush();
  return [...days].flatMap(([domain, policies]) =>
    policies.map(({ policy, successes, failures }) =>
      [
        `${domain} ${policy.type} ${successes}`,
        ...failures.map(
          ({ type, reason, host, count }) => `${count} ${type} ${reason ?? '-'} ${host ?? '-'}`,
        ),
      ].join(', '),
    ),
  );
}

const CASES: readonly (readonly [what: string, world: WorldScript, counts: readonly string[]])[] = [
  ['no policy, TLS', world({}, TLS), ['a.example no-policy-found 1']],
  ['no policy, clear text', world({}, CLEAR), []],
  ['DANE', world({}, TLS, USABLE), ['a.example tlsa 1']],
  [
    'DANE, another certificate',
    world({}, WRONG, USABLE),
    ['a.example tlsa 0, 1 validation-failure TLSA_MISMATCH mx.a.example'],
  ],
  [
    'DANE, no STARTTLS',
    world({}, CLEAR, USABLE),
    ['a.example tlsa 0, 1 starttls-not-supported - mx.a.example'],
  ],
  [
    'DANE, no answer about TLSA',
    world({}, TLS, 'server-failure'),
    ['a.example tlsa 0, 1 dnssec-invalid - mx.a.example'],
  ],
  [
    'DANE, unusable records',
    world({}, TLS, [`1 1 1 ${'ab'.repeat(32)}`]),
    ['a.example tlsa 0, 1 tlsa-invalid - mx.a.example'],
  ],
  ['an enforced policy', world({ sts: ENFORCE }, TLS), ['a.example sts 1']],
  [
    'an enforced policy, expired certificate',
    world({ sts: ENFORCE }, WRONG),
    ['a.example sts 0, 1 certificate-expired CERT_HAS_EXPIRED mx.a.example'],
  ],
  [
    'an enforced policy that lists no host',
    world({ sts: { mode: 'enforce', mx: ['b.example'] } }, TLS),
    ['a.example sts 0, 1 validation-failure mx-mismatch -'],
  ],
  ['testing', world({ sts: TESTING }, TLS), ['a.example sts 1']],
  [
    'testing, expired certificate',
    world({ sts: TESTING }, WRONG),
    ['a.example sts 0, 1 certificate-expired CERT_HAS_EXPIRED mx.a.example'],
  ],
  [
    'testing, clear text',
    world({ sts: TESTING }, CLEAR),
    ['a.example sts 0, 1 starttls-not-supported - mx.a.example'],
  ],
  [
    'testing, refused STARTTLS counts once',
    world({ sts: TESTING }, { ...TLS, starttls: '454 4.7.0 not now' }),
    ['a.example sts 0, 1 starttls-not-supported - mx.a.example'],
  ],
  [
    'testing, a handshake that breaks counts once',
    world({ sts: TESTING }, { ...TLS, tlsBroken: true }),
    ['a.example sts 0, 1 validation-failure - mx.a.example'],
  ],
  [
    'testing, a host that is not listed',
    world({ sts: MISMATCH }, TLS),
    ['a.example sts 0, 1 validation-failure mx-mismatch mx.a.example'],
  ],
];

for (const [what, script, counts] of CASES)
  test(`counted: ${what}`, async () => {
    assert.deepEqual(await counted(script), counts);
  });

const STS = {
  type: 'sts',
  domain: 'a.example',
  strings: ['version: STSv1', 'mode: testing'],
  mx: ['*.a.example'],
} as const;

test('counts of several runs and days are kept and added', () => {
  const disk = new MemoryDisk();
  const owner = { mode: 0o700, uid: 0, gid: 0 };
  for (const folder of ['/spool', '/spool/.spoolroom']) disk.mkdir(folder, owner);
  const files = tlsReportFiles(disk, '/spool');
  assert.deepEqual(files.days(), []);
  for (const failure of [null, null, 'certificate-expired', 'certificate-expired'] as const) {
    const day: DayTally = new Map();
    addFact(day, { domain: '__proto__', policy: STS, failure, host: 'mx.a.example', address: '192.0.2.1' });
    files.add('2026-11-27', day);
  }
  files.add('2026-11-28', new Map());
  assert.deepEqual(files.days(), ['2026-11-27', '2026-11-28']);
  const [[domain, policies] = []] = [...files.read('2026-11-27')];
  assert.equal(domain, '__proto__');
  assert.deepEqual(policies, [
    {
      policy: STS,
      successes: 2,
      failures: [{ type: 'certificate-expired', host: 'mx.a.example', address: '192.0.2.1', count: 2 }],
    },
  ]);
  assert.equal(files.isSent('2026-11-27'), false);
  files.markSent('2026-11-27');
  assert.equal(files.isSent('2026-11-27'), true);
});

test('the report has the fields of RFC 8460 4.4', () => {
  const failures = [
    { type: 'certificate-expired', host: 'mx.a.example', address: '192.0.2.1', count: 2 } as const,
  ];
  const reporter = { hostname: 'me.example', contact: 'postmaster@me.example' };
  assert.deepEqual(
    tlsReport('2026-11-27', 'a.example', [{ policy: STS, successes: 3, failures: [...failures] }], reporter),
    {
      'organization-name': 'me.example',
      'date-range': { 'start-datetime': '2026-11-27T00:00:00Z', 'end-datetime': '2026-11-27T23:59:59Z' },
      'contact-info': 'postmaster@me.example',
      'report-id': '2026-11-27.a.example@me.example',
      policies: [
        {
          policy: {
            'policy-type': 'sts',
            'policy-string': ['version: STSv1', 'mode: testing'],
            'policy-domain': 'a.example',
            'mx-host': ['*.a.example'],
          },
          summary: { 'total-successful-session-count': 3, 'total-failure-session-count': 2 },
          'failure-details': [
            {
              'result-type': 'certificate-expired',
              'receiving-mx-hostname': 'mx.a.example',
              'receiving-ip': '192.0.2.1',
              'failed-session-count': 2,
            },
          ],
        },
      ],
    },
  );
});

test('where reports go is said by exactly one record', () => {
  const one = 'v=TLSRPTv1; rua=mailto:tls@a.example,https://a.example/report;';
  assert.deepEqual(reportAddresses([one, 'v=spf1 -all']), [
    'mailto:tls@a.example',
    'https://a.example/report',
  ]);
  for (const records of [[], [one, one], ['v=TLSRPTv1;'], ['v=TLSRPTv1; rua=ftp://a.example/, mailto:a b@c']])
    assert.deepEqual(reportAddresses(records), [], JSON.stringify(records));
});
