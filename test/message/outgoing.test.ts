import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { rfc822Lines } from '../../src/message/lines.ts';
import { prepareOutgoing } from '../../src/message/outgoing.ts';
import { size } from '../support/thorough.ts';
import {
  bodyOf,
  charset,
  collect,
  cut,
  fixture,
  headerOf,
  inPieces,
  latin1,
  native,
  OPTIONS,
  outgoing,
  render,
  utf8,
  whole,
} from './support.ts';

/** The server's own rendering, with what is mended: zone `-0000`, the label of formats 0 and 1, blind copies, the path, groups. */
function mended(text: string, format: number): string {
  const mime =
    'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n';
  const header = text
    .replace(/^(Date: .*) -0000\r\n/m, '$1 +0000\r\n')
    .replace(/^(?:Envelope-To|Return-Path): .*\r\n/gm, '')
    .replace('undisclosed:;@citref.example', 'undisclosed:;');
  return format === 4 ? header : header.replace('\r\n\r\n', `\r\n${mime}\r\n`);
}

for (const name of ['2012-399', '2012-401', '2012-403', '2012-405', '2016-4', '2016-6', '2016-8']) {
  test(`as the server renders it: ${name}`, () => {
    const stored = fixture(`${name}.native`);
    const order = name.startsWith('2012') ? '2012' : '2016';
    const expected = mended(fixture(`${name}.text`).toString('latin1'), stored[2] ?? 0);
    assert.equal(render(stored, { order }), expected);
  });
}

const FIELDS = {
  I: 'id@citref.example',
  P: 'alice',
  T: '1342252800',
  A: 'Alice',
  F: 'alice@citref.example',
  R: 'bob@example.net',
  U: 'Hi',
};

test('order of the header fields in each era', () => {
  const stored = native(
    { ...FIELDS, K: 'k@x', L: 'List <l.x>', W: 'a@b|<c@d>', Y: 'y@z', V: 'secret@x' },
    'x',
  );
  const names = (order: '2012' | '2016' | '2023'): string =>
    headerOf(render(stored, { order }))
      .slice(0, 10)
      .map((line) => line.split(':')[0])
      .join(' ');
  assert.equal(names('2012'), 'Reply-To List-ID To Date Subject References CC Message-ID From MIME-Version');
  const later = 'Date To References Reply-To List-ID CC Subject Message-ID From MIME-Version';
  assert.equal(names('2016'), later);
  assert.equal(names('2023'), later);
  assert.ok(render(stored).includes('References: <a@b> <c@d>\r\n'));
});

