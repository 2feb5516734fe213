import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectFailure, describeClose, NETWORK_ERRORS } from '../../src/smtp/network-errors.ts';

test('no error of the network is told by its code alone, or as a success (R019)', () => {
  for (const code of [...Object.keys(NETWORK_ERRORS), 'EUNHEARDOF', '']) {
    const text = describeClose({ kind: 'error', code, message: 'read' });
    assert.match(text, /^[a-z]+ .*[a-z]/, code);
    assert.doesNotMatch(text, /success|undefined/i, code);
  }
});

test('an unknown code is told with what the system says', () => {
  assert.equal(
    describeClose({ kind: 'error', code: 'EPROTO', message: 'bad record mac' }),
    'failed (EPROTO: bad record mac)',
  );
});

test('a connection that never came to be is the host alone, and tried again (C04, R065)', () => {
  const failure = connectFailure('refuses connections', { host: 'mx', address: '192.0.2.1', port: 25 });
  assert.deepEqual([failure.scope, failure.permanent, failure.enhanced], ['host', false, '4.4.1']);
});
