import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeliveryRules } from '../../src/delivery/rules.ts';
import { destinationRules } from '../../src/routing/destination-rules.ts';
import { readSettings } from '../../src/settings/read.ts';
import { deliver, rulesWith, type TestMessage } from './scheduling.ts';

/** Three domains whose mail goes to the same receiver, and one of its own. */
const NAMES = {
  'a.example': { mx: [[10, 'mx1.big.example']] as const },
  'b.example': { mx: [[10, 'mx1.big.example']] as const },
  'c.example': { mx: [[10, 'mx2.big.example']] as const },
  'own.example': { mx: [[10, 'mx.own.example']] as const },
  'mx1.big.example': { a: ['192.0.2.1'] },
  'mx2.big.example': { a: ['192.0.2.2'] },
  'mx.own.example': { a: ['192.0.2.3'], aaaa: ['2001:db8::3'] },
  'relay.example': { a: ['192.0.2.4'] },
};

const WORLD = { names: NAMES, servers: { '*': {} } };

function ruled(
  destinations: readonly object[],
  limits: Partial<DeliveryRules['limits']> = {},
): DeliveryRules {
  const read = readSettings({ destinations });
  assert.ok(read.ok, JSON.stringify(read));
  const made = destinationRules(read.settings);
  assert.ok(typeof made !== 'string', String(made));
  return rulesWith(limits, { destinations: made });
}

function mails(count: number, ...domains: readonly string[]): TestMessage[] {
  return Array.from({ length: count }, (_, n) => ({ to: [`u${n}@${domains[n % domains.length]}`] }));
}

describe('limits of an entry', () => {
  it('sessions are shared by all domains whose hosts it names (R232)', async () => {
    const run = await deliver(
      WORLD,
      mails(60, 'a.example', 'b.example', 'c.example', 'own.example'),
      ruled([{ host: '*.big.example', sessions: 2 }]),
    );
    assert.equal(run.world.arrived.length, 60);
    assert.ok(run.world.mostOpen > 2);
    const big = await deliver(
      WORLD,
      mails(60, 'a.example', 'b.example', 'c.example'),
      ruled([{ host: '*.big.example', sessions: 2 }]),
    );
    assert.equal(big.world.arrived.length, 60);
    assert.equal(big.world.mostOpen, 2);
    const free = await deliver(WORLD, mails(60, 'a.example', 'b.example', 'c.example'), ruled([]));
    assert.ok(free.world.mostOpen > 2);
  });

  it('one session is enough for all of them', async () => {
    const run = await deliver(
      WORLD,
      mails(30, 'a.example', 'b.example', 'c.example'),
      ruled([{ host: '*.big.example', sessions: 1 }]),
    );
    assert.equal(run.world.arrived.length, 30);
    assert.equal(run.world.mostOpen, 1);
  });

  it('messages in a session', async () => {
    const run = await deliver(
      WORLD,
      mails(9, 'a.example'),
      ruled([{ to: 'a.example', 'messages-per-session': 3 }], { destination: 1 }),
    );
    assert.equal(run.world.arrived.length, 9);
    assert.equal(run.world.connections, 3);
  });

  it('messages a minute are spread evenly over all domains, and others do not wait', async () => {
    const run = await deliver(
      WORLD,
      mails(40, 'a.example', 'b.example', 'c.example', 'own.example'),
      ruled([{ host: '*.big.example', 'messages-per-minute': 6 }]),
    );
    const began = 1_400_000_000_000;
    const times = (own: boolean): readonly number[] =>
      run.outcomes.filter(({ address }) => address.endsWith('own.example') === own).map(({ at }) => at);
    assert.equal(run.outcomes.length, 40);
    assert.ok(run.outcomes.every(({ outcome }) => outcome.kind === 'delivered'));
    assert.ok(Math.max(...times(true)) - began < 20_000, 'those of another host are not held up');
    const big = [...times(false)].sort((a, b) => a - b);
    const span = (big.at(-1) ?? 0) - (big[0] ?? 0);
    assert.ok(span > 28 * 10_000 && span < 32 * 10_000, `30 messages, one each ten seconds: ${span} ms`);
    for (let n = 6; n < big.length; n++)
      assert.ok((big[n] ?? 0) - (big[n - 6] ?? 0) > 55_000, 'no more than six in a minute');
  });

  it('whoever waits for a turn does not use up the time for its delivery', async () => {
    const domains = Array.from({ length: 150 }, (_, n) => `d${n}.example`);
    const names = Object.fromEntries(domains.map((domain) => [domain, { a: ['192.0.2.1'] }]));
    const slow = ruled([{ to: '*', 'messages-per-minute': 1 }]);
    const run = await deliver({ names, servers: { '*': {} } }, mails(150, ...domains), slow);
    assert.equal(run.world.arrived.length, 150);
  });

  it('few of those that wait for their turn are read', async () => {
    const run = await deliver(
      WORLD,
      mails(200, 'a.example'),
      ruled([{ to: 'a.example', 'messages-per-minute': 600 }]),
    );
    assert.equal(run.world.arrived.length, 200);
    assert.ok(run.mostLoaded <= 15, `${run.mostLoaded} were read`);
  });

  it('new sessions a minute', async () => {
    const limited = ruled([{ host: '*.big.example', 'sessions-per-minute': 6, 'messages-per-session': 1 }]);
    const run = await deliver(WORLD, mails(10, 'a.example'), limited);
    const [first, last] = [run.outcomes[0]?.at ?? 0, run.outcomes.at(-1)?.at ?? 0];
    assert.equal(run.world.arrived.length, 10);
    assert.ok(last - first > 85_000 && last - first < 95_000, `${last - first} ms`);
  });

  it('a stop ends the waiting', async () => {
    const run = await deliver(
      WORLD,
      mails(20, 'a.example'),
      ruled([{ to: 'a.example', 'messages-per-minute': 1 }]),
      (scheduler, clock) => {
        clock.after(90_000, () => scheduler.stop());
      },
    );
    assert.equal(run.world.arrived.length, 2);
    assert.equal(run.outcomes.length, 2);
  });

  it('a host that fails costs no wait for a turn', async () => {
    const down = { names: NAMES, servers: { '*': { connect: 'refused' as const } } };
    const run = await deliver(
      down,
      mails(10, 'a.example'),
      ruled([{ to: 'a.example', 'messages-per-minute': 1 }]),
    );
    const span = (run.outcomes.at(-1)?.at ?? 0) - (run.outcomes[0]?.at ?? 0);
    assert.ok(span < 15 * 60_000, `${span} ms`);
    assert.equal(run.outcomes.length, 10);
  });
});