const lines: readonly (readonly [string, Record<string, string>, string])[] = [
  ['a local name gets our domain', { R: 'bob' }, 'To: bob@citref.example'],
  ['a group does not', { R: 'undisclosed:;' }, 'To: undisclosed:;'],
  ['no subject', { U: '' }, 'Subject: (no subject)'],
  ['id without a domain', { I: 'abc', N: 'citref' }, 'Message-ID: <abc@citref.example>'],
  ['id of another node', { I: 'abc', N: 'other.example' }, 'Message-ID: <abc@other.example>'],
  ['no id', { I: '' }, 'Message-ID: <unknown@citref.example>'],
  [
    'no address of the author',
    { F: '', A: 'Joe Six-Pack' },
    'From: "Joe Six-Pack" <joe_six_pack@citref.example>',
  ],
  ['no author', { F: '', A: '' }, 'From: <unknown@citref.example>'],
  ['quotes and backslashes in a name', { A: 'a "b" \\c' }, 'From: "a \\"b\\" \\\\c" <alice@citref.example>'],
  [
    'a name in UTF-8',
    { A: utf8('Jörg') },
    `From: =?utf-8?B?${Buffer.from('Jörg').toString('base64')}?= <alice@citref.example>`,
  ],
  ['a name in Latin-1', { A: 'J\xf6rg' }, 'From: =?windows-1252?B?SvZyZw==?= <alice@citref.example>'],
  ['a name in nothing known', { A: 'J\x81rg' }, 'From: =?unknown-8bit?B?SoFyZw==?= <alice@citref.example>'],
  [
    'the last byte of a letter is no blank',
    { U: utf8('voilà') },
    `Subject: =?utf-8?B?${Buffer.from('voilà').toString('base64')}?=`,
  ],
  [
    'only the words that need it',
    { U: utf8('one für two') },
    `Subject: one =?utf-8?B?${Buffer.from('für').toString('base64')}?= two`,
  ],
  ['encoded words stay', { U: '=?utf-8?Q?f=C3=BCr?=' }, 'Subject: =?utf-8?Q?f=C3=BCr?='],
  [
    'names in an address list',
    { R: utf8('"Müller, K" <k@x>, b@c (für)') },
    `To: =?utf-8?B?${Buffer.from('Müller, K').toString('base64')}?= <k@x>, b@c (=?utf-8?B?${Buffer.from('für').toString('base64')}?=)`,
  ],
  ['an address in UTF-8 stays', { R: utf8('<jörg@x>, jörg@y') }, utf8('To: <jörg@x>, jörg@y')],
  ['a line break cannot start a header', { U: 'Hi\r\nBcc: x@y\n\nbody' }, 'Subject: Hi Bcc: x@y body'],
  ['nor in a name', { A: 'x"\r\nBcc: y' }, 'From: "x\\" Bcc: y" <alice@citref.example>'],
  ['nor in an address', { F: 'a@b>\r\nBcc: <x@y' }, 'From: "Alice" <a@b Bcc: x@y>'],
  ['nor in a list', { R: 'a@b,\r\n\tc@d' }, 'To: a@b, c@d'],
  ['nothing is cut at 99 bytes (C23)', { I: `${'i'.repeat(300)}@x` }, `Message-ID: <${'i'.repeat(300)}@x>`],
  ['a time that is none', { T: 'soon' }, 'Subject: Hi'],
];

for (const [name, fields, expected] of lines) {
  test(`header: ${name}`, () => {
    const header = headerOf(render(native({ ...FIELDS, ...fields }, 'x')));
    assert.ok(header.includes(expected), header.join('\n'));
    assert.ok(!header.some((line) => /^(bcc|date: NaN)/i.test(line)));
  });
}

const zones: readonly (readonly [number, string])[] = [
  [0, 'Sat, 14 Jul 2012 08:00:00 +0000'],
  [330, 'Sat, 14 Jul 2012 13:30:00 +0530'],
  [-210, 'Sat, 14 Jul 2012 04:30:00 -0330'],
  [345, 'Sat, 14 Jul 2012 13:45:00 +0545'],
  [840, 'Sat, 14 Jul 2012 22:00:00 +1400'],
  [-600, 'Fri, 13 Jul 2012 22:00:00 -1000'],
];
for (const [zoneMinutes, date] of zones) {
  test(`Date in zone ${zoneMinutes} (C22)`, () => {
    assert.ok(headerOf(render(native(FIELDS, 'x'), { zoneMinutes })).includes(`Date: ${date}`));
  });
}

test('long fields are folded below 998 bytes and lose nothing', () => {
  const list = Array.from({ length: 400 }, (_, i) => `user${i}@example.net`);
  for (const separator of [',', ', ']) {
    const text = render(
      native({ ...FIELDS, R: list.join(separator), W: list.join('|'), U: utf8('ü'.repeat(2000)) }, 'x'),
    );
    for (const line of text.split('\r\n')) assert.ok(line.length <= 998, `${line.length} bytes`);
    const to = headerOf(text).find((line) => line.startsWith('To: ')) ?? '';
    assert.deepEqual(to.slice(4).split(/,\s*/), list);
    const words =
      headerOf(text)
        .find((line) => line.startsWith('Subject: '))
        ?.slice(9)
        .split(' ') ?? [];
    const subject = words.map((word) => Buffer.from(word.slice(10, -2), 'base64').toString('utf8')).join('');
    assert.equal(subject, 'ü'.repeat(2000));
    for (const word of words)
      assert.ok(
        word.length <= 75 && !Buffer.from(word.slice(10, -2), 'base64').toString('utf8').includes('\ufffd'),
      );
  }
});

