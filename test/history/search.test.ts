/** Messages found in the history by what people know of them, with their whole story. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { historyFiles } from '../../src/history/files.ts';
import { linesOf } from '../../src/history/lines.ts';
import { parseMoment } from '../../src/history/moment.ts';
import type { HistoryRecord } from '../../src/history/record.ts';
import { EVENTS, latestQuery, queryOf, searchHistory } from '../../src/history/search.ts';
import { storyFacts, storyText } from '../../src/output/history-text.ts';
import { parseSelection, type SelectionWords } from '../../src/queue/selection/selection.ts';
import { NOW, temporaryDirectory } from '../support/spool.ts';

function latestStory(files: Parameters<typeof searchHistory>[0], number: number) {
  return searchHistory(files, latestQuery(number)).stories[0] ?? null;
}

const DAY = 86_400_000;
const EVER = { since: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };

function record(days: number, of: Partial<HistoryRecord>): HistoryRecord {
  return {
    ...{ at: new Date(NOW * 1000 + days * DAY).toISOString(), event: 'delivered', job: 2, mail: 1 },
    ...{ submitted: NOW, sender: 'alice@citadel.example', messageId: '<1@citadel.example>', size: 4711 },
    recipients: ['bob@example.com'],
    ...of,
  } as HistoryRecord;
}

const GREYLISTED = { code: 450, text: '4.2.1 greylisted', host: 'mx.example.com', address: '192.0.2.1' };
const OTHER = { job: 4, mail: 3, sender: '<>', messageId: '<2@other.example>' };
const RECORDS: readonly HistoryRecord[] = [
  record(0, { event: 'queued' }),
  record(0, { event: 'deferred', ...GREYLISTED, milliseconds: 80, port: 25 }),
  record(0.1, { ...OTHER, recipients: ['carol@sub.other.example'], event: 'queued' }),
  record(1, { code: 250, text: 'ok', host: 'mx.example.com', milliseconds: 41, tls: 'TLSv1.3' }),
  record(1, {
    ...OTHER,
    recipients: ['carol@sub.other.example'],
    event: 'refused',
    code: 550,
    text: 'no "such" user',
  }),
  // The numbers of the first message, used again.
  record(3, { submitted: NOW + 3 * 86_400, recipients: ['dave@example.net'], event: 'queued' }),
];

function folderOf(t: TestContext, records: readonly HistoryRecord[]): string {
  const folder = temporaryDirectory(t);
  for (const each of records)
    fs.appendFileSync(path.join(folder, `${each.at.slice(0, 10)}-1.jsonl`), `${JSON.stringify(each)}\n`);
  return folder;
}

/** First day and events of each story that is found. */
function found(t: TestContext, given: Partial<SelectionWords>, span = EVER, limit = 50) {
  const selection = parseSelection({ words: [], ...given }, { statuses: EVENTS, texts: true });
  assert.ok(!('kind' in selection), JSON.stringify(selection));
  const files = historyFiles(folderOf(t, RECORDS));
  const { stories } = searchHistory(files, { ...queryOf(selection, NOW), ...span, limit });
  return stories.map((story) => `${story[0].at.slice(8, 10)} ${story.map(({ event }) => event).join(' ')}`);
}

const FIRST = '14 queued deferred delivered';
const SECOND = '14 queued refused';
const THIRD = '17 queued';

const CASES: readonly (readonly [Partial<SelectionWords>, readonly string[]])[] = [
  [{}, [FIRST, SECOND, THIRD]],
  [{ words: ['bob@'] }, [FIRST]],
  [{ words: ['BOB@Example.com'] }, [FIRST]],
  [{ words: ['alice'] }, [FIRST, THIRD]],
  [{ words: ['ob@'] }, []],
  [{ words: ['2@other.example'] }, [SECOND]],
  [{ words: ['2'] }, [FIRST, THIRD]],
  [{ words: ['3-9'] }, [SECOND]],
  [{ from: '<>' }, [SECOND]],
  [{ from: 'citadel.example', to: 'dave@' }, [THIRD]],
  [{ to: 'other.example' }, []],
  [{ domain: 'other.example' }, [SECOND]],
  [{ answer: 'GREYlisted' }, [FIRST]],
  [{ answer: '550' }, [SECOND]],
  [{ answer: 'no "such" user' }, [SECOND]],
  [{ relay: '192.0.2.1' }, [FIRST]],
  [{ 'message-id': '<2@' }, [SECOND]],
  [{ status: 'refused' }, [SECOND]],
  // One and the same event: the greylisted attempt is not the delivery.
  [{ status: 'delivered', answer: 'greylisted' }, []],
];

for (const [given, stories] of CASES) {
  test(`found by ${JSON.stringify(given)}`, (t) => {
    assert.deepEqual(found(t, given), stories);
  });
}

test('a span of time says what happened in it; the story is whole all the same', (t) => {
  const at = NOW * 1000;
  assert.deepEqual(found(t, {}, { since: at + DAY, until: at + 2 * DAY }), [FIRST, SECOND]);
  assert.deepEqual(found(t, {}, { since: at + 2 * DAY, until: at + 9 * DAY }), [THIRD]);
});

