/** Addresses that lead back to this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ehloNameFor, isOwnAddress } from '../../src/routing/own-address.ts';

const OWN = ['192.0.2.7', '2001:db8::7', 'fe80::1%eth0'];

for (const address of [
  ...['127.0.0.1', '127.255.0.3', '0.0.0.0', '::1', '::', '0:0:0:0:0:0:0:1'],
  ...[
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:0.0.0.0',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::7f00:1',
  ],
  ...['2002:7f00:1::', '2002:7f00:3::5', '2002:c000:207::1', '::7f00:1', '::127.0.0.1', '::192.0.2.7'],
  ...['64:ff9b:1::7f00:1', '64:ff9b:1::c000:207'],
  ...['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207', '2001:db8::7', '2001:0DB8:0:0:0::7', 'fe80::1'],
])
  test(`${address} is our own (R167, R301)`, () => assert.ok(isOwnAddress(address, OWN)));

for (const address of [
  '192.0.2.8',
  '128.0.0.1',
  '2001:db8::8',
  '::ffff:192.0.2.8',
  '2001:db8::127.0.0.1',
  '2002:c000:208::1',
  '2003:7f00:1::',
  '::192.0.2.8',
  '64:ff9b:1::c000:208',
  '',
  'localhost',
  '1.2.3',
  ':::',
])
  test(`"${address}" is not`, () => assert.ok(!isOwnAddress(address, OWN)));

for (const [name, interfaces, wanted] of [
  ['mail.example.org', ['192.0.2.7'], 'mail.example.org'],
  ['vm', ['127.0.0.1', '::1', 'fe80::1', '2001:db8::7', '192.0.2.7'], '[192.0.2.7]'],
  ['vm', ['127.0.0.1', '169.254.3.4', 'fe80::1', '2001:db8::7'], '[IPv6:2001:db8::7]'],
  ['vm', ['127.0.0.1', '::1'], '[127.0.0.1]'],
  ['vm', [], 'vm'],
  ['localhost.localdomain', ['192.0.2.7'], '[192.0.2.7]'],
  ['my_host.example', ['192.0.2.7'], '[192.0.2.7]'],
  ['a..example', ['192.0.2.7'], '[192.0.2.7]'],
  ['192.0.2.9', ['192.0.2.7'], '[192.0.2.9]'],
  ['mail.1', ['192.0.2.7'], '[192.0.2.7]'],
  [`${'x'.repeat(64)}.example`, ['192.0.2.7'], '[192.0.2.7]'],
  ['xn--bcher-kva.example', ['192.0.2.7'], 'xn--bcher-kva.example'],
] as const) {
  test(`EHLO of ${name} at ${interfaces.join(', ')} says ${wanted}`, () =>
    assert.equal(ehloNameFor(name, interfaces), wanted));
}