for (const [anonymous, name] of [
  [0x42, '"----"'],
  [0x43, '"anonymous"'],
] as const) {
  test(`an anonymous post names its author nowhere: ${name} (C35)`, () => {
    const stored = native({ ...FIELDS, K: 'Alice <alice@citref.example>' }, 'text', 1, anonymous);
    const made = outgoing(prepareOutgoing(whole(stored), OPTIONS));
    assert.equal(made.suggestedSender(), null);
    assert.ok(made.text?.includes(`From: ${name} <x@x.org>\r\n`));
    assert.doesNotMatch(made.text ?? '', /alice/i);
    const list = native({ ...FIELDS, K: 'room_talk@citref.example' }, 'text', 1, anonymous);
    assert.ok(render(list).includes('Reply-To: room_talk@citref.example\r\n'));
  });
}

test('blind copies never leave (R031, C34)', () => {
  assert.doesNotMatch(render(fixture('2016-bcc.native')), /hidden|envelope-to/i);
  const header = 'Bcc : a@b\r\n\tc@d\r\nTo: x\r\nENVELOPE-TO: q\n r\r\nBccs: kept\r\nX: y\r\n z\r\n';
  const expected = 'To: x\r\nBccs: kept\r\nX: y\r\n z\r\n\r\nBcc: in the body\r\n';
  assert.equal(render(latin1(`${header}\r\nBcc: in the body\r\n`)), expected);
  assert.equal(render(latin1(`\xef\xbb\xbf${header}\r\nBcc: in the body\r\n`)), expected);
  const made = render(native(FIELDS, `${header}\r\nBcc: in the body\r\n`, 4));
  assert.ok(made.endsWith(`<alice@citref.example>\r\n${expected}`));
});

test('fields of an earlier journey do not leave either', () => {
  const header = [
    'Return-Path: <alice@citref.example>',
    'Resent-Bcc: secret@x,',
    '\tsecret@y',
    'Resent-To: open@x',
    'return-path : <>',
    'Content-Length: 7',
    'Resent-Bccs: kept',
    'Return-Receipt-To: kept@x',
    '',
  ].join('\r\n');
  const expected = 'Resent-To: open@x\r\nResent-Bccs: kept\r\nReturn-Receipt-To: kept@x\r\n';
  const body = '\r\nReturn-Path: in the body\r\n';
  assert.equal(render(latin1(header + body)), expected + body);
  assert.ok(render(native(FIELDS, header + body, 4)).endsWith(expected + body));
  for (const format of [0, 1, 4])
    assert.doesNotMatch(render(native(FIELDS, 'X: y\n\n', format)), /return-path/i);
});

test('a NUL hides no blind copy and ends no header', async () => {
  const header = 'B\0cc: a@b\r\n\0 c@d\r\nTo: x\0\r\nX: y\r\n\0 z\r\n\0Bcc: e@f\r\nY: z\r\n';
  const expected = 'To: x\r\nX: y\r\n z\r\nY: z\r\n\r\nbody\r\n';
  assert.equal(render(latin1(`${header}\r\nbody`)), expected);
  assert.equal(render(latin1(`${header}\0\r\nbody`)), expected);
  const bytes = latin1(`${header}\0\r\nbody`);
  const made = await prepareOutgoing(
    inPieces(
      bytes,
      Array.from(bytes, (_, at) => at),
    ),
    OPTIONS,
  );
  assert.ok(made.kind === 'outgoing');
  assert.equal((await collect(made.chunks())).toString('latin1'), expected);
});

