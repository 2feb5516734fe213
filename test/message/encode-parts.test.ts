import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prepareOutgoing } from '../../src/message/outgoing.ts';
import { size } from '../support/thorough.ts';
import {
  bodyOf,
  collect,
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

/** The 7-bit form of a text, or null. */
async function sevenBit(text: string): Promise<string | null> {
  const made = await outgoing(prepareOutgoing(whole(latin1(text)), OPTIONS)).sevenBit();
  if (made === null) return null;
  assert.equal(made.eightBit, false);
  assert.equal(made.size, made.text?.length);
  assert.doesNotMatch(made.text ?? '', /[\x80-\xff]/);
  return made.text ?? '';
}

interface Part {
  readonly type: string;
  readonly encoding: string;
  /** decoded, without the CRLF before a delimiter */
  readonly content: string;
  readonly parts: readonly Part[];
}

/** Splits a message on its own, by the whole text. */
function parse(text: string, inherited = 'text/plain'): Part {
  const end = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n') + 2;
  const header = end < 2 && !text.startsWith('\r\n') ? text : text.slice(0, end).replace(/\r\n[ \t]+/g, ' ');
  const body = end < 2 && !text.startsWith('\r\n') ? '' : text.slice(end + 2);
  const value = (name: string): string =>
    new RegExp(`^${name}:[ \t]*(.*)$`, 'im').exec(header)?.[1]?.trim() ?? '';
  const type = (/^[^;]*/.exec(value('content-type'))?.[0] ?? '').trim() || inherited;
  const encoding = value('content-transfer-encoding').toLowerCase();
  const boundary = /boundary="?([^";]+)/.exec(value('content-type'))?.[1];
  if (type === 'message/rfc822') return { type, encoding, content: '', parts: [parse(body)] };
  if (boundary === undefined) return { type, encoding, content: decoded(body, encoding), parts: [] };
  const [inside = ''] = `\r\n${body}`.split(new RegExp(`\r\n--${boundary}--[ \t]*(?=\r\n|$)`));
  const parts = inside.split(new RegExp(`\r\n--${boundary}[ \t]*\r\n`)).slice(1);
  const child = type === 'multipart/digest' ? 'message/rfc822' : 'text/plain';
  return { type, encoding, content: '', parts: parts.map((part) => parse(part, child)) };
}

