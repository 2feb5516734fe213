import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expired, noticeFromFailure, noticeFromLine } from '../../src/dsn/notice.ts';
import { statusText } from '../../src/smtp/status-text.ts';
import { BUSY, failure } from './samples.ts';

/** Lines of refused recipients as servers of each era and we ourselves leave them. */
const LINES: readonly (readonly [text: string, enhanced: string, diagnostic: string])[] = [
  ['5.1.1 No such user', '5.1.1', 'x-spoolroom; 5.1.1 No such user'],
  ['No such user', '5.0.0', 'x-spoolroom; No such user'],
  ['', '5.0.0', 'x-spoolroom; '],
  ['550 (550 5.1.1 No such user )', '5.1.1', 'smtp; 550 5.1.1 No such user '],
  ['552 (552 Too much)', '5.2.2', 'smtp; 552 Too much'],
  ['550 ()', '5.0.0', 'x-spoolroom; '],
  [statusText({ kind: 'failed', ...failure() }, '2012'), '5.1.1', ''],
  [statusText({ kind: 'failed', ...failure({ text: 'No' }) }, '2017'), '5.1.1', ''],
];

describe('a notice from a status line', () => {
  for (const [text, enhanced, diagnostic] of LINES) {
    it(JSON.stringify(text), () => {
      const notice = noticeFromLine({ address: 'b@example.com', status: 5, text });
      assert.equal(notice.kind, 'failed');
      assert.equal(notice.enhanced, enhanced);
      if (diagnostic === '')
        assert.match(notice.diagnostic.text, /^550 .*mx\.example\.com \[192\.0\.2\.25\]/);
      else assert.equal(`${notice.diagnostic.type}; ${notice.diagnostic.text}`, diagnostic);
    });
  }

  for (const dialect of ['2012', '2017'] as const) {
    it(`knows a recipient that was given up, in ${dialect}`, () => {
      const line = statusText({ kind: 'failed', ...expired(BUSY) }, dialect);
      const notice = noticeFromLine({ address: 'b@example.com', status: 5, text: line });
      const { kind, text, enhanced } = noticeFromFailure('gave-up', 'b@example.com', BUSY);
      assert.deepEqual(
        { kind: notice.kind, text: notice.text, enhanced: notice.enhanced },
        { kind, text, enhanced },
      );
    });
  }
});

describe('every kind of failure has a text (R053)', () => {
  const cases: readonly (readonly [Parameters<typeof failure>[0], string])[] = [
    [
      { stage: 'lookup', code: null, peer: null, text: 'no address of mx.example: it has no such name' },
      'no address',
    ],
    [{ stage: 'connect', code: null, text: 'did not answer' }, 'mx.example.com [192.0.2.25] did not answer'],
    [{ stage: 'dot', code: null, text: 'closed the connection', maybeDelivered: true }, 'may have arrived'],
    [{ text: 'first line\nsecond line' }, 'first line second line (550, '],
  ];
  for (const [change, excerpt] of cases) {
    it(excerpt, () => {
      const notice = noticeFromFailure('failed', 'b@example.com', failure(change));
      assert.ok(notice.text.includes(excerpt), notice.text);
      assert.doesNotMatch(notice.diagnostic.text, /[\r\n]/);
    });
  }
});