const LONG = 'x'.repeat(3000);
const hidden: readonly (readonly [what: string, header: string, left: string])[] = [
  ['behind a CR', 'X: 1\rBcc: secret@x\nTo: y\n', 'X: 1\nTo: y\n'],
  ['with its continuation', 'X: 1\rResent-Bcc : a@x,\n secret@x\nTo: y\n', 'X: 1\nTo: y\n'],
  ['with what else is behind a CR', 'X: 1\rBcc: a@x,\rsecret@x\r\nTo: y\r\n', 'X: 1\nTo: y\n'],
  ['behind CRs and a NUL', 'X: 1\r\r\0\rB\0cc: secret@x\nTo: y\n', 'X: 1\nTo: y\n'],
  ['in a continuation', 'X: 1\n 2\rBcc: secret@x\nTo: y\n', 'X: 1\n 2\nTo: y\n'],
  ['in a long line', `X: ${LONG}\rBcc: secret@x\nTo: y\n`, `X: ${LONG}\nTo: y\n`],
  ['at the start of a line', 'X: 1\n\rBcc: secret@x\nTo: y\n', 'X: 1\nTo: y\n'],
  ['behind many CRs', `X: 1${'\r'.repeat(3000)}Bcc: secret@x\nTo: y\n`, 'X: 1\nTo: y\n'],
  ['with many NULs in its name', `X: 1\nB${'\0'.repeat(3000)}cc: secret@x\nTo: y\n`, 'X: 1\nTo: y\n'],
  ['with many blanks in it', `X: 1\rBcc${' '.repeat(3000)}: secret@x\nTo: y\n`, 'X: 1\nTo: y\n'],
  ['between fields that stay', 'X: 1\rBcc: secret@x\rTo: y\rZ: 2\n', 'X: 1\nTo: yZ: 2\n'],
  ['that is none: other fields stay, without the CR', 'X: 1\rbccs: 2\rY\nTo: y\n', 'X: 1bccs: 2Y\nTo: y\n'],
];

for (const [what, header, left] of hidden)
  test(`a blind copy hidden in another field does not leave: ${what} (R303)`, () => {
    const body = '\nX: 1\rBcc: in the body\n';
    const expected = `${left}${body.replace('\r', '')}`.replaceAll('\n', '\r\n');
    const text = header + body;
    if (!header.includes(LONG)) assert.equal(render(latin1(text)), expected);
    for (const length of [1, 7, 1000, 9999]) {
      const filter = rfc822Lines();
      let made = '';
      for (let at = 0; at < text.length; at += length) made += filter.write(text.slice(at, at + length));
      assert.equal(made + filter.end(), expected, `in pieces of ${length}`);
    }
  });

test('the text of a mail whose every line ends in a CR is not lost with its blind copies', () =>
  assert.equal(
    render(latin1('To: y\rBcc: secret@x\r\rHello,\rAlice: you')),
    'To: y\r\n\r\nHello,Alice: you\r\n',
  ));

