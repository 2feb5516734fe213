/** The addresses of this machine, and what holds where the system does not tell them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownAddresses } from '../../src/platform/own-addresses.ts';

test('the addresses of all interfaces', () => {
  const { addresses, problem } = ownAddresses();
  assert.equal(problem, null);
  assert.ok(addresses.includes('127.0.0.1') || addresses.includes('::1'), addresses.join());
});

test('a service that may not ask for its addresses runs, and says what is missing (R263)', () => {
  const { addresses, problem } = ownAddresses(() => {
    throw new Error('uv_interface_addresses returned Unknown system error 97');
  });
  assert.deepEqual(addresses, ['127.0.0.1', '::1']);
  assert.match(problem ?? '', /Unknown system error 97.*AF_NETLINK/);
});
