import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullName } from '../../src/platform/machine-name.ts';

for (const [name, hosts, wanted] of [
  ['vm', '127.0.0.1 localhost\n127.0.1.1 vm.example.org vm # Debian\n', 'vm.example.org'],
  ['VM', '127.0.1.1\tvm vm.Example.org\n', 'vm.Example.org'],
  ['15b0', '172.17.0.2 15b0\n', null],
  ['vm', '127.0.1.1 other.example.org vm\n', null],
  ['vm', '# 127.0.1.1 vm.example.org vm\n', null],
] as const) {
  test(`the full name of ${name} in ${JSON.stringify(hosts)}`, () =>
    assert.equal(fullName(name, hosts), wanted));
}
