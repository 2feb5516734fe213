/** Outcomes as log lines, and how bytes, spans and times are shown to people. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCharset, unknown8bit } from '../../src/message/charset.ts';
import { allowsColour } from '../../src/output/colour.ts';
import { dialogueEvent, dsnEvent, outcomeEvent } from '../../src/output/log/log-events.ts';
import { duration, escapeControl, textDecoder } from '../../src/output/text.ts';
import { formatTime } from '../../src/platform/clock.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';

const peer = { host: 'mx.example.com', address: '192.0.2.1', port: 25 };
const MESSAGE = { submitted: 0, sender: 'alice@example.org', messageId: '<1@example.org>', size: 4711 };
const TLS = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: 'dane' } as const;
const DELIVERED: OutcomeRecord = {
  message: MESSAGE,
  ...{ control: 2, msgid: 1, recipient: 'bob@example.com', destination: 'example.com', status: 2 },
  ...{ text: '2.0.0 queued (250, mx.example.com [192.0.2.1])', milliseconds: 412.6, tls: TLS },
  outcome: { kind: 'delivered', code: 250, enhanced: '2.0.0', text: '2.0.0 queued', peer },
};
const FAILED: OutcomeRecord = {
  ...DELIVERED,
  ...{ status: 5, tls: null, text: 'x' },
  outcome: {
    ...{ kind: 'failed', scope: 'recipient', stage: 'rcpt', permanent: true, code: 550, enhanced: '5.1.1' },
    ...{ text: '5.1.1 no such user', peer, maybeDelivered: false },
  },
};

const same = (bytes: string): string => bytes;

test('a reply of several lines is one line, its enhanced code said once', () => {
  const text = '5.1.1 no such user\n5.1.1 see https://mx.example.com/\n5.1.1 or ask\r\x1b';
  const { message, fields } = outcomeEvent(
    { ...FAILED, outcome: { ...FAILED.outcome, text } },
    textDecoder(unknown8bit),
  );
  assert.match(message, /: 550 5\.1\.1 no such user see https:\/\/mx\.example\.com\/ or ask \\x1b$/);
  assert.equal(fields.text, '5.1.1 no such user see https://mx.example.com/ or ask \\x1b');
});

test('NO_COLOR and a dumb terminal turn colours off', () => {
  for (const [environment, allowed] of [
    [{}, true],
    [{ TERM: 'xterm', NO_COLOR: '' }, true],
    [{ NO_COLOR: '1' }, false],
    [{ TERM: 'dumb' }, false],
  ] as const)
    assert.equal(allowsColour(environment), allowed);
});

test('a delivery', () => {
  const line = outcomeEvent(DELIVERED, same);
  assert.deepEqual(line, {
    level: 'info',
    event: 'delivered',
    message:
      'delivered: job 2 from alice@example.org to bob@example.com via mx.example.com [192.0.2.1] TLSv1.3 verified by DANE, 0.41 s, 4711 bytes, <1@example.org>: 250 2.0.0 queued',
    fields: {
      ...{ job: 2, mail: 1, sender: 'alice@example.org', messageId: '<1@example.org>', size: 4711 },
      ...{ recipient: 'bob@example.com', status: 2, destination: 'example.com' },
      ...{ host: 'mx.example.com', address: '192.0.2.1', port: 25, tls: 'TLSv1.3', milliseconds: 413 },
      ...{ cipher: 'TLS_AES_256_GCM_SHA384', verified: 'dane' },
      ...{ stage: null, code: 250, enhanced: '2.0.0', maybeDelivered: false, text: '2.0.0 queued' },
    },
  });
});

test('a refusal is worth a warning', () => {
  const line = outcomeEvent(FAILED, same);
  assert.equal(line.level, 'warn');
  assert.equal(
    line.message,
    'refused: job 2 from alice@example.org to bob@example.com via mx.example.com [192.0.2.1], 0.41 s, 4711 bytes, <1@example.org>: 550 5.1.1 no such user',
  );
  assert.equal(line.fields.stage, 'rcpt');
});

test('a mail that cannot be read is worth a warning while it waits', () => {
  const outcome = { ...FAILED.outcome, kind: 'failed', stage: 'payload', permanent: false } as const;
  assert.equal(outcomeEvent({ ...FAILED, status: 4, outcome } as OutcomeRecord, same).level, 'warn');
});

test('a report in a file counts as not sent', () => {
  const record = { control: 2, msgid: 1, message: MESSAGE, to: 'alice', notices: [] };
  const left = dsnEvent(
    { ...record, how: 'left', where: '/spool/.spoolroom/reports/x.eml', why: 'nobody took it' },
    same,
  );
  assert.equal(left.level, 'warn');
  assert.match(
    left.message,
    /: the report for alice was not delivered, because nobody took it\. It is kept in \/spool/,
  );
  const safe = dsnEvent({ ...record, how: 'safe', where: 'lmtp', why: null }, same);
  assert.equal(safe.level, 'info');
  assert.match(safe.message, /: report sent to alice through /);
});

test('no host, no code, and a doubt', () => {
  const outcome = {
    ...FAILED.outcome,
    kind: 'failed',
    code: null,
    peer: null,
    maybeDelivered: true,
  } as const;
  const record = {
    ...FAILED,
    message: { submitted: null, sender: '', messageId: null, size: null },
    status: 4,
    outcome: { ...outcome, permanent: false, stage: 'lookup', scope: 'host' },
  } as const;
  const { message, fields, level } = outcomeEvent(record, same);
  assert.equal(level, 'info');
  assert.equal(
    message,
    'deferred: job 2 from <> to bob@example.com, 0.41 s: 5.1.1 no such user (the message may have been delivered)',
  );
  assert.deepEqual([fields.host, fields.code, fields.maybeDelivered], [null, null, true]);
});

test('bytes become text once: UTF-8 where it is, else the legacy charset, else what they are', async () => {
  const found = findCharset('windows-1252');
  assert.ok(found.kind === 'charset');
  const readable = textDecoder(found.charset);
  assert.equal(readable('plain'), 'plain');
  assert.equal(readable('Gr\xc3\xbc\xc3\x9fe'), 'Grüße');
  assert.equal(readable('Gr\xfc\xdfe \x80'), 'Grüße €');
  assert.equal(readable('\x81'), '\\x81');
  assert.equal(readable('a\x1b[31mb\0\x07'), 'a\\x1b[31mb\\x00\\x07');
});

test('nothing that a terminal obeys, and nothing that turns or breaks a line', () => {
  const obeyed = [
    '\x00',
    '\x1b',
    '\x7f',
    '\x9b',
    '\r',
    '\n',
    '\t',
    '\u061c',
    '\u200b',
    '\u200f',
    '\u2028',
    '\u202e',
    '\u2069',
    '\ufeff',
  ];
  for (const char of obeyed)
    assert.match(
      escapeControl(`a${char}b`),
      /^a\\(?:[nrt]|x[0-9a-f]{2}|u\{[0-9a-f]+\})b$/,
      JSON.stringify(char),
    );
  assert.equal(escapeControl('Grüße, 日本 🙂'), 'Grüße, 日本 🙂');
});

test('spans and times', () => {
  const spans = [0, 9994, 10_000, 30_000, 119_000, 180_000, 7_200_000, 16_200_000, 172_800_000, 435_600_000];
  assert.deepEqual(spans.map(duration), [
    '0.00 s',
    '9.99 s',
    '10 s',
    '30 s',
    '119 s',
    '3 min',
    '2 h',
    '4 h 30 min',
    '2 d',
    '5 d 1 h',
  ]);
  assert.equal(formatTime(1_342_224_000), '2012-07-14T00:00:00Z');
  assert.equal(formatTime(1e18), 'second 1000000000000000000');
});

test('two sessions with one host can be told apart in the dialogue', () => {
  const lines = [7, 8].map(
    (session) => dialogueEvent(session, peer, { from: 'us', text: 'DATA' }, same).message,
  );
  assert.deepEqual(lines, ['#7 mx.example.com [192.0.2.1] > DATA', '#8 mx.example.com [192.0.2.1] > DATA']);
});