const bodies: readonly (readonly [string, number, string, string])[] = [
  [
    'format 1: every kind of line end counts once (C20)',
    1,
    'a\r\nb\rc\nd\r\r\n\ne',
    'a\r\nb\r\nc\r\nd\r\n\r\n\r\ne\r\n',
  ],
  ['format 1: a long line without a blank stays whole (C19)', 1, 'x'.repeat(600), `${'x'.repeat(600)}\r\n`],
  ['format 1: 998 bytes are one line', 1, 'x'.repeat(998), `${'x'.repeat(998)}\r\n`],
  ['format 1: 999 bytes are two', 1, 'x'.repeat(999), `${'x'.repeat(998)}\r\nx\r\n`],
  [
    'format 1: cut behind the last blank',
    1,
    `${'x'.repeat(500)} ${'y'.repeat(600)}`,
    `${'x'.repeat(500)} \r\n${'y'.repeat(600)}\r\n`,
  ],
  [
    'format 1: no character is cut',
    1,
    `${'x'.repeat(997)}${utf8('ü')}`,
    `${'x'.repeat(997)}\r\n${utf8('ü')}\r\n`,
  ],
  ['format 1: dots are left to the session', 1, '.\n..\n.x', '.\r\n..\r\n.x\r\n'],
  [
    'format 0: a blank behind column 72 ends the line',
    0,
    `${'x'.repeat(80)} y`,
    `${'x'.repeat(80)}\r\ny\r\n`,
  ],
  ['format 0: one before it does not', 0, `${'x'.repeat(71)} y`, `${'x'.repeat(71)} y\r\n`],
  [
    'format 0: a blank at the end of a line makes no second one',
    0,
    `${'x'.repeat(80)} \ny`,
    `${'x'.repeat(80)} \r\ny\r\n`,
  ],
  ['format 0: a long line stays whole up to 998 bytes', 0, 'x'.repeat(1000), `${'x'.repeat(998)}\r\nxx\r\n`],
  ['format 4: a CR that ends no line is dropped', 4, 'A: b\r\n\r\na\rb\r\r\nc\n', 'A: b\r\n\r\nab\r\nc\r\n'],
  ['format 4: the last line gets its end (R030)', 4, 'A: b\n\nc', 'A: b\r\n\r\nc\r\n'],
  [
    'format 4: long lines are carried by a transfer encoding',
    4,
    `A: b\n\n${'x'.repeat(1000)}\n`,
    `A: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Transfer-Encoding: quoted-printable\r\n\r\n${`${'x'.repeat(75)}=\r\n`.repeat(13)}${'x'.repeat(25)}\r\n`,
  ],
  [
    'format 4: 998 bytes stay as they are',
    4,
    `A: b\n\n${'x'.repeat(998)}`,
    `A: b\r\n\r\n${'x'.repeat(998)}\r\n`,
  ],
];

for (const [name, format, text, expected] of bodies) {
  test(`body of ${name}`, () => {
    const made = render(native(FIELDS, text, format));
    assert.equal(format === 4 ? made.slice(made.indexOf('A: b')) : bodyOf(made), expected);
  });
}

test('an empty text in format 1 is a mail with an empty body', () =>
  assert.equal(bodyOf(render(native(FIELDS, ''))), ''));

test('the charset of formats 0 and 1 is labelled, their bytes stay', async () => {
  const label = (text: string, legacy = OPTIONS.legacy): string => {
    const made = render(native(FIELDS, text), { legacy });
    assert.equal(bodyOf(made), `${text}\r\n`);
    return headerOf(made)
      .slice(-2)
      .map((line) => line.replace(/.*[=:] ?/, ''))
      .join(' ');
  };
  assert.equal(label('plain'), 'utf-8 7bit');
  assert.equal(label(utf8('für')), 'utf-8 8bit');
  assert.equal(label('f\xfcr'), 'windows-1252 8bit');
  assert.equal(label('f\x81r'), 'unknown-8bit 8bit');
  assert.equal(label('f\x81r', await charset('iso-8859-1')), 'iso-8859-1 8bit');
  assert.equal(label('\xa4\xa2', await charset('euc-jp')), 'euc-jp 8bit');
  assert.equal(label(utf8('\ufffd')), 'utf-8 8bit');
  assert.equal(label('half a letter \xc3', await charset('euc-jp')), 'unknown-8bit 8bit');
});

test('text passes through, with its line ends set right', () => {
  const text = 'Subject: x\nX-Odd \x01:\xe9\n\nbody \x01 \xff\n.\n';
  assert.equal(render(latin1(text)), text.replaceAll('\n', '\r\n'));
});

