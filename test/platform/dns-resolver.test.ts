/** The resolver against a real DNS server on loopback: answers, proofs, faults, deadlines and what is remembered. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as once, type TestContext } from 'node:test';
import type { Zones } from '../../src/cli/demo/world/dns-server.ts';
import { parseHosts } from '../../src/platform/dns/hosts-file.ts';
import { createResolver, type SystemResolver } from '../../src/platform/dns/resolver.ts';
import type { DaneSetting } from '../../src/platform/dns/trust.ts';
import type { LookupError } from '../../src/platform/dns.ts';
import { type DnsFault, type FaultyDnsServer, startFaultyDnsServer } from '../support/dns-server.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';

const ZONES: Zones = {
  'example.com': {
    MX: [
      { preference: 20, exchange: 'Backup.Example.COM' },
      { preference: 10, exchange: 'mx.example.com' },
    ],
    A: ['192.0.2.1', '192.0.2.2'],
    AAAA: ['2001:db8::1'],
    ttl: 300,
  },
  'null.example': { MX: [{ preference: 0, exchange: '' }] },
  'twice.example': {
    MX: [
      { preference: 10, exchange: 'mx.example.com' },
      { preference: 10, exchange: 'MX.example.com' },
      { preference: 20, exchange: 'mx.example.com' },
    ],
    A: ['192.0.2.1', '192.0.2.1', '192.0.2.7'],
  },
  'empty.example': {},
  'alias.example': { CNAME: 'example.com' },
  'nowhere.example': { CNAME: 'gone.example' },
  'loop.example': { CNAME: 'loop.example' },
  'many.example': {
    MX: Array.from({ length: 60 }, (_, n) => ({ preference: n, exchange: `mx${n}.many-hosts.example` })),
  },
  'brief.example': { A: ['192.0.2.3'], ttl: 0 },
  'odd.example': { MX: [{ preference: 10, exchange: 'a b|\r\n\0.example' }] },
};

/** Both clients of the resolver pass the same tests: c-ares, and the stub for name servers that are trusted to validate. */
let dane: DaneSetting = 'off';

function test(name: string, body: (t: TestContext) => unknown): void {
  for (const [asks, setting] of [
    ['', 'off'],
    [', asked by the stub', 'trust'],
  ] as const)
    once(`${name}${asks}`, async (t) => {
      dane = setting;
      await body(t);
    });
}

interface Setup {
  readonly server: FaultyDnsServer;
  readonly clock: ManualClock;
  readonly resolver: SystemResolver;
}

async function setup(
  t: TestContext,
  faults: Readonly<Record<string, DnsFault>> = {},
  options: { readonly timeout?: number; readonly hostsFile?: string; readonly resolvConf?: string } = {},
): Promise<Setup> {
  const server = await startFaultyDnsServer(ZONES, faults);
  t.after(() => server.close());
  const clock = createManualClock();
  const resolver = createResolver({
    servers: [server.address],
    timeout: 1000,
    tries: 1,
    clock,
    hostsFile: '/nonexistent/hosts',
    resolvConf: '/nonexistent/resolv.conf',
    dane,
    ...options,
  });
  return { server, clock, resolver };
}

const failed = (fault: LookupError) => ({ kind: 'failed', fault });
const found = (...records: readonly unknown[]) => ({ kind: 'found', records });

test('mail exchangers, in lower case, in the order of the answer', async (t) => {
  const { resolver } = await setup(t);
  assert.deepEqual(
    await resolver.mx('example.com'),
    found({ exchange: 'backup.example.com', preference: 20 }, { exchange: 'mx.example.com', preference: 10 }),
  );
});

test('addresses of both families', async (t) => {
  const { resolver } = await setup(t);
  assert.deepEqual(await resolver.addresses('example.com', 4), found('192.0.2.1', '192.0.2.2'));
  assert.deepEqual(await resolver.addresses('example.com', 6), found('2001:db8::1'));
});

test('the null MX is an empty exchange (RFC 7505)', async (t) => {
  const { resolver } = await setup(t);
  assert.deepEqual(await resolver.mx('null.example'), found({ exchange: '', preference: 0 }));
});

test('a record that comes twice counts once', async (t) => {
  const { resolver } = await setup(t);
  assert.deepEqual(
    await resolver.mx('twice.example'),
    found({ exchange: 'mx.example.com', preference: 10 }, { exchange: 'mx.example.com', preference: 20 }),
  );
  assert.deepEqual(await resolver.addresses('twice.example', 4), found('192.0.2.1', '192.0.2.7'));
});

