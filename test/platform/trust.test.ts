/** Whose word about DNSSEC counts, and how name servers are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameServer, trustsAnswers } from '../../src/platform/dns/trust.ts';

test('the word of name servers on this machine counts, of others only where somebody says so', () => {
  const auto = (servers: readonly string[], text: string | null = ''): boolean =>
    trustsAnswers('auto', servers, text);
  assert.equal(auto(['127.0.0.1']), true);
  assert.equal(auto(['::1', '127.0.0.53']), true);
  assert.equal(auto(['127.0.0.1', '192.0.2.1']), false);
  assert.equal(auto(['127.0.0.11']), false, 'Docker only hands on');
  assert.equal(auto([]), false);
  assert.equal(auto(['192.0.2.1'], 'nameserver 192.0.2.1\noptions edns0 trust-ad\noptions rotate\n'), true);
  assert.equal(auto(['192.0.2.1'], '# options trust-ad\noptions no-trust-ad\n'), false);
  assert.equal(auto(['192.0.2.1'], null), false);
  assert.equal(trustsAnswers('trust', ['192.0.2.1'], null), true);
  assert.equal(trustsAnswers('off', ['127.0.0.1'], 'options trust-ad\n'), false);
});

test('name servers with and without a port', () => {
  assert.deepEqual(nameServer('192.0.2.1'), { address: '192.0.2.1', port: 53 });
  assert.deepEqual(nameServer('192.0.2.1:5353'), { address: '192.0.2.1', port: 5353 });
  assert.deepEqual(nameServer('2001:db8::1'), { address: '2001:db8::1', port: 53 });
  assert.deepEqual(nameServer('[2001:db8::1]:5353'), { address: '2001:db8::1', port: 5353 });
  for (const text of ['', 'ns.example', '192.0.2.1:0', '192.0.2.1:65536', '[192.0.2.1]:53'])
    assert.equal(nameServer(text), null, text);
});
