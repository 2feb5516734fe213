import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_CAPABILITIES, readCapabilities } from '../../src/smtp/capabilities.ts';

const offered = (...lines: readonly string[]) => readCapabilities(['mx.example', ...lines].join('\n'));

test('every line of the reply is read, in upper and lower case (R088)', () => {
  assert.deepEqual(
    offered('PIPELINING', 'size 1000', 'StartTLS', 'AUTH PLAIN LOGIN', '8bitmime', 'DSN', 'CHUNKING'),
    {
      ...NO_CAPABILITIES,
      pipelining: true,
      size: true,
      maxSize: 1000,
      starttls: true,
      auth: ['PLAIN', 'LOGIN'],
      eightBitMime: true,
      dsn: true,
      chunking: true,
    },
  );
});

test('the line with the server name is not a capability', () => {
  assert.deepEqual(readCapabilities('PIPELINING'), NO_CAPABILITIES);
  assert.deepEqual(readCapabilities('STARTTLS\nSMTPUTF8'), { ...NO_CAPABILITIES, smtpUtf8: true });
});

test('AUTH= of old servers is accepted, and mechanisms of several lines are combined', () => {
  assert.deepEqual(offered('AUTH LOGIN', 'AUTH=CRAM-MD5').auth, ['LOGIN', 'CRAM-MD5']);
});

test('limits are natural numbers or nothing', () => {
  assert.deepEqual(offered('LIMITS MAILMAX=20 RCPTMAX=100'), {
    ...NO_CAPABILITIES,
    mailMax: 20,
    rcptMax: 100,
  });
  for (const odd of ['LIMITS MAILMAX=0', 'LIMITS MAILMAX=-1', 'LIMITS RCPTMAX=many', 'LIMITS'])
    assert.deepEqual(offered(odd), NO_CAPABILITIES, odd);
  for (const odd of ['SIZE', 'SIZE 0', 'SIZE -5', 'SIZE 99999999999999999999'])
    assert.deepEqual(offered(odd), { ...NO_CAPABILITIES, size: true }, odd);
});

test('names of object members are not keywords', () => {
  assert.deepEqual(offered('constructor', '__proto__', 'toString'), NO_CAPABILITIES);
});
