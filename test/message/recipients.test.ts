import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerRecipients, withoutBcc } from '../../src/message/recipients.ts';

const FIRST = 'From: carol@far.example\nTo: first@x\nCc: second@x\nBcc: third@x\n';
const AGAIN = 'Resent-From: alice@x\nResent-Date: Mon, 1 Jan 2024 00:00:00 +0000\n';

const rows: readonly (readonly [string, string, readonly string[]])[] = [
  ['To, Cc and Bcc', FIRST, ['first@x', 'second@x', 'third@x']],
  ['each once', 'To: a@x, b@x\nCc: a@x\n', ['a@x', 'b@x']],
  ['groups are opened', 'To: Friends: a@x, "B, C" <b@x>; c@x\n', ['a@x', '"B, C" <b@x>', 'c@x']],
  ['sent on: not again to the first recipients', `${AGAIN}Resent-To: dave@x\n${FIRST}`, ['dave@x']],
  [
    'sent on: all three fields',
    `Resent-Bcc: c@x\nResent-Cc: b@x\nResent-To: a@x\n${FIRST}`,
    ['c@x', 'b@x', 'a@x'],
  ],
  ['sent on: a field behind the others', `${AGAIN}${FIRST}Resent-To: dave@x\n`, ['dave@x']],
  ['sent on without recipients', `${AGAIN}${FIRST}`, ['first@x', 'second@x', 'third@x']],
  [
    'sent on twice: only the last one counts',
    `${AGAIN}Resent-To: new@x\n${AGAIN}Resent-To: old@x\n${FIRST}`,
    ['new@x'],
  ],
  [
    'sent on twice, with a server in between',
    `Received: by x\nResent-To: new@x\nReceived: by y\nResent-To: old@x\n${FIRST}`,
    ['new@x'],
  ],
  ['one resending with a field twice', `Resent-To: a@x\nResent-To: b@x\n${FIRST}`, ['a@x', 'b@x']],
];

for (const [name, header, expected] of rows) {
  test(`recipients of a header: ${name}`, () =>
    assert.deepEqual(headerRecipients(`${header}\nTo: body@x\n`), expected));
}

test('blind copies of both generations are taken out', () => {
  const header = 'Resent-Bcc: a@x,\n\tb@x\nResent-To: c@x\nBCC : d@x\nX-Bcc: kept\n\n';
  assert.equal(withoutBcc(header), 'Resent-To: c@x\nX-Bcc: kept\n\n');
});
