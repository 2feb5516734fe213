/** The history's files: gathered, appended, bounded, and readable after a crash. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { historyFiles, historyFolder } from '../../src/history/files.ts';
import { type HistoryEntry, parseRecord } from '../../src/history/record.ts';
import { HistoryWriter } from '../../src/history/writer.ts';
import type { OutcomeRecord } from '../../src/runner/active-message.ts';
import { HandClock, NOW, temporaryDirectory } from '../support/spool.ts';

const DAY = 86_400_000;
const WIDE = { size: 1e9, age: 30 * DAY };
const ENTRY: HistoryEntry = {
  ...{ event: 'queued', job: 2, mail: 1, submitted: NOW, sender: '<>', messageId: null, size: 10 },
  recipients: ['bob@example.com'],
};
const MESSAGE = { submitted: NOW, sender: 'alice@example.org', messageId: '<1@example.org>', size: 4711 };
const TLS = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', verified: 'dane' } as const;
const OUTCOME: OutcomeRecord['outcome'] = {
  ...{ kind: 'delivered', code: 250, enhanced: '2.0.0', text: '2.0.0 queued' },
  peer: { host: 'mx.example.com', address: '192.0.2.1', port: 25 },
};

function outcome(recipient: string, of: object = {}): OutcomeRecord {
  return {
    ...{ control: 2, msgid: 1, message: MESSAGE, recipient, destination: 'example.com', status: 2 },
    ...{ outcome: OUTCOME, text: 'x', milliseconds: 41.6, tls: TLS, ...of },
  };
}

function history(t: TestContext, limits = WIDE) {
  const spool = temporaryDirectory(t);
  fs.mkdirSync(path.join(spool, '.spoolroom'), { mode: 0o750 });
  const clock = new HandClock();
  const warnings: string[] = [];
  const folder = historyFolder(spool);
  const open = () =>
    new HistoryWriter({
      folder,
      limits,
      clock,
      readable: (text) => text,
      warn: (text) => warnings.push(text),
    });
  const lines = (): readonly string[] =>
    historyFiles(folder).flatMap((file) => fs.readFileSync(file.path, 'utf8').split('\n').slice(0, -1));
  return { spool, folder, clock, warnings, open, lines, writer: open() };
}

test('nothing is made before there is a record, and records wait a second for others', (t) => {
  const { folder, clock, writer, lines } = history(t);
  writer.flush();
  assert.ok(!fs.existsSync(folder));
  writer.write(ENTRY);
  clock.advance(600);
  writer.write({ ...ENTRY, job: 4 });
  assert.ok(!fs.existsSync(folder), 'both are gathered');
  clock.advance(400);
  assert.deepEqual(
    lines().map((line) => parseRecord(line)?.job),
    [2, 4],
  );
  assert.equal(clock.pending, 0, 'no timer is left behind');
});

test('recipients with the same outcome make one record', (t) => {
  const { writer, lines } = history(t);
  for (const recipient of ['a@example.com', 'b@example.com']) writer.outcome(outcome(recipient));
  writer.outcome(outcome('c@example.com', { outcome: { ...OUTCOME } }));
  writer.flush();
  assert.deepEqual(
    lines().map((line) => parseRecord(line)?.recipients),
    [['a@example.com', 'b@example.com'], ['c@example.com']],
  );
  assert.deepEqual(parseRecord(lines()[0] ?? ''), {
    ...{ at: '2012-07-14T00:00:00.000Z', event: 'delivered', job: 2, mail: 1, submitted: NOW },
    ...{ sender: 'alice@example.org', messageId: '<1@example.org>', size: 4711 },
    ...{ recipients: ['a@example.com', 'b@example.com'], destination: 'example.com' },
    ...{ host: 'mx.example.com', address: '192.0.2.1', port: 25, tls: 'TLSv1.3', milliseconds: 42 },
    ...{ cipher: 'TLS_AES_256_GCM_SHA384', verified: 'dane' },
    ...{ code: 250, enhanced: '2.0.0', text: '2.0.0 queued' },
  });
});

test('the recipients of a long list are in several records (R277)', (t) => {
  const { writer, lines } = history(t);
  const recipients = Array.from({ length: 2500 }, (_, n) => `u${n}@example.com`);
  writer.write({ ...ENTRY, recipients });
  for (const recipient of recipients) writer.outcome(outcome(recipient));
  writer.write({ ...ENTRY, recipients: [] });
  writer.flush();
  const records = lines().map((line) => parseRecord(line));
  assert.deepEqual(
    records.map((record) => record?.recipients.length),
    [1000, 1000, 500, 1000, 1000, 500, 0],
  );
  assert.deepEqual(
    records.slice(3, 6).flatMap((record) => record?.recipients),
    recipients,
  );
});

test('files and folder are as open as the rest of .spoolroom, and no more', (t) => {
  const { folder, writer } = history(t);
  writer.write(ENTRY);
  writer.flush();
  assert.equal(fs.statSync(folder).mode & 0o7777, 0o750);
  assert.equal(fs.statSync(path.join(folder, '2012-07-14-1.jsonl')).mode & 0o7777, 0o640);
});

test('a line that a crash cut off costs that line, and none after it', (t) => {
  const { folder, writer, open, lines } = history(t);
  writer.write(ENTRY);
  writer.flush();
  fs.appendFileSync(path.join(folder, '2012-07-14-1.jsonl'), '{"at":"2012-07-14T00:00:01');
  const next = open();
  next.write({ ...ENTRY, job: 6 });
  next.flush();
  assert.deepEqual(
    lines().map((line) => parseRecord(line)?.job),
    [2, undefined, 6],
  );
});

test('a day has its own files, and a day that is too old goes', (t) => {
  const { folder, clock, writer } = history(t, { size: 1e9, age: 2 * DAY });
  const names = (): readonly string[] => historyFiles(folder).map(({ day }) => day);
  for (let day = 0; day < 3; day++) {
    writer.write(ENTRY);
    writer.flush();
    clock.advance(DAY);
  }
  assert.deepEqual(names(), ['2012-07-14', '2012-07-15', '2012-07-16']);
  writer.write(ENTRY);
  writer.flush();
  assert.deepEqual(names(), ['2012-07-15', '2012-07-16', '2012-07-17']);
});

test('midnight divides what was gathered', (t) => {
  const { folder, clock, writer } = history(t);
  clock.advance(DAY - 500);
  writer.write(ENTRY);
  clock.advance(600);
  writer.write(ENTRY);
  writer.flush();
  assert.deepEqual(
    historyFiles(folder).map(({ day }) => day),
    ['2012-07-14', '2012-07-15'],
  );
});

test('a day is kept in parts, so that the bound of size holds within it', (t) => {
  const { folder, clock, writer } = history(t, { size: 16_000, age: DAY });
  for (let count = 0; count < 400; count++) {
    writer.write(ENTRY);
    writer.flush();
    clock.advance(1000);
  }
  const files = historyFiles(folder);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  // Between two sweeps, a minute apart here, it may grow.
  assert.ok(total > 8000 && total < 16_000 + 60 * 200, `${total} bytes`);
  assert.ok((files[0]?.part ?? 0) > 1, 'the oldest parts are gone');
});

test('nothing is written through a link or into a file with a second name; mail goes on, and one warning tells it', (t) => {
  for (const trap of ['symlinkSync', 'linkSync'] as const) {
    const { spool, folder, warnings, writer } = history(t);
    const outside = path.join(spool, 'outside');
    fs.writeFileSync(outside, 'x\n');
    fs.mkdirSync(folder);
    fs[trap](outside, path.join(folder, '2012-07-14-1.jsonl'));
    for (let count = 0; count < 2; count++) {
      writer.write(ENTRY);
      writer.flush();
    }
    assert.equal(fs.readFileSync(outside, 'utf8'), 'x\n');
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? '',
      /^The history cannot be written to .*history: .*Mail is delivered nevertheless\.$/,
    );
  }
});

test('a folder that is a link is not followed', (t) => {
  const { spool, folder, warnings, writer } = history(t);
  fs.mkdirSync(path.join(spool, 'elsewhere'));
  fs.symlinkSync(path.join(spool, 'elsewhere'), folder);
  writer.write(ENTRY);
  writer.flush();
  assert.deepEqual([fs.readdirSync(path.join(spool, 'elsewhere')), warnings.length], [[], 1]);
});
