/** Counts of the last hour and of today: each line is read once, when it is whole. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RecentEvents } from '../../src/history/counts.ts';
import { historyFiles } from '../../src/history/files.ts';
import { temporaryDirectory } from '../support/spool.ts';

const NOON = Date.parse('2026-11-28T12:00:00Z');

test('what is added is counted once, and what is old no longer', (t) => {
  const folder = temporaryDirectory(t);
  const events = new RecentEvents();
  const add = (at: string, event: string, recipients: number, end = '\n'): void => {
    const record = {
      at: `${at}.000Z`,
      event,
      job: 2,
      mail: 1,
      recipients: Array(recipients).fill('bob@example.com'),
    };
    fs.appendFileSync(path.join(folder, `${at.slice(0, 10)}-1.jsonl`), JSON.stringify(record) + end);
  };
  const counts = (now: number) => {
    const steps = events.steps(historyFiles(folder), now);
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
    }
  };
  assert.deepEqual(counts(NOON), { today: {}, lastHour: {} });
  add('2026-11-27T23:59:00', 'delivered', 9);
  add('2026-11-28T00:00:00', 'delivered', 1);
  add('2026-11-28T11:30:00', 'delivered', 2);
  add('2026-11-28T11:59:59', 'deferred', 3);
  const first = { today: { delivered: 3, deferred: 3 }, lastHour: { delivered: 2, deferred: 3 } };
  assert.deepEqual(counts(NOON), first);
  assert.deepEqual(counts(NOON), first);
  add('2026-11-28T11:59:59', 'refused', 1, '');
  assert.deepEqual(counts(NOON), first, 'a line that is being written');
  fs.appendFileSync(path.join(folder, '2026-11-28-1.jsonl'), '\nno record\n');
  assert.deepEqual(counts(NOON).lastHour, { ...first.lastHour, refused: 1 });
  assert.deepEqual(counts(NOON + 3_600_000), {
    today: { delivered: 3, deferred: 3, refused: 1 },
    lastHour: {},
  });
  assert.deepEqual(counts(NOON + 86_400_000), { today: {}, lastHour: {} });
});

test('two readers at once count nothing twice', (t) => {
  const folder = temporaryDirectory(t);
  const record = {
    at: '2026-11-28T11:30:00.000Z',
    event: 'queued',
    job: 2,
    mail: 1,
    recipients: ['bob@example.com'],
  };
  fs.writeFileSync(path.join(folder, '2026-11-28-1.jsonl'), `${JSON.stringify(record)}\n`.repeat(9000));
  const events = new RecentEvents();
  const readers = [events.steps(historyFiles(folder), NOON), events.steps(historyFiles(folder), NOON)];
  let ended = 0;
  let turns = 0;
  while (ended < readers.length) {
    const { done } = readers[turns++ % readers.length]?.next() ?? {};
    if (done === true) ended++;
  }
  assert.ok(turns > 4, 'the file has several pieces');
  const { value } = events.steps(historyFiles(folder), NOON).next();
  assert.deepEqual(value, { today: { queued: 9000 }, lastHour: { queued: 9000 } });
});