test('an alias is followed, for exchangers and for addresses', async (t) => {
  const { resolver } = await setup(t);
  assert.equal((await resolver.mx('alias.example')).kind, 'found');
  assert.deepEqual(await resolver.addresses('alias.example', 6), found('2001:db8::1'));
});

test('an answer too long for UDP is fetched over TCP', async (t) => {
  const { resolver, server } = await setup(t);
  const lookup = await resolver.mx('many.example');
  assert.equal(lookup.kind === 'found' && lookup.records.length, 60);
  assert.deepEqual(server.transports, ['udp', 'tcp']);
});

test('a forged answer with another id is passed over', async (t) => {
  const { resolver } = await setup(t, { 'example.com': 'forged-first' });
  assert.equal((await resolver.mx('example.com')).kind, 'found');
});

test('line ends and NUL in an exchange come escaped, and asking for its address is refused', async (t) => {
  const { resolver } = await setup(t);
  const lookup = await resolver.mx('odd.example');
  const exchange = lookup.kind === 'found' ? (lookup.records[0]?.exchange ?? '') : '';
  assert.match(exchange, /^[ -~]+$/);
  assert.deepEqual(await resolver.addresses(exchange, 4), failed('bad-answer'));
});

const proofsAndFaults: readonly {
  readonly name: string;
  readonly fault?: DnsFault;
  readonly expected: LookupError;
}[] = [
  { name: 'gone.example', expected: 'no-domain' },
  { name: 'nowhere.example', expected: 'no-domain' },
  { name: 'empty.example', expected: 'no-data' },
  { name: 'loop.example', expected: 'server-failure' },
  { name: 'example.com', fault: 'NOERROR', expected: 'no-data' },
  { name: 'example.com', fault: 'NXDOMAIN', expected: 'no-domain' },
  { name: 'example.com', fault: 'SERVFAIL', expected: 'server-failure' },
  { name: 'example.com', fault: 'NOTIMP', expected: 'server-failure' },
  { name: 'example.com', fault: 'REFUSED', expected: 'refused' },
  { name: 'example.com', fault: 'FORMERR', expected: 'bad-answer' },
];

for (const { name, fault, expected } of proofsAndFaults) {
  test(`${name}${fault === undefined ? '' : ` answered with ${fault}`} is ${expected}`, async (t) => {
    const { resolver } = await setup(t, fault === undefined ? {} : { [name]: fault });
    assert.deepEqual(await resolver.mx(name), failed(expected));
    assert.deepEqual(await resolver.addresses(name, 4), failed(expected));
  });
}

for (const fault of ['garbage', 'cut'] as const) {
  once(`${fault} is bad-answer`, async (t) => {
    dane = 'off';
    const { resolver } = await setup(t, { 'example.com': fault });
    assert.deepEqual(await resolver.mx('example.com'), failed('bad-answer'));
    assert.deepEqual(await resolver.addresses('example.com', 4), failed('bad-answer'));
  });

  once(`${fault} may be forged: the stub waits for the answer behind it`, async (t) => {
    dane = 'trust';
    const { resolver, clock } = await setup(t, { 'example.com': fault });
    const lookup = resolver.mx('example.com');
    clock.advance(1000);
    assert.deepEqual(await lookup, failed('timeout'));
  });
}

test('an alias to a name without exchangers is no data, not an empty success', async (t) => {
  const { resolver, server } = await setup(t);
  server.zones = { 'alias.example': { CNAME: 'target.example' }, 'target.example': { A: ['192.0.2.1'] } };
  assert.deepEqual(await resolver.mx('alias.example'), failed('no-data'));
});

for (const fault of ['silence', 'wrong-id'] as const) {
  test(`${fault} ends at the deadline of the lookup, by our clock`, async (t) => {
    const { resolver, clock } = await setup(t, { 'example.com': fault }, { timeout: 600_000 });
    const lookup = resolver.mx('example.com');
    clock.advance(599_999);
    assert.equal(await Promise.race([lookup, Promise.resolve('waiting')]), 'waiting');
    clock.advance(1);
    assert.deepEqual(await lookup, failed('timeout'));
    assert.equal(clock.pending, 0);
  });
}

