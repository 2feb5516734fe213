import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ExportItem, readCitadelExport } from '../../src/message/citadel-export.ts';
import { cut, fixture, latin1 } from './support.ts';

async function items(xml: string | Buffer, cuts: readonly number[] = []): Promise<ExportItem[]> {
  const all: ExportItem[] = [];
  for await (const item of readCitadelExport(cut(Buffer.from(xml), cuts))) all.push(item);
  return all;
}

const control = fixture('2016-control-new.native');
const payload = fixture('2012-399.native');
const message = (number: number, type: string, bytes: Buffer): string =>
  `<message>\n<msg_msgnum>${number}</msg_msgnum>\n<msg_meta_refcount>1</msg_meta_refcount>\n<msg_meta_content_type>${type}</msg_meta_content_type>\n` +
  `<msg_text>${bytes.toString('base64').replace(/(.{60})/g, '$1\n')}</msg_text>\n</message>\n`;
const EXPORT =
  '<?xml version="1.0" encoding="UTF-8" ?>\n<citadel_migrate_data>\n<version>902</version>\n' +
  '<room>\n<QRname>__CitadelSMTPspoolout__</QRname>\n</room>\n' +
  '<room_messages>\n<FRname>__CitadelSMTPspoolout__</FRname>\n<FRmsglist>59:60,133</FRmsglist>\n</room_messages>\n' +
  '<room_messages><FRname>Caf\u00e9 &amp; &#x42;&#97;r</FRname><FRmsglist></FRmsglist></room_messages>\n' +
  message(59, '', payload) +
  message(60, 'application/x-citadel-delivery-list', control) +
  '</citadel_migrate_data>\n';

test('messages and room lists of an export', async () => {
  assert.deepEqual(await items(EXPORT), [
    {
      kind: 'room',
      name: '__CitadelSMTPspoolout__',
      ranges: [
        { first: 59, last: 60 },
        { first: 133, last: 133 },
      ],
    },
    { kind: 'room', name: 'Café & Bar', ranges: [] },
    { kind: 'message', number: 59, contentType: '', bytes: payload },
    { kind: 'message', number: 60, contentType: 'application/x-citadel-delivery-list', bytes: control },
  ]);
});

test('wherever the file is cut, the items are the same', async () => {
  const expected = await items(EXPORT);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(EXPORT.length), { maxLength: 20 }), async (cuts) => {
      assert.deepEqual(await items(EXPORT, cuts), expected);
    }),
  );
  assert.deepEqual(
    await items(
      EXPORT,
      Array.from({ length: EXPORT.length }, (_, i) => i),
    ),
    expected,
  );
});

const problems: readonly (readonly [string, string, RegExp])[] = [
  ['no number', '<message><msg_text>AA==</msg_text></message>', /no usable <msg_msgnum>/],
  [
    'a number that is none',
    '<message><msg_msgnum>1e3</msg_msgnum><msg_text>AA==</msg_text></message>',
    /no usable <msg_msgnum>/,
  ],
  ['no text', '<message><msg_msgnum>7</msg_msgnum></message>', /message 7 has no <msg_text>/],
  [
    'a list that is none',
    '<room_messages><FRname>x</FRname><FRmsglist>1,9:5</FRmsglist></room_messages>',
    /room "x".*"9:5"/,
  ],
  ['an end in the middle', '<message><msg_msgnum>7</msg_msgnum><msg_text>AAAA', /ends within <message>/],
];
for (const [name, xml, text] of problems) {
  test(`skipped with a problem: ${name}`, async () => {
    const found = await items(xml);
    assert.equal(found.length, 1);
    assert.ok(found[0]?.kind === 'problem');
    assert.match(found[0].text, text);
  });
}

test('an item is not given what belongs to the one before', async () => {
  const found = await items(`${message(5, 'x', payload)}<message><msg_msgnum>6</msg_msgnum></message>`);
  assert.deepEqual(
    found.map((item) => item.kind),
    ['message', 'problem'],
  );
});

test('names of every object are no items and no entities', async () => {
  assert.deepEqual(await items('<constructor>x</constructor><__proto__></__proto__>'), []);
  const [room] = await items(
    '<room_messages><FRname>&constructor;&nosuch;&#9999999;</FRname></room_messages>',
  );
  assert.ok(room?.kind === 'room');
  assert.equal(room.name, '&constructor;&nosuch;&#9999999;');
});

test('any bytes give items without a throw', async () => {
  const unit = fc.constantFrom(
    '<',
    '>',
    '/',
    'message',
    'msg_text',
    'msg_msgnum',
    'room_messages',
    'FRmsglist',
    '1',
    ':',
    ',',
    '&#',
    ';',
    '\xff',
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ unit, maxLength: 60 }), async (xml) => {
      await items(latin1(xml));
    }),
    { numRuns: 500 },
  );
});
