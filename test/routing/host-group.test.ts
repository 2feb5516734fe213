import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostGroup } from '../../src/routing/host-group.ts';

test('hosts with the same registered name are one group', () => {
  const groups: readonly (readonly [string, string])[] = [
    ['alt1.gmail-smtp-in.l.google.com', 'google.com'],
    ['GMAIL-SMTP-IN.L.GOOGLE.COM.', 'google.com'],
    ['example.com', 'example.com'],
    ['mx1.example.co.uk', 'example.co.uk'],
    ['mx.mimecast.co.za', 'mimecast.co.za'],
    ['mx.web.de', 'web.de'],
    ['localhost', 'localhost'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
  ];
  for (const [host, group] of groups) assert.equal(hostGroup(host), group, host);
});