describe('sessions', () => {
  it('are shared where the same entries hold, and only there', async () => {
    const one = { destination: 1, sessions: 1 };
    const mail = mails(2, 'a.example', 'b.example');
    const shared = await deliver(
      WORLD,
      mail,
      ruled([{ host: '*.big.example', 'extension-off': 'DSN' }], one),
    );
    assert.equal(shared.world.connections, 1);
    const apart = await deliver(WORLD, mail, ruled([{ to: 'b.example', tls: 'require' }], one));
    assert.equal(apart.world.arrived.length, 2);
    assert.equal(apart.world.connections, 2);
  });
});

describe('hosts', () => {
  it('are the relays of the first entry that names some', async () => {
    const run = await deliver(
      WORLD,
      mails(2, 'a.example', 'own.example'),
      ruled([{ to: 'a.example', relays: ['relay.example'] }]),
    );
    assert.deepEqual(
      run.world.arrived.map(({ address, recipients }) => `${recipients[0]} ${address}`).sort(),
      ['u0@a.example 192.0.2.4', 'u1@own.example 192.0.2.3'],
    );
  });

  it('are contacted by the family that an entry names', async () => {
    for (const [family, address] of [
      ['ipv6', '2001:db8::3'],
      ['ipv6-first', '2001:db8::3'],
      ['ipv4', '192.0.2.3'],
    ] as const) {
      const run = await deliver(WORLD, mails(1, 'own.example'), ruled([{ host: 'mx.own.example', family }]));
      assert.deepEqual(
        run.world.arrived.map((each) => each.address),
        [address],
      );
    }
    const none = await deliver(WORLD, mails(1, 'a.example'), ruled([{ host: '*', family: 'ipv6' }]));
    const [{ outcome } = { outcome: null }] = none.outcomes;
    assert.match(outcome?.text ?? '', /^mx1\.big\.example has no address of the family/);
    assert.equal(outcome?.enhanced, '4.4.4');
    assert.ok(
      !none.world.lookups.some((name) => /a mx1/i.test(name) && !/aaaa/i.test(name)),
      String(none.world.lookups),
    );
  });
});
