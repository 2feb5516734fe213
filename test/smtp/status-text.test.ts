import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failure, Outcome } from '../../src/smtp/outcome.ts';
import { joinedLines, statusDigit, statusText } from '../../src/smtp/status-text.ts';

const PEER = { host: 'mx.example', address: '192.0.2.1', port: 25 };

function failed(more: Partial<Failure>): Outcome {
  return {
    kind: 'failed',
    scope: 'recipient',
    stage: 'rcpt',
    permanent: true,
    code: 550,
    enhanced: '5.1.1',
    text: '5.1.1 no such user',
    peer: PEER,
    maybeDelivered: false,
    ...more,
  };
}

test('the text of the server comes first, then code and host (R082, R101)', () => {
  assert.equal(statusText(failed({}), '2012'), '5.1.1 no such user (550, mx.example [192.0.2.1])');
  assert.equal(statusText(failed({}), '2017'), '550 (550 5.1.1 no such user, mx.example [192.0.2.1])');
});

test('several lines become one, without line ends, bars or NULs (R066, R102)', () => {
  const text = 'first|\r\nremote|x@y|0||\n\0last';
  for (const dialect of ['2012', '2017'] as const)
    assert.doesNotMatch(statusText(failed({ text }), dialect), /[\r\n\0|]/);
  assert.match(statusText(failed({ text: 'one\ntwo' }), '2012'), /^one two \(/);
});

test('surrounding blanks and an empty text leave no gaps', () => {
  assert.equal(statusText(failed({ text: ' no \t ' }), '2012'), 'no (550, mx.example [192.0.2.1])');
  assert.equal(statusText(failed({ text: '' }), '2012'), '(550, mx.example [192.0.2.1])');
});

test('a letter whose last UTF-8 byte is 0xA0 is not trimmed', () => {
  assert.match(statusText(failed({ text: 'voil\xc3\xa0' }), '2012'), /^voil\xc3\xa0 \(/);
});

test('the text is limited to 1000 bytes, plus what the dialect puts around it', () => {
  const text = 'x'.repeat(100_000);
  assert.equal(statusText(failed({ text }), '2012').length, 1000);
  assert.ok(statusText(failed({ text }), '2017').length < 1010);
});

test('without a reply, the text begins with the host', () => {
  const text = 'refuses connections';
  const silent = failed({ code: null, text, permanent: false });
  assert.equal(statusText(silent, '2012'), 'mx.example [192.0.2.1] refuses connections');
  assert.equal(statusText(silent, '2017'), '421 (mx.example [192.0.2.1] refuses connections)');
  assert.equal(statusText(failed({ code: null, text, peer: null }), '2012'), 'refuses connections');
});

test('a lost reply to the end of data is mentioned', () => {
  assert.match(
    statusText(failed({ code: null, text: 'closed', maybeDelivered: true }), '2012'),
    /; the message may have arrived$/,
  );
});

test('every outcome that is neither delivered nor permanent is 4 (C27)', () => {
  assert.equal(statusDigit(failed({})), 5);
  assert.equal(statusDigit(failed({ permanent: false, code: 354 })), 4);
  assert.equal(statusDigit({ kind: 'delivered', code: 250, enhanced: '2.0.0', text: 'ok', peer: PEER }), 2);
});

test('an enhanced code that a server repeats in each line stands once in the log, and in lists as in those of C', () => {
  const text = '5.7.26 Not authenticated.\n5.7.26 See https://mx.example/\n4.7.0 other';
  assert.equal(joinedLines(text), '5.7.26 Not authenticated. See https://mx.example/ 4.7.0 other');
  assert.equal(joinedLines('a\na'), 'a a');
  assert.match(statusText(failed({ text }), '2012'), /^5\.7\.26 Not authenticated\. 5\.7\.26 See /);
});
