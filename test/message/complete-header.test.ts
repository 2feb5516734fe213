import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginningOf, completeHeader, type HeaderDefaults } from '../../src/message/complete-header.ts';
import { withLocalDomain } from '../../src/routing/address.ts';

const DEFAULTS = {
  from: 'root <root@citref.example>',
  date: 'Mon, 1 Jan 2024 00:00:00 +0000',
  messageId: '<1@citref.example>',
  recipients: ['bob@x.example'],
  withDomain: (entry: string) => withLocalDomain(entry, 'our.example'),
};
const FROM = 'From: root <root@citref.example>\n';
const TO = 'To: bob@x.example\n';
const DATE = 'Date: Mon, 1 Jan 2024 00:00:00 +0000\n';
const ID = 'Message-ID: <1@citref.example>\n';
const ALL = `${FROM}${TO}${DATE}${ID}\n`;

const completed = (text: string, defaults: HeaderDefaults = DEFAULTS) =>
  completeHeader(beginningOf(text), defaults);

const rows: readonly (readonly [string, string, string, string])[] = [
  ['nothing at all', '', ALL, ''],
  ['a text that is not a message', 'disk is full\nreally: it is\n', ALL, 'disk is full\nreally: it is\n'],
  ['a text without an end', 'disk is full', ALL, 'disk is full'],
  ['a text that begins with an empty line', '\nSubject: in the body\n', ALL, 'Subject: in the body\n'],
  ['a text that begins with blanks', '  indented\n', ALL, '  indented\n'],
  ['letters beyond ASCII are not a field', 'Gr\xfc\xdfe: x\n', ALL, 'Gr\xfc\xdfe: x\n'],
  ['a header without its empty line', 'Subject: x\nhello\n', `Subject: x\n${ALL}`, 'hello\n'],
  ['a header alone', 'Subject: x', `Subject: x\n${ALL}`, ''],
  ['a folded field', 'Subject: x\n y\n\nhello\n', `Subject: x\n y\n${ALL}`, 'hello\n'],
  ['blanks do not continue a header', 'Subject: x\n \t\nhello\n', `Subject: x\n${ALL}`, ' \t\nhello\n'],
  [
    'blanks within folded recipients (R277)',
    'Subject: x\nBcc: a@x,\n \n b@x\n\nhello\n',
    `Subject: x\nBcc: a@x,\n \n b@x\n${ALL}`,
    'hello\n',
  ],
  ['blanks behind recipients (R277)', 'Cc: a@x\n \nhello\n', `Cc: a@x\n${ALL.replace(TO, '')}`, ' \nhello\n'],
  [
    'a NUL in the name of a field (R277)',
    'Subject: x\nB\0cc: a@x\n\nhi\n',
    `Subject: x\nB\0cc: a@x\n${ALL}`,
    'hi\n',
  ],
  [
    'an empty line with two CR (R277)',
    'To: d@x\r\r\n\r\r\nhi',
    `To: d@x\r\r\n${ALL.replace(TO, '').replaceAll('\n', '\r\n')}`,
    'hi',
  ],
  [
    'what is there stays',
    'DATE: d\nfrom : f@x\nCc: c@x\nmessage-id: <i@x>\n\nhello\n',
    'DATE: d\nfrom : f@x\nCc: c@x\nmessage-id: <i@x>\n\n',
    'hello\n',
  ],
  [
    'a line of a mailbox file',
    'From alice Mon Jan  1 00:00:00 2024\nSubject: x\n\nhi\n',
    `Subject: x\n${ALL}`,
    'hi\n',
  ],
  ['a quoted one', '>From alice Mon Jan  1 00:00:00 2024\nSubject: x\n\nhi\n', `Subject: x\n${ALL}`, 'hi\n'],
  [
    'several of them',
    'From a\r\n>From b remote from c\r\nTo: d@x\r\n\r\nhi',
    `To: d@x\r\n${ALL.replace(TO, '').replaceAll('\n', '\r\n')}`,
    'hi',
  ],
  ['one without a header below it', 'From alice Mon Jan  1 00:00:00 2024\nhi\n', ALL, 'hi\n'],
  ['a text that begins as one does', 'From now on\nall is well\n', ALL, 'From now on\nall is well\n'],
  ['a byte order mark', '\xef\xbb\xbfSubject: x\n\nhi\n', `Subject: x\n${ALL}`, 'hi\n'],
  ['a text with a colon', 'Error: disk full\n', ALL, 'Error: disk full\n'],
  [
    'a text with colons',
    'http://x.example is down\n12:30:45 ok: no\n\nbye\n',
    ALL,
    'http://x.example is down\n12:30:45 ok: no\n\nbye\n',
  ],
  ['fields that have to say something', 'From: \nTo:\t\nSubject:\nDate:\n\nhi\n', `Subject:\n${ALL}`, 'hi\n'],
  [
    'a field whose first line is blank',
    'To:\n bob@x.example\n\nhi\n',
    `To:\n bob@x.example\n${FROM}${DATE}${ID}\n`,
    'hi\n',
  ],
  ['only the first line is one', 'Subject: x\n\nFrom here on\n', `Subject: x\n${ALL}`, 'From here on\n'],
  ['CRLF stays CRLF', 'Subject: x\r\n\r\nhi\r\n', `Subject: x\n${ALL}`.replaceAll('\n', '\r\n'), 'hi\r\n'],
];