test('the latest messages are shown', (t) => {
  assert.deepEqual(found(t, {}, EVER, 1), [THIRD]);
  // Its last event is later than that of the other one.
  assert.deepEqual(found(t, {}, EVER, 2), [SECOND, THIRD]);
  assert.deepEqual(found(t, {}, EVER, 3), [FIRST, SECOND, THIRD]);
});

test('later ones can be left out, page by page', (t) => {
  const files = historyFiles(folderOf(t, RECORDS));
  const page = (skip: number, limit: number) => {
    const query = { mayHold: () => true, matches: () => true, ...EVER, limit, skip };
    const { stories, more } = searchHistory(files, query);
    return [stories.map(([first]) => first.mail), more];
  };
  const all = [0, 1, 2].map((skip) => page(skip, 1));
  assert.deepEqual(
    all.map(([, more]) => more),
    [true, true, true],
  );
  assert.deepEqual(
    all.map(([mails]) => mails),
    [[1], [3], [1]],
  );
  assert.deepEqual(page(3, 1), [[], false]);
  assert.deepEqual(page(1, 5), [[1, 3], false]);
});

test('numbers that are used again are two messages, and the latest one counts', (t) => {
  const files = historyFiles(folderOf(t, RECORDS));
  assert.deepEqual(latestStory(files, 1)?.[0].recipients, ['dave@example.net']);
  assert.equal(latestStory(files, 3)?.length, 2);
  assert.equal(latestStory(files, 9), null);
});

test('a story as text, and what became of each recipient', () => {
  const [first, ...rest] = RECORDS.filter(({ mail, submitted }) => mail === 1 && submitted === NOW);
  assert.ok(first !== undefined);
  assert.equal(
    storyText([first, ...rest]),
    [
      'job 2, message 1, queued 2012-07-14T00:00:00Z, 4711 bytes, <1@citadel.example>',
      '  from alice@citadel.example to bob@example.com',
      '  2012-07-14T00:00:00Z  queued        for bob@example.com',
      '  2012-07-14T00:00:00Z  deferred      bob@example.com via mx.example.com [192.0.2.1], 0.08 s: 450 4.2.1 greylisted',
      '  2012-07-15T00:00:00Z  delivered     bob@example.com via [mx.example.com] TLSv1.3, 0.04 s: 250 ok',
      '  1 recipient: 1 delivered.',
    ].join('\n'),
  );
  assert.deepEqual(storyFacts([first, ...rest]).recipients, { 'bob@example.com': 'delivered' });
});

test('lines are read whole across pieces, with bytes of UTF-8 and broken lines', (t) => {
  const file = path.join(temporaryDirectory(t), 'x');
  const lines = Array.from({ length: 9000 }, (_, at) => `${at} ${'ü'.repeat(30)}`);
  fs.writeFileSync(file, `${lines.join('\n')}\n{"cut`);
  assert.deepEqual([...linesOf(file, () => true)].flat(), [...lines, '{"cut']);
  assert.deepEqual([...linesOf(file, (text) => text.includes('8123 '))].flat(), [lines[8123]]);
});

test('a line without an end does not take all memory, and what follows it is found (R277)', (t) => {
  const file = path.join(temporaryDirectory(t), 'x');
  const long = Buffer.alloc(40_000_000, 'x');
  fs.writeFileSync(file, 'one\n');
  fs.appendFileSync(file, long);
  fs.appendFileSync(file, '\ntwo\nthree');
  const before = process.memoryUsage().rss;
  assert.deepEqual([...linesOf(file, () => true)].flat(), ['one', 'two', 'three']);
  assert.ok(process.memoryUsage().rss - before < 60_000_000);
  fs.writeFileSync(file, Buffer.concat([Buffer.from('one\n'), long]));
  assert.deepEqual([...linesOf(file, () => true)].flat(), ['one']);
});

test('records that are none are passed over', (t) => {
  const folder = folderOf(t, RECORDS);
  fs.appendFileSync(path.join(folder, '2012-07-14-1.jsonl'), '\n[]\nnull\n{"at":1}\n\x00\xff\n{"at":"2012');
  fs.writeFileSync(path.join(folder, 'notes.txt'), 'x');
  assert.equal(latestStory(historyFiles(folder), 3)?.length, 2);
});

test('times as people write them, in UTC', () => {
  const now = Date.parse('2026-11-28T10:20:30Z');
  for (const [word, expected] of [
    ['today', '2026-11-28T00:00:00.000Z'],
    ['yesterday', '2026-11-27T00:00:00.000Z'],
    ['2h', '2026-11-28T08:20:30.000Z'],
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2026-11-01T10:30', '2026-11-01T10:30:00.000Z'],
    ['2026-11-01T10:30:09Z', '2026-11-01T10:30:09.000Z'],
    ['2026-13-01', null],
    ['soon', null],
  ] as const) {
    const read = parseMoment(word, now);
    assert.equal(read === null ? null : new Date(read).toISOString(), expected, word);
  }
});
