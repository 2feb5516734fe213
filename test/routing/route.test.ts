import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LookupError, LookupResult, MxRecord } from '../../src/platform/dns.ts';
import { NO_DESTINATION_RULES } from '../../src/routing/destination-rules.ts';
import type { Relay } from '../../src/routing/hosts.ts';
import { parseRelayEntry } from '../../src/routing/relays.ts';
import type { RoutingRules } from '../../src/routing/route.ts';
import { destinationOf, directRoute, mxRoute } from '../../src/routing/route.ts';

function relay(entry: string, kind: Relay['kind'] = 'smarthost'): Relay {
  const parsed = parseRelayEntry(entry, kind);
  assert.ok(parsed.kind === 'relay', entry);
  return parsed.relay;
}

const rules = (...relays: readonly Relay[]): RoutingRules => ({
  relays,
  destinations: NO_DESTINATION_RULES,
  ownNames: ['me.example'],
  mxPort: 25,
  loops: null,
});

const mx = (...records: readonly (readonly [number, string])[]): LookupResult<MxRecord> => ({
  kind: 'found',
  records: records.map(([preference, exchange]) => ({ preference, exchange })),
});

const fault = (name: LookupError): LookupResult<MxRecord> => ({ kind: 'failed', fault: name });

/** The hosts tried, in order, or what is said when there is none. */
function tried(
  answer: LookupResult<MxRecord>,
  given = rules(),
  random = (): number => 0.5,
): readonly string[] {
  const route = mxRoute('example.net', answer, given, random);
  return route.kind === 'hosts'
    ? route.hosts.map((host) => host.name)
    : [`${route.permanent ? 'permanent' : 'transient'} ${route.enhanced} ${route.text}`];
}

test('a domain is one destination however it is written', () => {
  const [lower, upper] = ['example.com', 'EXAMPLE.com'].map((each) => destinationOf(each, 'a@b', rules()));
  assert.deepEqual(lower, upper);
  assert.equal(lower?.key, 'mx:example.com');
});

test('an address literal names its host itself', () => {
  for (const [domain, address, family] of [
    ['[192.0.2.1]', '192.0.2.1', 4],
    ['[IPv6:2001:db8::1]', '2001:db8::1', 6],
  ] as const) {
    const destination = destinationOf(domain, 'a@b', rules());
    assert.ok(destination.kind === 'literal');
    assert.deepEqual([destination.address, destination.family], [address, family]);
  }
});

test('MX hosts come by preference, lists of one, two and three', () => {
  assert.deepEqual(tried(mx([10, 'a'])), ['a']);
  assert.deepEqual(tried(mx([20, 'b'], [10, 'a'])), ['a', 'b']);
  assert.deepEqual(tried(mx([30, 'c'], [10, 'a'], [20, 'b'])), ['a', 'b', 'c']);
});

test('equal preferences are shuffled once, and only among themselves', () => {
  const answers = mx([10, 'a'], [10, 'b'], [10, 'c'], [5, 'first'], [20, 'last']);
  const orders = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    let state = seed;
    const random = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
    const order = tried(answers, rules(), random);
    assert.deepEqual([order[0], order.at(-1)], ['first', 'last']);
    orders.add(order.join(' '));
  }
  assert.ok(orders.size > 3, `${orders.size} different orders`);
});

test('a host listed twice is tried once', () => {
  assert.deepEqual(tried(mx([20, 'a'], [10, 'a'], [15, 'b'])), ['a', 'b']);
});

test('the list ends at our own name', () => {
  assert.deepEqual(tried(mx([10, 'a'], [20, 'ME.example'], [30, 'c'])), ['a']);
  assert.match(tried(mx([10, 'me.example'], [20, 'b']))[0] ?? '', /permanent 5\.4\.6 .*loop/);
});

test('a null MX is a permanent refusal', () => {
  assert.match(tried(mx([0, '']))[0] ?? '', /permanent 5\.1\.10/);
});

test('a null MX among others is no host', () => {
  assert.deepEqual(tried(mx([0, ''], [10, 'a'])), ['a']);
});

test('without MX, proven, the domain itself is the host', () => {
  assert.deepEqual(tried(fault('no-data')), ['example.net']);
});

test('a domain that does not exist is a permanent failure', () => {
  assert.match(tried(fault('no-domain'))[0] ?? '', /permanent 5\.1\.2/);
});

for (const failure of ['server-failure', 'refused', 'timeout', 'bad-answer', 'local-fault'] as const) {
  test(`an MX lookup that ends in ${failure} is transient and never a guess`, () => {
    assert.match(tried(fault(failure))[0] ?? '', /transient 4\.4\.3 the MX lookup for example.net failed: /);
  });
}

test('smart hosts are the only way, in configured order, fallback hosts behind them', () => {
  const given = rules(relay('last.example', 'fallbackhost'), relay('one.example:587'), relay('two.example'));
  const destination = destinationOf('example.net', 'a@b', given);
  assert.ok(destination.kind === 'relays');
  const route = directRoute(destination, given);
  assert.ok(route.kind === 'hosts');
  assert.deepEqual(
    route.hosts.map((host) => `${host.name}:${host.port} ${host.origin}`),
    ['one.example:587 smarthost', 'two.example:25 smarthost', 'last.example:25 fallbackhost'],
  );
});

test('a fallback host comes after the MX hosts, and does not make relay mode', () => {
  const given = rules(relay('last.example', 'fallbackhost'));
  assert.equal(destinationOf('example.net', 'a@b', given).kind, 'mx');
  assert.deepEqual(tried(mx([10, 'a']), given), ['a', 'last.example']);
  assert.deepEqual(tried(fault('no-data'), given), ['example.net', 'last.example']);
  assert.deepEqual(tried(fault('timeout'), given), ['last.example']);
});

test('a relay for one sender is not for another; without any for this sender the mail waits', () => {
  const given = rules(relay('own.example joe@me.example'));
  const joe = destinationOf('example.net', 'JOE@me.example', given);
  const ann = destinationOf('example.net', 'ann@me.example', given);
  assert.ok(joe.kind === 'relays' && ann.kind === 'relays');
  assert.deepEqual(
    joe.relays.map((each) => each.host),
    ['own.example'],
  );
  assert.deepEqual(ann.relays, []);
  assert.notEqual(joe.key, ann.key);
  const route = directRoute(ann, given);
  assert.ok(route.kind === 'none' && !route.permanent);
});
