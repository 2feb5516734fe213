/** When a policy is fetched, how long it holds, and what the failure of record or web server changes (RFC 8461 3.3, 5.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LookupResult } from '../../src/platform/dns.ts';
import { memoryStsCache } from '../../src/tls-policy/sts-cache.ts';
import type { Fetched } from '../../src/tls-policy/sts-fetch.ts';
import { StsPolicies } from '../../src/tls-policy/sts-policies.ts';
import { createManualClock } from '../support/manual-clock.ts';

const DAY = 86_400_000;
const ENFORCE: Fetched = {
  kind: 'policy',
  policy: { mode: 'enforce', mx: ['mx.a.example'], maxAge: 86_400 },
};
const TESTING: Fetched = {
  kind: 'policy',
  policy: { mode: 'testing', mx: ['mx.a.example'], maxAge: 86_400 },
};
const BROKEN: Fetched = { kind: 'failed', problem: 'sts-policy-fetch-error', reason: 'is answered with 500' };

function setup() {
  const clock = createManualClock();
  const world = {
    record: { kind: 'found', records: ['v=STSv1; id=1;'] } as LookupResult<string>,
    served: ENFORCE as Fetched,
    fetches: [] as string[],
    warnings: [] as string[],
  };
  const cache = memoryStsCache();
  const policies = new StsPolicies({
    resolver: {
      txt: async () => world.record,
      addresses: async () => ({ kind: 'found', records: ['192.0.2.1'] }),
    },
    cache,
    clock,
    fetch: async (domain) => {
      world.fetches.push(domain);
      return world.served;
    },
    warn: (text) => world.warnings.push(text),
  });
  const id = (n: string): void => {
    world.record = { kind: 'found', records: [`v=STSv1; id=${n};`] };
  };
  /** the mode that holds, null: no policy */
  const mode = async (domain = 'a.example'): Promise<string | null> => {
    const found = await policies.lookup(domain);
    // fetches that nobody waits for
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    return found.kind === 'found' ? (found.records[0]?.mode ?? null) : null;
  };
  return { world, clock, cache, policies, id, mode };
}

test('a policy is fetched once and holds while its id is the same, though the file has changed', async () => {
  const { world, mode } = setup();
  assert.equal(await mode(), 'enforce');
  world.served = TESTING;
  assert.equal(await mode(), 'enforce');
  assert.equal(world.fetches.length, 1);
});

test('a new id is fetched before anything is judged', async () => {
  const { world, mode, id } = setup();
  await mode();
  world.served = TESTING;
  id('2');
  assert.equal(await mode(), 'testing');
  assert.equal(world.fetches.length, 2);
});

const GONE: readonly (readonly [what: string, record: LookupResult<string>])[] = [
  ['the record is gone', { kind: 'failed', fault: 'no-data' }],
  ['the DNS does not answer', { kind: 'failed', fault: 'timeout' }],
  ['the name server fails', { kind: 'failed', fault: 'server-failure' }],
  ['there are two records', { kind: 'found', records: ['v=STSv1; id=1;', 'v=STSv1; id=2;'] }],
];

for (const [what, record] of GONE)
  test(`${what}: the policy holds until its time is over`, async () => {
    const { world, clock, mode } = setup();
    await mode();
    world.record = record;
    clock.advance(DAY - 1000);
    assert.equal(await mode(), 'enforce');
    clock.advance(1000);
    assert.equal(await mode(), null);
    assert.equal(world.fetches.length, 1);
  });

test('a new id whose policy cannot be fetched: the old one holds, and the next fetch waits for five minutes', async () => {
  const { world, clock, mode, id } = setup();
  await mode();
  world.served = BROKEN;
  id('2');
  assert.equal(await mode(), 'enforce');
  assert.equal(await mode(), 'enforce');
  assert.equal(world.fetches.length, 2);
  clock.advance(300_000);
  world.served = TESTING;
  assert.equal(await mode(), 'testing');
  assert.deepEqual(world.warnings, []);
});

test('without a policy before, a failed fetch is told once and mail goes on', async () => {
  const { world, clock, mode } = setup();
  world.served = BROKEN;
  assert.equal(await mode(), null);
  clock.advance(300_000);
  assert.equal(await mode(), null);
  assert.equal(world.fetches.length, 2);
  assert.deepEqual(world.warnings, [
    'The MTA-STS policy of a.example is answered with 500. Until it can be had, mail goes there as to a domain without a policy.',
  ]);
});

test('when half of its time is over, a policy is fetched again while mail goes on', async () => {
  const { world, clock, mode } = setup();
  await mode();
  clock.advance(DAY / 2);
  assert.equal(await mode(), 'enforce');
  assert.equal(world.fetches.length, 2);
  clock.advance(DAY - 1000);
  assert.equal(await mode(), 'enforce');
});

test('policies of domains without mail are kept fresh, too, and dropped when they have ended', async () => {
  const { world, clock, cache, mode } = setup();
  await mode('a.example');
  await mode('b.example');
  clock.advance(DAY / 2);
  await mode('b.example');
  assert.deepEqual(world.fetches, ['a.example', 'b.example', 'b.example', 'a.example']);
  clock.advance(2 * DAY);
  world.record = { kind: 'failed', fault: 'no-data' };
  assert.equal(await mode('c.example'), null);
  assert.deepEqual(cache.domains(), []);
});

test('those who ask at the same time share one fetch', async () => {
  const { world, policies } = setup();
  await Promise.all([policies.lookup('a.example'), policies.lookup('a.example')]);
  assert.equal(world.fetches.length, 1);
});

test('a policy from the future, by a clock that was set back, does not hold for ever', async () => {
  const { clock, cache, mode, world } = setup();
  await mode();
  const kept = cache.read('a.example');
  assert.ok(kept !== null);
  cache.write('a.example', { ...kept, fetched: Math.floor(clock.now() / 1000) + 10 * 86_400 });
  world.record = { kind: 'failed', fault: 'no-data' };
  assert.equal(await mode(), null);
});

test('a failure from the future, by a clock that was set back, does not hold for ever (R244)', async () => {
  const { cache, clock, mode } = setup();
  const ahead = Math.floor(clock.now() / 1000) + 10 * 365 * 86_400;
  cache.write('a.example', { policy: null, fetched: 0, failed: { at: ahead, reason: 'x' } });
  assert.equal(await mode(), 'enforce');
});