test('what is known of a message', () => {
  const made = outgoing(prepareOutgoing(whole(fixture('2016-r8bit.native')), OPTIONS));
  // Its line of 3000 bytes has the text encoded, 8-bit bytes and all.
  assert.deepEqual([made.eightBit, made.suggestedSender()], [false, 'alice@citref.example']);
  assert.deepEqual(
    [made.headers.messageId, made.headers.subject, made.headers.received],
    ['<r8bit@client.example>', 'golden r8bit', 2],
  );
  assert.equal(made.size, made.text?.length);
  const text = latin1(
    'From: (me) a@b\nList-Id: <l>\nPrecedence: bulk\nAuto-Submitted: auto-replied\nSubject: \xe9\n\nx',
  );
  const plain = outgoing(prepareOutgoing(whole(text), OPTIONS));
  assert.deepEqual([plain.eightBit, plain.suggestedSender()], [true, 'a@b']);
  const { listId, precedence, autoSubmitted } = plain.headers;
  assert.deepEqual([listId, precedence, autoSubmitted], ['<l>', 'bulk', 'auto-replied']);
});

const senders: readonly (readonly [string, Record<string, string>, string | null])[] = [
  ['field F', {}, 'alice@citref.example'],
  ['the made From when there is no F', { F: '' }, 'alice@citref.example'],
  ['nobody', { F: '', A: '' }, null],
  ['F that is no address', { F: 'a b@c' }, null],
  ['F in Latin-1', { F: 'j\xf6rg@x' }, null],
];
for (const [name, fields, expected] of senders) {
  test(`sender of a native message: ${name}`, () => {
    assert.equal(
      outgoing(prepareOutgoing(whole(native({ ...FIELDS, ...fields }, 'x')), OPTIONS)).suggestedSender(),
      expected,
    );
  });
}

const unsendable: readonly (readonly [string, Buffer, RegExp])[] = [
  ['no bytes', Buffer.alloc(0), /empty/],
  ['nothing but carriage returns', latin1('\r\r'), /no content to send/],
  ['no field M', native(FIELDS, null), /no text \(field M\)/],
  ['a beginning only', latin1('\xffA'), /first three bytes/],
  ['a format nobody knows', native(FIELDS, 'x', 7), /format type 7/],
];
for (const [name, bytes, reason] of unsendable) {
  test(`never sent as an empty mail (R036): ${name}`, async () => {
    for (const stored of [whole(bytes), inPieces(bytes, [1])]) {
      const made = await prepareOutgoing(stored, OPTIONS);
      assert.equal(made.kind, 'unsendable');
      assert.match(made.reason, reason);
    }
  });
}

test('a truncated text is sent as far as it goes, and reported', async () => {
  const bytes = native(FIELDS, 'text').subarray(0, -1);
  for (const stored of [whole(bytes), inPieces(bytes, [9])]) {
    const made = await prepareOutgoing(stored, OPTIONS);
    assert.ok(made.kind === 'outgoing');
    assert.match(made.problems.join(), /does not end in NUL/);
  }
});

const nasty = fc.string({
  unit: fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    '"',
    '\\',
    '<',
    '>',
    '(',
    ')',
    ',',
    ':',
    '@',
    '\xff',
    '\xc3\xa9',
    '\x81',
    'a',
    'Bcc:',
    'Envelope-To:',
    '.',
    'x'.repeat(70),
    'y'.repeat(500),
  ),
  maxLength: 30,
});
const fieldsOf = fc.dictionary(fc.constantFrom(...'IPTAFONHRDBCEWJGKLQSVXZYU'), nasty);
const anyMessage = fc.oneof(
  fc
    .tuple(fieldsOf, nasty, fc.constantFrom(0, 1, 4), fc.constantFrom(0, 0x41, 0x42, 0x43))
    .map(([fields, text, format, anonymous]) => native(fields, text, format, anonymous)),
  nasty.map(latin1),
);

