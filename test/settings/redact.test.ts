/** No message shows what may be a password, whatever mistake is in the entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseInternetConfig, parseRelayEntry } from '../../src/routing/relays.ts';
import { redactEntry } from '../../src/settings/redact.ts';

for (const [entry, shown] of [
  ['smtp://user:secret@relay.example:587', 'smtp://***@relay.example:587'],
  ['user:se@cret@relay.example', '***@relay.example'],
  ['user:secret relay.example.org', 'user:***'],
  ['user@relay.example:secret', '***@relay.example:***'],
  ['relay.example:25 alice@example.org', '***@example.org'],
  ['relay.example:25', 'relay.example:25'],
  ['[2001:db8::1]:25', '[2001:db8::1]:25'],
  ['2001:db8::1', '2001:db8::1'],
  ['relay.example alice', 'relay.example alice'],
] as const)
  test(`${entry} is shown as ${shown}`, () => assert.equal(redactEntry(entry), shown));

const SECRET = 'S3cr3t';

test('whatever is wrong with an entry, its middle part is not shown', () => {
  const noise = fc.constantFrom('', ' ', '/', '%', '%zz', '[', ']', ':', '\t', 'x', '99999', '#', '?');
  const scheme = fc.constantFrom('', 'smtp://', 'smtps://', 'http://', 'smtp:/', '://');
  const host = fc.constantFrom(
    'relay.example',
    '',
    '[::1]',
    'bad host',
    '-',
    'relay.example:0',
    '192.0.2.1:25',
  );
  const glue = fc.constantFrom('@', ' ', '', ':');
  const entry = fc
    .tuple(scheme, noise, noise, noise, glue, host, noise)
    .map(([a, b, c, d, e, f, g]) => `${a}user${b}:${c}${SECRET}${d}${e}${f}${g}`);
  fc.assert(
    fc.property(entry, (text) => {
      const parsed = parseRelayEntry(text, 'smarthost');
      const shown = parsed.kind === 'relay' ? parsed.relay.shown : `${parsed.shown} ${parsed.reason}`;
      assert.ok(!shown.includes(SECRET), `${text} is shown as ${shown}`);
      const { problems } = parseInternetConfig(`${text}|smarthost \n`);
      assert.ok(!JSON.stringify(problems).includes(SECRET), text);
    }),
    { numRuns: 5000 },
  );
});

test('a + in credentials is a +', () => {
  const parsed = parseRelayEntry('smtp://a+b:c+d%20e@relay.example', 'smarthost');
  assert.ok(parsed.kind === 'relay');
  assert.deepEqual(parsed.relay.credentials, { user: 'a+b', password: 'c+d e' });
});
