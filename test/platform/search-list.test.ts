import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidates, parseSearchList } from '../../src/platform/dns/search-list.ts';

for (const [text, hostname, domains, ndots] of [
  ['search Corp.example. dmz.example\noptions edns0 ndots:2\n', 'vm', ['corp.example', 'dmz.example'], 2],
  ['search .\n', 'vm.example.org', [], 1],
  ['domain corp.example\n', 'vm', ['corp.example'], 1],
  ['domain a.example\nsearch b.example # comment\n', 'vm', ['b.example'], 1],
  ['nameserver 192.0.2.1\n', 'vm.example.org', ['example.org'], 1],
  ['; search a.example\n', 'vm', [], 1],
] as const) {
  test(`the search list of ${JSON.stringify(text)} on ${hostname}`, () =>
    assert.deepEqual(parseSearchList(text, hostname), { domains, ndots }));
}

test('a name with few dots is completed first, another one asked for as it is', () => {
  const list = { domains: ['a.example', 'b.example'], ndots: 2 };
  assert.deepEqual(candidates('hub', list), ['hub.a.example', 'hub.b.example', 'hub']);
  assert.deepEqual(candidates('hub.x', list), ['hub.x.a.example', 'hub.x.b.example', 'hub.x']);
  assert.deepEqual(candidates('hub.x.y', list), ['hub.x.y', 'hub.x.y.a.example', 'hub.x.y.b.example']);
});