test('whatever is stored: strict lines, no made-up header, nothing changed by a second pass', () => {
  fc.assert(
    fc.property(anyMessage, fc.constantFrom('2012' as const, '2016' as const), (bytes, order) => {
      const made = prepareOutgoing(whole(bytes), { ...OPTIONS, order });
      assert.ok(!(made instanceof Promise));
      if (made.kind === 'unsendable') return;
      const text = made.text ?? '';
      assert.doesNotMatch(text, /\r(?!\n)|(?<!\r)\n/);
      assert.ok(text.endsWith('\r\n'));
      // Only a text that begins with 0xFF would be taken for a native message.
      if (!text.startsWith('\xff')) assert.equal(render(latin1(text)), text);
    }),
    { numRuns: 1000 },
  );
});

test('no field can bring in a header of its own', () => {
  const allowed =
    /^(Date|To|References|Reply-To|List-ID|CC|Subject|Message-ID|From|MIME-Version|Content-Type|Content-Transfer-Encoding): /;
  fc.assert(
    fc.property(fieldsOf, (fields) => {
      const header = headerOf(render(native(fields, 'text')));
      for (const line of header) assert.match(line, allowed);
      const names = header.map((line) => line.split(':')[0]);
      assert.equal(new Set(names).size, names.length);
    }),
    { numRuns: 1000 },
  );
});

test('a message that comes in pieces goes out as one that came whole, wherever it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(anyMessage, fc.array(fc.nat(400), { maxLength: 12 }), async (bytes, cuts) => {
      const once = await prepareOutgoing(whole(bytes), OPTIONS);
      const pieces = await prepareOutgoing(inPieces(bytes, cuts), OPTIONS);
      if (once.kind === 'unsendable') return assert.deepEqual(pieces, once);
      assert.ok(pieces.kind === 'outgoing');
      const { text: all, chunks: _, sevenBit: __, suggestedSender: sender, ...known } = once;
      const { text: none, chunks, sevenBit: ___, suggestedSender: sameSender, ...same } = pieces;
      assert.equal(none, null);
      assert.deepEqual([same, sameSender()], [known, sender()]);
      for (let pass = 0; pass < 2; pass += 1) assert.deepEqual(await collect(chunks()), latin1(all ?? ''));
    }),
    { numRuns: 300 },
  );
});

test('byte by byte, with each way to write a line end', async () => {
  const text = 'A: b\r\nBcc: c\r\n d\r\n\r\nx\r\n\r\n.\r\ny\rz\r\r\nend';
  for (const bytes of [
    latin1(text),
    native(FIELDS, text, 4),
    native(FIELDS, text, 1),
    native(FIELDS, text, 0),
  ]) {
    const every = Array.from({ length: bytes.length }, (_, i) => i);
    const made = await prepareOutgoing(inPieces(bytes, every), OPTIONS);
    assert.ok(made.kind === 'outgoing');
    assert.equal((await collect(made.chunks())).toString('latin1'), render(bytes));
    assert.equal((await collect(cut(bytes, every))).length, bytes.length);
  }
});

const MEGABYTES = size(130, 200);

test(`${MEGABYTES} MB are rendered in less than 100 MB of memory`, () => {
  const script = fileURLToPath(new URL('./large-message.ts', import.meta.url));
  // How much V8 lets lie before it collects depends on the version of Node; what is held does not.
  const words = ['--max-semi-space-size=16', '--import', 'tsx', script];
  for (const form of ['native-1', 'native-4', 'text', 'text-one-line', 'text-all-header', 'seven-bit']) {
    const { stdout, stderr, status } = spawnSync(process.execPath, [...words, form, String(MEGABYTES)], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const { size: bytes, growth } = JSON.parse(stdout);
    assert.ok(bytes > MEGABYTES * 1_000_000, `${form}: ${bytes} bytes out`);
    assert.ok(growth < 100, `${form}: grew by ${growth} MB`);
  }
});
