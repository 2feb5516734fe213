import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { suppressionReason } from '../../src/dsn/suppression.ts';
import { summarizeMessage } from '../../src/message/summary.ts';

/** header, envelope sender, whether failures are reported, whether delays are */
const CASES: readonly (readonly [
  header: string,
  sender: string | null,
  failed: boolean,
  delayed: boolean,
])[] = [
  ['Subject: hello', null, true, true],
  ['Subject: hello', 'alice@example.org', true, true],
  ['Subject: hello', '<>', false, false],
  ['Subject: hello', ' <> ', false, false],
  ['Auto-Submitted: no', null, true, true],
  ['Auto-Submitted: auto-replied', null, false, false],
  ['auto-submitted: Auto-Replied; owner-email="x@example.org"', null, false, false],
  ['Auto-Submitted: auto-generated (cron)', null, true, false],
  ['Precedence: junk', null, false, false],
  ['Precedence: Bulk', null, true, false],
  ['Precedence: list', null, true, false],
  ['List-Id: <announce.example.org>', null, true, false],
  ['Precedence: first-class', null, true, true],
];

describe('whether the sender may get a report', () => {
  for (const [header, envelopeFrom, failed, delayed] of CASES) {
    it(`${header}, envelope_from ${envelopeFrom}: failures ${failed}, delays ${delayed}`, () => {
      const facts = { envelopeFrom, headers: summarizeMessage(`${header}\r\n\r\n`) };
      assert.equal(suppressionReason('failed', facts) === null, failed);
      assert.equal(suppressionReason('gave-up', facts) === null, failed);
      assert.equal(suppressionReason('delayed', facts) === null, delayed);
    });
  }

  it('of a message that cannot be read is decided by its envelope', () => {
    assert.equal(suppressionReason('failed', { envelopeFrom: null, headers: null }), null);
    assert.notEqual(suppressionReason('failed', { envelopeFrom: '<>', headers: null }), null);
  });
});