function decoded(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('latin1');
  if (encoding !== 'quoted-printable') return body;
  return body
    .replace(/[ \t]+$/gm, '')
    .replaceAll('=\r\n', '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const contents = (part: Part): readonly string[] =>
  part.parts.length > 0 ? part.parts.flatMap(contents) : [part.content];
const encodings = (part: Part): readonly string[] =>
  part.parts.length > 0 ? part.parts.flatMap(encodings) : [part.encoding];

const LONG = 'word '.repeat(300);
const mixed = (...parts: readonly string[]): string =>
  `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${parts.map((part) => `--b\r\n${part}\r\n`).join('')}--b--\r\n`;

test('only the part that does not fit is encoded', () => {
  const fits = 'Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nfits = yes \r\n';
  const text = mixed(fits, `Content-Type: text/html\r\n\r\n<p>${LONG}`, fits);
  const made = render(latin1(text));
  assert.deepEqual(encodings(parse(made)), ['7bit', 'quoted-printable', '7bit']);
  assert.deepEqual(contents(parse(made)), contents(parse(text)));
  assert.equal(made.split(`--b\r\n${fits}\r\n`).length, 3);
});

const kinds: readonly (readonly [string, string, string, string])[] = [
  ['text', 'Content-Type: text/plain', LONG, 'quoted-printable'],
  ['text with a NUL', 'Content-Type: text/plain', 'hello\0world\r\n', 'quoted-printable'],
  ['text that is mostly not ASCII', 'Content-Type: text/plain', '\xff'.repeat(999), 'base64'],
  ['data', 'Content-Type: application/json', `{"a":"${LONG}"}`, 'base64'],
  [
    'data marked as binary',
    'Content-Type: image/gif\r\nContent-Transfer-Encoding: binary',
    'GIF\0\r\n\r\n\xff',
    'base64',
  ],
  ['a mark that is none', 'Content-Transfer-Encoding: utf-8', LONG, 'quoted-printable'],
  [
    'a status report',
    'Content-Type: message/delivery-status',
    `Diagnostic-Code: ${LONG}`,
    'quoted-printable',
  ],
];
for (const [name, header, body, encoding] of kinds) {
  test(`a long line or a NUL gets the encoding that suits ${name}`, () => {
    const text = mixed(`${header}\r\n\r\n${body}`);
    const made = render(latin1(text));
    assert.deepEqual(encodings(parse(made)), [encoding]);
    assert.deepEqual(contents(parse(made)), [body]);
    assert.doesNotMatch(made, /\0|[^\r\n]{999}/);
    assert.equal(made.match(/Content-Transfer-Encoding/gi)?.length, 1);
  });
}

test('a body that breaks its own encoding is mended', () => {
  const data = Buffer.from(LONG).toString('base64');
  const text = mixed(
    `Content-Transfer-Encoding: base64\r\n\r\n${data}`,
    `Content-Transfer-Encoding: quoted-printable\r\n\r\na=20${'=C3=BC'.repeat(400)}`,
  );
  const made = render(latin1(text));
  assert.deepEqual(contents(parse(made)), [LONG, `a ${'\xc3\xbc'.repeat(400)}`]);
  assert.doesNotMatch(made, /[^\r\n]{77}/);
});

test('a text without MIME fields gets them', () => {
  const made = render(latin1(`Subject: x\r\n\r\n${LONG}\r\n`));
  assert.deepEqual(headerOf(made).slice(1), [
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable',
  ]);
});

const fields: readonly (readonly [string, string])[] = [
  ['many recipients', `To: ${Array.from({ length: 99 }, (_, n) => `number${n}@lists.example`).join(', ')}`],
  [
    'recipients without a blank',
    `To: ${Array.from({ length: 99 }, (_, n) => `number${n}@lists.example`).join(',')}`,
  ],
  [
    'ids without a blank',
    `References: ${Array.from({ length: 99 }, (_, n) => `<id${n}@x.example>`).join('')}`,
  ],
  ['a value that fits a line of its own', `X-Token: ${'x'.repeat(990)}`],
  ['a value that fits none', `X-Token: ${'x'.repeat(3000)}`],
  ['a second line', `X-Token: x\r\n ${'x '.repeat(1000)}`],
  ['nothing but blanks', `X-Token: ${' '.repeat(3000)}`],
  ['blanks between', `X-Token: a${' '.repeat(3000)}b`],
  ['a line that is not a field', 'x'.repeat(3000)],
  ['a field of many kilobytes', `X-Token: ${'abcdefg '.repeat(20_000)}`],
];
for (const [name, field] of fields) {
  test(`a long header line is folded: ${name}`, () => {
    for (const text of [
      `${field}\r\nSubject: x\r\n\r\nbody\r\n`,
      mixed(`${field}\r\nSubject: x\r\n\r\nbody`),
    ]) {
      const made = render(latin1(text));
      assert.doesNotMatch(made, /[^\r\n]{999}/);
      assert.equal(made.replace(/\s/g, ''), text.replace(/\s/g, ''));
      assert.doesNotMatch(made, /\r\n[ \t]+\r\n/);
      assert.equal(made.split('\r\n\r\n').length, text.split('\r\n\r\n').length);
    }
  });
}

test('a field whose name has no place in a line goes into another one, whole (R288)', () => {
  const field = `X-${'y'.repeat(3000)}: v`;
  const [first = ''] = headerOf(render(latin1(`${field}\r\nSubject: x\r\n\r\nbody\r\n`)));
  assert.equal(first.replace(/\s/g, ''), `X-Overlong-Field:${field}`.replace(/\s/g, ''));
});

const unencodable: readonly (readonly [string, string])[] = [
  ['an unknown encoding', 'Content-Transfer-Encoding: x-uuencode'],
  ['a part of a message', 'Content-Type: message/partial; id=x; number=1; total=2'],
  ['parts without a boundary', 'Content-Type: multipart/mixed'],
];
for (const [name, field] of unencodable)
  test(`long lines that no encoding carries are cut: ${name} (R288)`, () => {
    for (const length of [998, 999, 1996, 3000, 100_000]) {
      const body = `${'x'.repeat(length)}\r\n`;
      const made = render(latin1(`${field}\r\n\r\n${body}`));
      assert.doesNotMatch(made, /[^\r\n]{999}/, `${length}`);
      assert.equal(bodyOf(made).replace(/\r\n /g, ''), body);
    }
  });

test('what stands before the parts is cut into lines that fit (R288)', () => {
  for (const length of [998, 999, 1996, 2994, 3000]) {
    const text = mixed('\r\nx').replace('\r\n\r\n--b', `\r\n\r\n${'p'.repeat(length)}\r\n--b`);
    assert.doesNotMatch(render(latin1(text)), /[^\r\n]{999}/, `${length}`);
  }
});

test('no recipient is cut in two by a fold', () => {
  const list = Array.from({ length: 99 }, (_, n) => `number${n}@lists.example`);
  for (const separator of [',', ', '])
    assert.deepEqual(
      headerOf(render(latin1(`To: ${list.join(separator)}\r\n\r\nx\r\n`)))[0]
        ?.slice(4)
        .split(/,\s*/),
      list,
    );
});

test('7-bit: a part with 8-bit bytes is encoded, the labels around it follow', async () => {
  const text = mixed(
    `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${utf8('für dich, ganz und gar')} \r\n`,
    'Content-Transfer-Encoding: 8bit\r\n\r\nASCII after all',
    'Content-Type: application/pdf\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\xd8\r\n',
  ).replace('boundary=b', 'boundary=b\r\nContent-Transfer-Encoding: 8bit');
  const made = parse((await sevenBit(text)) ?? '');
  assert.equal(made.encoding, '7bit');
  assert.deepEqual(encodings(made), ['quoted-printable', '7bit', 'base64']);
  assert.deepEqual(contents(made), contents(parse(text)));
});

test('7-bit: what is 7-bit already is the same message', async () => {
  const made = outgoing(prepareOutgoing(whole(latin1('Subject: x\r\n\r\nx\r\n')), OPTIONS));
  assert.equal(await made.sevenBit(), made);
});

test('7-bit: a native message', async () => {
  const stored = native({ A: 'Alice', F: 'alice@citref.example', U: 'x' }, 'f\xfcr dich und alle anderen');
  const made = await outgoing(prepareOutgoing(whole(stored), OPTIONS)).sevenBit();
  const text = made?.text ?? '';
  assert.match(
    text,
    /charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf=FCr dich und/,
  );
});

test('7-bit: a text in an unknown charset is labelled as such', async () => {
  const made = (await sevenBit('Subject: x\r\n\r\nf\x81r dich und alle anderen\r\n')) ?? '';
  assert.match(made, /Content-Type: text\/plain; charset=unknown-8bit\r\n/);
  assert.equal(bodyOf(made), 'f=81r dich und alle anderen\r\n');
});

const encodedFields: readonly (readonly [string, string, string | null])[] = [
  [
    'Subject',
    utf8('Subject: für dich'),
    `Subject: =?utf-8?B?${Buffer.from('für').toString('base64')}?= dich`,
  ],
  [
    'a name',
    utf8('Resent-From: Jörg <j@x>'),
    `Resent-From: =?utf-8?B?${Buffer.from('Jörg').toString('base64')}?= <j@x>`,
  ],
  [
    'a file name',
    utf8('Content-Disposition: attachment; filename="für \\"x\\".pdf"; size=1'),
    "Content-Disposition: attachment; filename*=utf-8''f%C3%BCr%20%22x%22.pdf; size=1",
  ],
  ['an address', utf8('To: jörg@x'), null],
];
for (const [name, field, expected] of encodedFields) {
  test(`7-bit: ${name} in the header`, async () => {
    const made = await sevenBit(`${field}\r\n\r\nx\r\n`);
    assert.equal(made && headerOf(made)[0], expected);
  });
}

const signed = (body: string): string =>
  `Content-Type: multipart/signed; micalg=x; protocol="application/pgp-signature"; boundary=s\r\n\r\n--s\r\n${body}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsignature\r\n--s--\r\n`;

test('what its author signed keeps its bytes, the parts beside it do not', async () => {
  const inner = signed(
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: f\xfcr\r\n\r\n${LONG}\r\n--b--\r\n`,
  );
  assert.equal(render(latin1(inner)), inner);
  assert.equal(await sevenBit(inner), null);
  const clean = signed('Content-Type: text/plain\r\n\r\nhello ');
  const text = mixed(clean, `\r\n${LONG}\xff`);
  const made = (await sevenBit(text)) ?? '';
  assert.ok(made.includes(clean));
  assert.equal(parse(made).parts[1]?.content, `${LONG}\xff`);
});

test('a NUL leaves neither in a signed part nor between the parts', () => {
  const made = render(
    latin1(mixed(signed('a\r\n\r\n\0--b\r\nb')).replace('\r\n\r\n--b', '\r\n\r\npre\0amble\r\n--b')),
  );
  assert.match(made, /pre amble/);
  assert.equal(parse(made).parts.length, 1);
  assert.doesNotMatch(made, /\0/);
});

test('a message within a message is encoded in its own parts', async () => {
  const inside = `From: a@b\r\nSubject: x\r\n\r\n${LONG}\xc3\xbc`;
  const made =
    (await sevenBit(
      mixed(`Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${inside}`),
    )) ?? '';
  assert.deepEqual(encodings(parse(made)), ['quoted-printable']);
  assert.deepEqual(contents(parse(made)), [`${LONG}\xc3\xbc`]);
  assert.equal(made.match(/MIME-Version/g)?.length, 2);
});

test('no break of a long line makes a delimiter', () => {
  for (let before = 900; before < 1080; before += 1) {
    const text = mixed(`\r\n${'x'.repeat(before)}--b\r\nContent-Type: text/html\r\n\r\n${'y'.repeat(999)}`);
    const made = render(latin1(text.replace('\r\n\r\n--b', `\r\n\r\n${'p'.repeat(before)}--b\r\n--b`)));
    assert.equal(parse(made).parts.length, 1, `${before}`);
    assert.deepEqual(contents(parse(made)), contents(parse(text)));
  }
});

const hostile: readonly (readonly [string, string])[] = [
  [
    'a hundred thousand parts',
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\n\xff\0\r\n'.repeat(100_000)}`,
  ],
  [
    'many levels, and lines that look like their delimiters',
    `${Array.from({ length: 2000 }, (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`).join('')}${'--b\r\n'.repeat(100_000)}\0`,
  ],
  ['messages in messages', `${'Content-Type: message/rfc822\r\n\r\n'.repeat(30_000)}\0`],
  ['quotes that do not end', `Content-Type: multipart/mixed; ${'; a="'.repeat(12_000)}\r\n\r\n\0`],
  ['comments that do not end', `Content-Transfer-Encoding: ${'('.repeat(60_000)}\r\n\r\n\0`],
  ['parameters that are none', `Content-Type: ${'a="\xff\\'.repeat(12_000)}\r\n\r\n\0`],
  ['blanks within a boundary', `Content-Type: multipart/mixed; boundary="a${' '.repeat(65_000)}b"\r\n\r\n\0`],
  ['escapes that are none', `Content-Transfer-Encoding: quoted-printable\r\n\r\n${'='.repeat(1_000_000)}`],
];
for (const [name, text] of hostile) {
  test(`no message takes more than linear time: ${name}`, async () => {
    // Time of the processor, so that a busy machine makes no difference.
    const started = process.cpuUsage();
    const made = outgoing(prepareOutgoing(whole(latin1(`X: y\r\n${text}\r\n`)), OPTIONS));
    await made.sevenBit();
    const { user, system } = process.cpuUsage(started);
    assert.ok(user + system < 10e6, `${(user + system) / 1000} ms`);
    assert.doesNotMatch(made.text ?? '', /\0/);
  });
}

const CONTENT = fc.string({
  unit: fc.constantFrom(
    'a',
    ' ',
    '=',
    '.',
    '\xfc',
    '\xc3\xbc',
    '\0',
    '\r\n',
    '--b0',
    '--b1--',
    '--',
    '\r\n--b9\r\n',
    'x'.repeat(300),
    ' '.repeat(50),
  ),
  maxLength: 14,
});
const leaf = fc
  .tuple(
    fc.constantFrom(
      '',
      'Content-Type: text/plain; charset=utf-8\r\n',
      'Content-Type: application/x\r\n',
      'Content-Type: message/partial2\r\n',
    ),
    fc.constantFrom(
      '',
      'Content-Transfer-Encoding: 8bit\r\n',
      'content-transfer-encoding: Binary\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Transfer-Encoding: quoted-printable\r\n',
    ),
    CONTENT,
  )
  .map(([type, encoding, content]) => {
    const safe = content.replaceAll(/--b[01](--)?(?=\r\n|[ \t]*$)/gm, '-');
    if (encoding.includes('base64')) return `${type}${encoding}\r\n${latin1(safe).toString('base64')}`;
    if (encoding.includes('quoted'))
      return `${type}${encoding}\r\n${safe.replaceAll('=', '=3D').replace(/[ \t]+$/gm, '')}`;
    return `${type}${encoding}\r\n${safe}`;
  });
const multipart = (depth: number, child: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom('mixed', 'digest', 'alternative'),
      fc.array(child, { minLength: 1, maxLength: 3 }),
      CONTENT,
    )
    .map(([kind, parts, preamble]) => {
      const lines = parts.map(
        (part) =>
          `\r\n--b${depth}\r\n${kind === 'digest' ? `Content-Type: message/rfc822\r\n\r\n${part}` : part}`,
      );
      const before = preamble.replaceAll('--b', '-');
      return `Content-Type: multipart/${kind}; boundary="b${depth}"\r\n\r\n${before}${lines.join('')}\r\n--b${depth}--`;
    });
const tree = fc.oneof(leaf, multipart(1, leaf), multipart(0, fc.oneof(leaf, multipart(1, leaf))));

test('whatever the parts hold: the same contents, in lines that fit, however the message is cut up', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.array(fc.nat(6000), { maxLength: 8 }), async (text, cuts) => {
      const bytes = latin1(`From: a@b\r\nMIME-Version: 1.0\r\n${text}\r\n`);
      const made = outgoing(prepareOutgoing(whole(bytes), OPTIONS));
      const narrow = await made.sevenBit();
      assert.ok(narrow !== null);
      const before = parse(bytes.toString('latin1'));
      for (const form of [made, narrow]) {
        const sent = form.text ?? '';
        assert.doesNotMatch(sent, /\0|[^\r\n]{999}/);
        assert.deepEqual(contents(parse(sent)), contents(before));
      }
      const large = await prepareOutgoing(inPieces(bytes, cuts), OPTIONS);
      assert.ok(large.kind === 'outgoing');
      assert.deepEqual(await collect(large.chunks()), latin1(made.text ?? ''));
      const largeNarrow = await large.sevenBit();
      assert.equal(largeNarrow?.size, narrow.size);
      assert.deepEqual(largeNarrow && (await collect(largeNarrow.chunks())), latin1(narrow.text ?? ''));
    }),
    { numRuns: size(300, 1000) },
  );
});