once('c-ares gives up by itself within about the same time', async (t) => {
  dane = 'off';
  const { resolver, clock } = await setup(t, { 'example.com': 'silence' }, { timeout: 100 });
  assert.deepEqual(await resolver.mx('example.com'), failed('timeout'));
  assert.equal(clock.pending, 0);
});

test('no server at the address is trouble on our side', async () => {
  const server = await startFaultyDnsServer({});
  await server.close();
  const options = { servers: [server.address], timeout: 1000, tries: 1, clock: createManualClock(), dane };
  assert.deepEqual(await createResolver(options).mx('example.com'), failed('local-fault'));
});

const badNames = [
  '',
  '.',
  'a..b',
  'nul\0.example',
  'a b.example',
  'a\r\n.example',
  `${'x'.repeat(64)}.example`,
  'ä.example',
];

test('names that are none are refused without a query', async (t) => {
  const { resolver, server } = await setup(t);
  for (const name of [...badNames, 'x.'.repeat(128)]) {
    assert.deepEqual(await resolver.mx(name), failed('bad-answer'), JSON.stringify(name));
    assert.deepEqual(await resolver.addresses(name, 4), failed('bad-answer'), JSON.stringify(name));
  }
  assert.deepEqual(server.queries, []);
});

test('identical lookups in flight share one query; case and final dot make no difference', async (t) => {
  const { resolver, server } = await setup(t);
  const [one, two] = await Promise.all([resolver.mx('example.com'), resolver.mx('EXAMPLE.com.')]);
  assert.deepEqual(one, two);
  assert.deepEqual(server.queries, ['MX example.com']);
});

test('an address is remembered for its time to live', async (t) => {
  const { resolver, server, clock } = await setup(t);
  await resolver.addresses('example.com', 4);
  clock.advance(299_999);
  await resolver.addresses('example.com', 4);
  assert.equal(server.queries.length, 1);
  clock.advance(1);
  await resolver.addresses('example.com', 4);
  assert.equal(server.queries.length, 2);
});

test('a time to live of zero is not remembered', async (t) => {
  const { resolver, server } = await setup(t);
  await resolver.addresses('brief.example', 4);
  await resolver.addresses('brief.example', 4);
  assert.equal(server.queries.length, 2);
});

once('an MX answer is remembered for a minute, a failure for half a minute', async (t) => {
  dane = 'off';
  const { resolver, server, clock } = await setup(t, { 'bad.example': 'SERVFAIL' });
  const ask = () => Promise.all([resolver.mx('example.com'), resolver.mx('bad.example')]);
  const asked = () => [...server.queries].sort().map((query) => query.replace('MX ', ''));
  await ask();
  clock.advance(29_999);
  await ask();
  assert.deepEqual(asked(), ['bad.example', 'example.com']);
  clock.advance(1);
  await ask();
  assert.deepEqual(asked(), ['bad.example', 'bad.example', 'example.com']);
  clock.advance(30_000);
  await ask();
  assert.deepEqual(asked(), ['bad.example', 'bad.example', 'bad.example', 'example.com', 'example.com']);
});

test('the hosts file is asked first and alone; localhost needs no entry', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'resolver-'));
  t.after(() => rm(folder, { recursive: true }));
  const hostsFile = join(folder, 'hosts');
  await writeFile(hostsFile, '192.0.2.50 relay Relay.Example # ours\n');
  const { resolver, server, clock } = await setup(t, {}, { hostsFile });
  assert.deepEqual(await resolver.addresses('relay.example', 4), found('192.0.2.50'));
  assert.deepEqual(await resolver.addresses('relay.example', 6), failed('no-data'));
  assert.deepEqual(await resolver.addresses('localhost', 4), found('127.0.0.1'));
  assert.deepEqual(await resolver.addresses('localhost', 6), found('::1'));
  assert.deepEqual(server.queries, []);

  await writeFile(hostsFile, '192.0.2.51 relay\n');
  clock.advance(30_000);
  assert.deepEqual(await resolver.addresses('relay', 4), found('192.0.2.51'));
});

test('hosts file syntax', () => {
  const hosts = parseHosts(
    '# all\n\n127.0.0.1\tlocalhost  me\r\n::1 localhost\nno-address name\n192.0.2.1\n',
  );
  assert.deepEqual(
    [...hosts],
    [
      ['localhost', ['127.0.0.1', '::1']],
      ['me', ['127.0.0.1']],
    ],
  );
});

