import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stripHeader } from '../../src/delivery-list/header.ts';
import { readNative } from '../../src/message/native.ts';
import { controlTextOf, storedControl, storedForm, wrapControlText } from '../../src/message/stored.ts';
import { fixture, latin1, native } from './support.ts';

const HEADER = 'Content-type: application/x-citadel-delivery-list\n\n';
const LIST = 'msgid|59\nsubmitted|1795444602\nbounceto|alice@citref\nremote|t1@b1.example|0||\n';
const NEW = `${HEADER}msgid|59\nattempted|5\nremote|t1@b1.example|4|busy\n`;

test('a control message in the native form', () => {
  for (const name of ['2016-control-new', '2016-control-after']) {
    const bytes = fixture(`${name}.native`);
    const control = storedControl(bytes);
    assert.equal(control?.form, 'native');
    assert.ok(control.text.startsWith(`${HEADER}msgid|59\n`));
    assert.equal(controlTextOf(bytes), control.text);
  }
});

test('a control message as text', () => {
  assert.deepEqual(storedControl(latin1(HEADER + LIST)), { form: 'bare', text: HEADER + LIST });
  assert.equal(storedControl(fixture('2012-control.text'))?.form, 'rfc822');
  assert.equal(
    storedControl(latin1(`CONTENT-TYPE:\n\tApplication/X-Citadel-Delivery-List; charset=x\n\n${LIST}`))?.form,
    'bare',
  );
});

const payloads: readonly (readonly [string, Buffer])[] = [
  ['a mail', latin1('From: a@b\n\nContent-type: application/x-citadel-delivery-list\n')],
  ['a native mail', fixture('2012-399.native')],
  ['a native mail that quotes one', native({ A: 'x' }, `hello\n${HEADER}`)],
  ['a native message without a text', native({ U: 'QMSG' }, null)],
  ['a native beginning', latin1('\xff')],
  ['nothing', Buffer.alloc(0)],
];
for (const [name, bytes] of payloads)
  test(`no control message: ${name}`, () => assert.equal(controlTextOf(bytes), null));

test('the first byte tells the form', () => {
  assert.equal(storedForm(latin1('\xffA\x01')), 'native');
  assert.equal(storedForm(latin1('From: x')), 'text');
  assert.equal(storedForm(Buffer.alloc(0)), 'text');
});

test('a rewritten native message keeps its fields and carries the marks of a control message', () => {
  for (const name of ['2016-control-new', '2016-control-after']) {
    const before = readNative(fixture(`${name}.native`));
    const after = readNative(wrapControlText(NEW, 'native', fixture(`${name}.native`)));
    assert.ok(before.kind === 'message' && after.kind === 'message');
    const marks = [
      ['A', 'Citadel'],
      ['J', 'do not journal'],
      ['U', 'QMSG'],
    ] as const;
    assert.deepEqual(
      [...after.message.fields].sort(),
      [...new Map([...before.message.fields, ...marks])].sort(),
    );
    assert.equal(after.message.text?.toString('latin1'), NEW);
    assert.deepEqual([after.message.anonymous, after.message.format, after.problems], [65, 4, []]);
  }
});

test('a rewritten text keeps its other headers and its line ends', () => {
  const original = fixture('2012-control.text').toString('latin1');
  const header = original.slice(0, original.indexOf('\r\n\r\n') + 4);
  const expected = header + NEW.slice(HEADER.length).replaceAll('\n', '\r\n');
  assert.equal(wrapControlText(NEW, 'rfc822', latin1(original)).toString('latin1'), expected);
  const lf = original.replaceAll('\r\n', '\n');
  assert.equal(
    wrapControlText(NEW, 'rfc822', latin1(lf)).toString('latin1'),
    expected.replaceAll('\r\n', '\n'),
  );
});

test('a header without its empty line gets one', () => {
  const original = `Subject: QMSG\n${HEADER.slice(0, -1)}msgid|59\n`;
  assert.equal(wrapControlText(NEW, 'rfc822', latin1(original)).toString('latin1'), `Subject: QMSG\n${NEW}`);
});

test('a bare list is written as Citadel writes it', () => {
  assert.equal(wrapControlText(NEW, 'bare', latin1(HEADER + LIST)).toString('latin1'), NEW);
});

test('wrapped and read again is the same list in the same form', () => {
  const text = fc
    .string({ unit: fc.constantFrom('a', '|', '\xe9', ' ', '\n', ':'), maxLength: 60 })
    .map((body) => `${HEADER}msgid|1\n${body}`);
  const header = fc.constantFrom('Subject: QMSG\n', 'X: y\n\tz\nFrom: "a" <b@c>\n', 'Received: by x\r\n');
  fc.assert(
    fc.property(text, header, (list, other) => {
      const crlf = other.includes('\r') ? HEADER.replaceAll('\n', '\r\n') : HEADER;
      const originals = [
        latin1(HEADER + LIST),
        latin1(other + crlf + LIST),
        fixture('2016-control-new.native'),
      ];
      for (const original of originals) {
        const form = storedControl(original)?.form ?? assert.fail();
        const again = storedControl(wrapControlText(list, form, original));
        assert.equal(again?.form, form);
        assert.equal(stripHeader(again.text).instructions, stripHeader(list).instructions);
      }
    }),
  );
});
