import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenAddress, parseListenAddress } from '../../src/intake/listen-address.ts';

const places = [
  ['2525', '127.0.0.1:2525', true],
  ['localhost:2525', '127.0.0.1:2525', true],
  ['127.1.2.3:25', '127.1.2.3:25', true],
  ['[::1]:2525', '[::1]:2525', true],
  ['192.0.2.1:25', '192.0.2.1:25', false],
  ['[2001:db8::1]:25', '[2001:db8::1]:25', false],
  ['[::ffff:127.0.0.1]:25', '[::ffff:127.0.0.1]:25', false],
  ['[::]:25', '[::]:25', false],
  ['0.0.0.0:25', '0.0.0.0:25', false],
] as const;

test('addresses and ports, and which of them are this machine only', () => {
  for (const [text, shown, loopback] of places) {
    const place = parseListenAddress(text);
    if (place.kind !== 'tcp') throw new Error(text);
    assert.deepEqual([formatListenAddress(place, place.port), place.loopback], [shown, loopback], text);
  }
  for (const path of ['/run/intake.sock', `/${'x'.repeat(106)}`])
    assert.deepEqual(parseListenAddress(path), { kind: 'unix', path });
});

test('what is no place is a sentence', () => {
  const unusable = [
    '',
    'mail.example:25',
    '::1:25',
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:25\n',
    '127.0.0.1.evil.example:25',
    '-1',
    `/${'x'.repeat(107)}`,
  ];
  for (const text of unusable) {
    const place = parseListenAddress(text);
    assert.match(
      place.kind === 'unusable' ? place.text : '',
      /^The intake cannot listen on ".*": .*\.$/s,
      text,
    );
  }
});
