import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { recipientAddress } from '../../src/routing/address.ts';

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** as listed, command, display */
const USABLE: readonly (readonly [string, string, string])[] = [
  ['user@example.com', 'user@example.com', 'user'],
  [' USER@EXAMPLE.COM\r', 'USER@EXAMPLE.COM', 'USER'],
  ['Joe Six <user@example.com>', 'user@example.com', 'Joe Six'],
  ['"Six, Joe <x>" <user@example.com>', 'user@example.com', 'Six, Joe <x>'],
  ['Joe 6" <user@example.com>', 'user@example.com', 'Joe 6"'],
  ['user@example.com (Joe (six) pack)', 'user@example.com', 'Joe (six) pack'],
  ['user(comment)@example.com', 'user@example.com', 'comment'],
  ['user @ example.com', 'user@example.com', 'user'],
  ['"a@b"@example.com', '"a@b"@example.com', 'a@b'],
  ['"Joe Six"@example.com', '"Joe Six"@example.com', 'Joe Six'],
  ['"a\\"<x>"@example.com', '"a\\"<x>"@example.com', 'a\\"<x>'],
  ['u%h@r', 'u%h@r', 'u%h'],
  ['a!b!user@c', 'a!b!user@c', 'a!b!user'],
  ['user@[192.0.2.1]', 'user@[192.0.2.1]', 'user'],
  ['user@[IPv6:2001:db8::1]', 'user@[IPv6:2001:db8::1]', 'user'],
  ['user@example.com.', 'user@example.com', 'user'],
  [utf8('user@münchen.example'), 'user@xn--mnchen-3ya.example', 'user'],
  [utf8('Jörg <jörg@MÜNCHEN.example>'), utf8('jörg@xn--mnchen-3ya.example'), utf8('Jörg')],
];

for (const [raw, command, display] of USABLE) {
  test(`recipient ${JSON.stringify(raw)}`, () => {
    const address = recipientAddress(raw);
    assert.ok(address.kind === 'address', JSON.stringify(address));
    assert.deepEqual([address.command, address.display], [command, display]);
    assert.equal(address.smtputf8, /[\x80-\xff]/.test(address.local));
  });
}

const UNUSABLE: readonly (readonly [string, RegExp])[] = [
  ['', /no address/],
  [' \t\r\n', /no address/],
  ['user', /no domain/],
  ['user@', /no domain/],
  ['@example.com', /before its @/],
  ['<>', /no domain/],
  ['a@b, c@d', /quotes/],
  ['<a@b> <c@d>', /angle brackets/],
  ['a@b>', /angle brackets/],
  ['user name@example.com', /blanks/],
  ['user@exam ple.com', /host name/],
  ['user@example..com', /host name/],
  ['user@-example.com', /host name/],
  [`user@${'a'.repeat(64)}.com`, /host name/],
  [`user@${'a.'.repeat(130)}com`, /host name/],
  [`${'a'.repeat(1000)}@b`, /longer/],
  ['x'.repeat(100_000), /longer/],
  ['user@[192.0.2.999]', /IP address/],
  ['user@[IPv6:zz]', /IP address/],
  ['user@[example.com]', /IP address/],
  ['j\xf6rg@example.com', /ASCII nor UTF-8/],
  ['user@m\xfcnchen.example', /ASCII nor UTF-8/],
  [utf8('user@münchen example'), /host name/],
  ['a\r\nDATA@b', /quotes/],
  ['"a\r\nDATA"@b', /quotes/],
  ['a\0@b', /quotes/],
  ['a@b\r\nRCPT TO:<c@d', /angle brackets/],
  ['a@b\r\nX', /host name/],
];

for (const [raw, reason] of UNUSABLE) {
  test(`unusable recipient ${JSON.stringify(raw.slice(0, 40))}`, () => {
    const address = recipientAddress(raw);
    assert.ok(address.kind === 'unusable', JSON.stringify(address));
    assert.match(address.reason, reason);
  });
}

test('nothing gets into the command that could end it', () => {
  const piece = fc.constantFrom(
    'a',
    '@',
    'b.c',
    '"',
    '<',
    '>',
    '(',
    ')',
    '\\',
    '\r',
    '\n',
    '\0',
    ' ',
    '\t',
    ',',
    '[',
    ']',
    '\x7f',
    '\xc3',
    '\xb6',
    '\x85',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
      const address = recipientAddress(pieces.join(''));
      if (address.kind === 'unusable') return;
      assert.doesNotMatch(address.command, /[\x00-\x1f\x7f]/);
      assert.doesNotMatch(address.command.replace(/^"(?:[^"\\]|\\.)*"/, ''), /[ <>"]/);
    }),
    { numRuns: 5_000 },
  );
});

test('an entry that is nothing but an address is read as if it stood in brackets', () => {
  const piece = fc.constantFrom(
    'a',
    'b.c',
    '@',
    '-',
    '_',
    '.',
    '+x',
    'D'.repeat(70),
    '%',
    '!',
    '=?',
    '\xc3\xb6',
    "'",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const entry = pieces.join('');
      const bracketed = recipientAddress(entry === '' ? '' : `<${entry}>`);
      assert.deepEqual(recipientAddress(entry), bracketed);
    }),
    { numRuns: 2_000 },
  );
});

test('a letter whose last UTF-8 byte is 0xA0 is no blank', () => {
  const address = recipientAddress('vis-\xc3\xa0@example.com');
  assert.equal(address.kind === 'address' && address.command, 'vis-\xc3\xa0@example.com');
});

test('a CR is taken for a line end only at the end of the entry', () => {
  assert.equal(recipientAddress('cr@example.com\r').kind, 'address');
  assert.equal(recipientAddress('cr\r@example.com').kind, 'unusable');
  assert.equal(recipientAddress('cr@\rexample.com').kind, 'unusable');
});

test('a million blanks within an entry cost no more than its length', () => {
  assert.equal(recipientAddress(`a${' '.repeat(1_000_000)}b@example.com`).kind, 'unusable');
});

test('an entry of parentheses, quotes and backslashes takes no longer than others (R298)', () => {
  const began = performance.now();
  for (const unit of ['(', '"(\\', '"\\"', '(\\"', '((")'])
    for (let count = 0; count < 200; count++)
      recipientAddress(`${unit.repeat(4000 / unit.length)}u@x.example`);
  assert.ok(performance.now() - began < 5000, 'a thousand entries took half a minute');
});

test('quotes and comments end where a search from each of them says (R298)', () => {
  // What is left of comments, unclosed ones and quotes shows in the local part, or in the reason.
  for (const [raw, expected] of [
    ['(a(b)c)u@x.example', 'u@x.example'],
    ['((a)u@x.example', null],
    ['(a\\)b)u@x.example', 'u@x.example'],
    ['\\(a)u@x.example', '\\u@x.example'],
    ['"a(b"@x.example', '"a(b"@x.example'],
    ['"a\\"b"@x.example', '"a\\"b"@x.example'],
    ['(a"b)u@x.example', 'u@x.example'],
    ['u(a)(b(c(d)))@x.example', 'u@x.example'],
    ['u@x.example (a) (b', null],
  ] as const) {
    const address = recipientAddress(raw);
    const command = address.kind === 'address' ? address.command : null;
    if (expected === '\\u@x.example') assert.equal(command, null, raw);
    else assert.equal(command, expected, raw);
  }
});
