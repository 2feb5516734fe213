import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../../src/settings/read.ts';

const MINUTE = 60_000;

/** RFC 5321 4.5.3.2 */
const LEAST = {
  'timeout.greeting': 5,
  'timeout.ehlo': 5,
  'timeout.mail': 5,
  'timeout.rcpt': 5,
  'timeout.data': 2,
  'timeout.body': 3,
  'timeout.dot': 10,
} as const;

test('by default servers have the time that RFC 5321 gives them (R034, C28)', () => {
  const read = readSettings({});
  assert.ok(read.ok);
  for (const [name, minutes] of Object.entries(LEAST))
    assert.ok(read.settings[name as keyof typeof LEAST] >= minutes * MINUTE, name);
});
