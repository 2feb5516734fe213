import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressInField, isMailbox, senderFromHeaders } from '../../src/message/sender.ts';

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

const found: readonly (readonly [string, string, string | null])[] = [
  ['plain', 'From: joe@example.com', 'joe@example.com'],
  ['upper case', 'FROM: joe@example.com', 'joe@example.com'],
  ['brackets behind a quoted name', 'From: "Joe, (Six) <x>" <joe@example.com>', 'joe@example.com'],
  ['comment behind', 'From: joe@example.com (Joe)', 'joe@example.com'],
  ['comment without a blank loses no byte (C23, e011)', 'From: joe@example.com(Joe)', 'joe@example.com'],
  ['comment in front (e004)', 'From: (Joe Six) joe@example.com', 'joe@example.com'],
  ['comments around (e007)', 'From: (a) joe@example.com (b)', 'joe@example.com'],
  ['several comments in front', 'From: (a)(b) (c)joe@example.com', 'joe@example.com'],
  ['comment behind the @', 'From: joe@(Six)example.com', 'joe@example.com'],
  ['comment inside the address', 'From: joe(Six)@example.com', 'joe@example.com'],
  ['a comment between two words joins nothing', 'From: joe(c)\tx@ex.com', null],
  ['not even without a blank', 'From: joe(c)x@ex.com', null],
  ['a control byte inside an address joins nothing', 'From: joe\x01x@ex.com', null],
  ['control bytes around an address (e041)', 'From: \x01<joe@example.com\x02>', 'joe@example.com'],
  ['blanks in the brackets (e017)', 'From: Joe < joe@example.com >', 'joe@example.com'],
  ['folded', 'From: Joe\r\n\t<joe@example.com>', 'joe@example.com'],
  ['first of two', 'From: a@b\r\nFrom: c@d', 'a@b'],
  ['who sent it on comes before the author', 'Resent-From: r@s\r\nFrom: a@b', 'r@s'],
  ['and who did it for him before that', 'Resent-From: r@s, t@u\r\nResent-Sender: v@w\r\nFrom: a@b', 'v@w'],
  ['of the last resending', 'Resent-From: new@s\r\nResent-From: old@s\r\nFrom: a@b', 'new@s'],
  ['an unusable Resent-From', 'Resent-From: r@s, t@u\r\nFrom: a@b', 'a@b'],
  ['encoded name', 'From: =?UTF-8?Q?J=C3=B6rg?= <joerg@example.com>', 'joerg@example.com'],
  ['raw name', utf8('From: Jörg <joerg@example.com>'), 'joerg@example.com'],
  ['address in UTF-8', utf8('From: <jörg@example.com>'), utf8('jörg@example.com')],
  ['address in Latin-1 (e045)', 'From: <j\xf6rg@example.com>', null],
  ['quoted local part', 'From: "joe six"@example.com', '"joe six"@example.com'],
  ['address literal', 'From: joe@[192.0.2.1]', 'joe@[192.0.2.1]'],
  ['a long name (e059)', `From: ${'n'.repeat(2000)} <joe@example.com>`, 'joe@example.com'],
  ['none (e049)', 'Subject: x', null],
  ['empty (e018)', 'From:', null],
  ['no address', 'From: Joe Six', null],
  ['two authors', 'From: a@b, c@d', null],
  ['a line in the body (e048)', 'Date: x\r\n\r\nFrom: spoofed@example.com', null],
  ['an mbox line', 'From joe@example.com Mon', null],
  ['LF only', 'Date: x\nFrom: joe@example.com\n\nbody', 'joe@example.com'],
];

for (const [name, header, expected] of found) {
  test(`sender from headers: ${name}`, () => assert.equal(senderFromHeaders(header), expected));
}

test('the search keeps what is no mailbox as the C module does', () => {
  assert.equal(addressInField('From: Joe Six\r\n', 'from'), 'Joe Six');
  assert.equal(addressInField('From: a@b, c@d\r\n', 'from'), 'a@b, c@d');
});

test('no sender ever holds a byte that ends the command', () => {
  const bytes = fc.string({
    unit: fc.constantFrom('a', '@', '<', '>', '(', ')', '"', '\\', '\r', '\n', ' ', '\xe9', '\0', 'b.c'),
  });
  fc.assert(
    fc.property(bytes, (value) => {
      const sender = senderFromHeaders(`From: ${value}`);
      assert.ok(sender === null || (isMailbox(sender) && !/[\0\r\n<>]/.test(sender)), sender ?? '');
    }),
    { numRuns: 500 },
  );
});

test('hostile From lines take no more than linear time', () => {
  for (const piece of ['(', ')', '<', '>', '"', '\\', ' ', '"\\', '@', 'From: ']) {
    const started = performance.now();
    senderFromHeaders(`From: ${piece.repeat(200_000)}\r\n`);
    assert.ok(performance.now() - started < 1000, `${JSON.stringify(piece)} repeated`);
  }
});
