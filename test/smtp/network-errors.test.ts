import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectFailure, describeClose, NETWORK_ERRORS } from '../../src/smtp/network-errors.ts';

test('every network error has a text of its own, never its code alone, never a success (R019)', () => {
  for (const code of [...Object.keys(NETWORK_ERRORS), 'EUNHEARDOF', '']) {
    const text = describeClose({ kind: 'error', code, message: 'read' });
    assert.match(text, /^[a-z]+ .*[a-z]/, code);
    assert.doesNotMatch(text, /success|undefined/i, code);
  }
});

test('an unknown code comes with the message of the system', () => {
  assert.equal(
    describeClose({ kind: 'error', code: 'EPROTO', message: 'bad record mac' }),
    'failed (EPROTO: bad record mac)',
  );
});

test('a failed connect is a temporary failure of the host (C04, R065)', () => {
  const peer = { host: 'mx', address: '192.0.2.1', port: 25 };
  const failure = connectFailure({ kind: 'error', code: 'ECONNREFUSED', message: '' }, peer);
  assert.deepEqual([failure.scope, failure.permanent, failure.enhanced], ['host', false, '4.4.1']);
  assert.equal(failure.stage, 'connect');
  const without = connectFailure({ kind: 'error', code: 'ENETUNREACH', message: '' }, peer);
  assert.equal(without.stage, 'network');
});
