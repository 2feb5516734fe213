/**
 * One report of each kind, the golden files of fixtures/reports/ and the examples of techdoc/reports.md.
 * `node --import tsx test/dsn/samples.ts` writes the golden files anew, for review.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { composeDsn } from '../../src/dsn/compose.ts';
import type { Dsn, Stamp } from '../../src/dsn/dsn.ts';
import { expired, noticeFromFailure, noticeFromLine } from '../../src/dsn/notice.ts';
import { utf8 } from '../../src/message/charset.ts';
import type { Failure } from '../../src/smtp/outcome.ts';
import { statusText } from '../../src/smtp/status-text.ts';

export const GOLDEN = fileURLToPath(new URL('../../fixtures/reports/', import.meta.url));

export const STAMP: Stamp = {
  fqdn: 'citadel.example.org',
  author: 'postmaster@citadel.example.org',
  now: 1_342_656_300,
  unique: '8xk2m0q4',
  legacy: utf8,
};

const HEADER = [
  'From: "Alice" <alice@citadel.example.org>',
  'To: bob@example.com',
  'Subject: Minutes',
  'Message-ID: <4FFEE1C0-00000001@citadel.example.org>',
  '',
].join('\r\n');
const TEXT = `${HEADER}\r\nHere they are.\r\n.\r\n--=_spoolroom_\r\n`;

export function failure(change: Partial<Failure> = {}): Failure {
  return {
    scope: 'recipient',
    stage: 'rcpt',
    permanent: true,
    code: 550,
    enhanced: '5.1.1',
    text: '5.1.1 No such user here',
    peer: { host: 'mx.example.com', address: '192.0.2.25', port: 25 },
    maybeDelivered: false,
    ...change,
  };
}

export const BUSY = failure({
  permanent: false,
  code: 450,
  enhanced: '4.2.1',
  text: '4.2.1 Mailbox busy,\ntry again later',
});

const REFUSED = failure({
  scope: 'host',
  stage: 'connect',
  permanent: false,
  code: null,
  enhanced: '4.4.1',
  text: 'refuses connections',
});

export function report(change: Partial<Dsn> = {}): Dsn {
  return {
    to: 'alice@citadel.example.org',
    notices: [noticeFromFailure('failed', 'Bob <bob@example.com>', failure())],
    envid: null,
    originals: new Map(),
    job: 17,
    sourceRoom: null,
    submitted: 1_342_224_000,
    lastAttempt: 1_342_656_299,
    willRetryUntil: 1_342_656_000,
    original: { text: TEXT, ret: 'full', messageId: '<4FFEE1C0-00000001@citadel.example.org>' },
    plain: false,
    ...change,
  };
}

const early = { lastAttempt: 1_342_238_500 };
const expiredLine = { address: 'dora@example.net', status: 5 };

export const SAMPLES: { readonly [name: string]: Dsn } = {
  failed: report({ ...early, sourceRoom: 'Announce' }),
  plain: report({ ...early, original: null, plain: true }),
  'gave-up': report({
    notices: [
      noticeFromFailure('gave-up', 'bob@example.com', BUSY),
      noticeFromFailure('gave-up', 'carol@example.net', REFUSED),
      noticeFromLine({
        ...expiredLine,
        text: statusText({ kind: 'failed', ...expired(BUSY) }, '2017'),
      }),
    ],
    original: { text: HEADER, ret: 'hdrs', messageId: null },
  }),
  delayed: report({ ...early, notices: [noticeFromFailure('delayed', 'bob@example.com', BUSY)] }),
  international: report({
    ...early,
    to: 'j\xc3\xbcrgen@citadel.example.org',
    notices: [
      noticeFromFailure(
        'failed',
        'b\xc3\xb6b@b\xc3\xbccher.example',
        failure({ text: '5.1.1 Gibt\xb4s nicht \x1b[31m' }),
      ),
    ],
    original: {
      text: 'From: J\xc3\xbcrgen <j\xc3\xbcrgen@citadel.example.org>\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHallo \xc3\xa4\r\n',
      ret: 'full',
      messageId: null,
    },
  }),
  'no-original': report({
    ...early,
    notices: [
      noticeFromLine({ address: 'not an address', status: 5, text: 'it has no domain: there is no @ in it' }),
    ],
    submitted: null,
    original: null,
  }),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, sample] of Object.entries(SAMPLES))
    writeFileSync(`${GOLDEN}${name}.eml`, await composeDsn(sample, STAMP));
}