for (const [name, text, header, body] of rows) {
  test(`header completed: ${name}`, () => assert.deepEqual(completed(text), { header, body }));
}

test('several recipients are not shown to each other', () => {
  const { header } = completed('hi\n', { ...DEFAULTS, recipients: ['a@x', 'b@x'] });
  assert.equal(header, ALL.replace(TO, 'To: undisclosed-recipients:;\n'));
});

test('nothing that is filled in can begin a field of its own', () => {
  const { header } = completed('hi\n', { ...DEFAULTS, from: 'x\r\nBcc: y@z <a@b>' });
  assert.match(header, /^From: x Bcc: y@z <a@b>\n/);
});

const ADDRESSES: readonly (readonly [string, string])[] = [
  ['From: root (Cron Daemon)\nTo: root\n', 'From: root@our.example (Cron Daemon)\nTo: root@our.example\n'],
  [
    'from : Root <root>\nCC:\tbob@x, "Doe, J." <doe>\n',
    'from : Root <root@our.example>\nCC:\tbob@x, "Doe, J." <doe@our.example>\n',
  ],
  ['To: a,\r\n b\r\n\t(x, y), c\r\n', 'To: a@our.example,\r\n b@our.example\r\n\t(x, y), c@our.example\r\n'],
  ['To: (one) root\n', 'To: (one) root@our.example\n'],
  ['To: Friends: ann, ben@x;, eve\n', 'To: Friends: ann@our.example, ben@x;, eve@our.example\n'],
  [
    'Resent-To: ann\nReply-To: ben\nSender: eve\nBcc: ida\n',
    'Resent-To: ann@our.example\nReply-To: ben@our.example\nSender: eve@our.example\nBcc: ida@our.example\n',
  ],
];

const KEPT = [
  'To: undisclosed-recipients:;\n',
  'To: Joe Six\nCc: <>, "quoted name", "a b" <"a b">, x@, @y, <bob@x> root\n',
  'To: =?utf-8?Q?J=C3=BCrgen?=\nSubject: root, ann\nX-To: root\n',
  'To: <<root>>, root <bob@x>\n',
];

for (const [given, wanted] of [...ADDRESSES, ...KEPT.map((each) => [each, each] as const)]) {
  test(`addresses in the header get our domain where they have none: ${JSON.stringify(given)} (R219)`, () => {
    const { header, body } = completed(`${given}Date: d\n\nTo: root\n`);
    assert.equal(header.slice(0, wanted.length), wanted);
    assert.equal(body, 'To: root\n');
  });
}