test('a name server must be an address', () => {
  const make = (server: string) => () =>
    createResolver({ servers: [server], timeout: 1000, tries: 1, clock: createManualClock() });
  for (const good of ['192.0.2.1', '192.0.2.1:53', '2001:db8::1', '[2001:db8::1]:53', '[2001:db8::1]']) {
    assert.doesNotThrow(make(good), good);
  }
  for (const bad of [
    '',
    'ns.example',
    '192.0.2.1:',
    '192.0.2.1:0',
    '192.0.2.1:70000',
    '[192.0.2.1]:53',
    '300.1.1.1',
  ]) {
    assert.throws(make(bad), RangeError, bad);
  }
});

test('a name that an administrator wrote is completed by the search list, other names and MX never', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'spoolroom-resolver-'));
  t.after(() => rm(folder, { recursive: true }));
  const resolvConf = join(folder, 'resolv.conf');
  await writeFile(resolvConf, 'search none.example example\n');
  const { resolver } = await setup(t, {}, { resolvConf });
  assert.deepEqual(await resolver.addresses('brief', 4, 'searched'), found('192.0.2.3'));
  assert.deepEqual(await resolver.addresses('brief', 6, 'searched'), failed('no-data'), 'of the same name');
  assert.deepEqual(await resolver.addresses('brief.', 4, 'searched'), failed('no-domain'));
  assert.deepEqual(await resolver.addresses('brief', 4), failed('no-domain'));
  assert.deepEqual(await resolver.addresses('example.com', 4, 'searched'), found('192.0.2.1', '192.0.2.2'));
  assert.deepEqual(await resolver.mx('twice'), failed('no-domain'));
});

const SIGNED: Zones = {
  'signed.example': { MX: [{ preference: 10, exchange: 'mx.signed.example' }], secure: true },
  'mx.signed.example': { CNAME: 'real.signed.example', secure: true },
  'real.signed.example': { A: ['192.0.2.1'], secure: true },
  'out.signed.example': { CNAME: 'mx.plain.example', secure: true },
  'mx.plain.example': { A: ['192.0.2.2'] },
  '_25._tcp.real.signed.example': { TLSA: ['3 1 1 00FF', '2 0 1 abcd'], secure: true },
  '_mta-sts.signed.example': { TXT: ['v=STSv1; ', 'x'.repeat(300)] },
};

once('what DNSSEC proves is shown where the name server is trusted, and only there', async (t) => {
  const server = await startFaultyDnsServer(SIGNED);
  t.after(() => server.close());
  const options = { servers: [server.address], timeout: 1000, tries: 1, clock: createManualClock() };
  const trusting = createResolver({ ...options, dane: 'auto' });
  assert.equal(await trusting.isTrusted(), true);
  assert.deepEqual(await trusting.mx('signed.example'), {
    ...found({ exchange: 'mx.signed.example', preference: 10 }),
    secure: true,
  });
  assert.deepEqual(await trusting.addresses('mx.signed.example', 4, 'proved'), {
    ...found('192.0.2.1'),
    secure: true,
    canonical: 'real.signed.example',
  });
  assert.deepEqual(await trusting.addresses('mx.signed.example', 6, 'proved'), {
    ...failed('no-data'),
    secure: true,
  });
  assert.deepEqual(await trusting.addresses('out.signed.example', 4, 'proved'), found('192.0.2.2'));
  assert.deepEqual(
    await trusting.addresses('mx.signed.example', 4),
    found('192.0.2.1'),
    'where nobody asks for it',
  );
  assert.deepEqual(await trusting.tlsa?.('_25._tcp.real.signed.example'), {
    ...found(
      { usage: 3, selector: 1, matchingType: 1, data: '00ff' },
      { usage: 2, selector: 0, matchingType: 1, data: 'abcd' },
    ),
    secure: true,
  });
  const other = createResolver({ ...options, dane: 'off' });
  assert.equal(await other.isTrusted(), false);
  assert.equal(other.tlsa, undefined);
  assert.deepEqual(
    await other.mx('signed.example'),
    found({ exchange: 'mx.signed.example', preference: 10 }),
  );
});

test('the strings of a TXT record are joined', async (t) => {
  const { resolver, server } = await setup(t);
  server.zones = SIGNED;
  assert.deepEqual(await resolver.txt('_mta-sts.signed.example'), found('v=STSv1; ', 'x'.repeat(300)));
});
