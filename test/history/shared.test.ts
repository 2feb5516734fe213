/** The history of a queue in a real PostgreSQL: what is found is what a search in files finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latestStory } from '../../src/history/reader.ts';
import type { HistoryEntry } from '../../src/history/record.ts';
import { EVENTS, queryOf } from '../../src/history/search.ts';
import { SharedHistory, SharedHistoryReader } from '../../src/history/shared-history.ts';
import { HistoryWriter } from '../../src/history/writer.ts';
import { UnavailableError } from '../../src/platform/system-errors.ts';
import { parseSelection, type SelectionWords } from '../../src/queue/selection/selection.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { databaseAt, NO_POSTGRES, startCluster } from '../support/postgres.ts';

const DAY = 86_400_000;
const LIMITS = { size: 1e9, age: 30 * DAY };
const ALL = { since: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };

function entry(event: HistoryEntry['event'], job: number, ...recipients: readonly string[]): HistoryEntry {
  const about = { mail: job + 100, submitted: 1_342_224_000, sender: 'Alice@site.example' };
  return { event, job, ...about, messageId: `<${job}@site.example>`, size: 10, recipients };
}

test('records of several machines are found as in files, and old ones are removed', {
  skip: NO_POSTGRES,
}, async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.remove());
  const address = await cluster.create();
  const clock = createManualClock(Date.parse('2026-11-28T12:00:00Z'));
  const warnings: string[] = [];
  const writer = (machine: string, limits = LIMITS): HistoryWriter => {
    const shared = new SharedHistory({ database: databaseAt(address), limits, clock, machine });
    const rest = {
      limits,
      clock,
      readable: (text: string) => text,
      warn: (text: string) => void warnings.push(text),
    };
    return new HistoryWriter({ folder: '/nowhere', shared, ...rest });
  };
  const reader = new SharedHistoryReader(databaseAt(address));
  t.after(() => reader.close());
  assert.equal(await reader.since(), null);

  const began = clock.now();
  const [one, two] = [writer('mx1'), writer('mx2')];
  one.write(entry('queued', 1, 'b\u0000b@one.example', 'c@two.example'));
  clock.advance(10);
  two.write({
    ...entry('deferred', 1, 'c@two.example'),
    destination: 'two.example',
    code: 451,
    text: 'later',
  });
  clock.advance(DAY);
  one.write(entry('queued', 2, 'dave@one.example'));
  clock.advance(10);
  two.write({
    ...entry('delivered', 2, 'dave@one.example'),
    destination: 'one.example',
    host: 'mx.one.example',
  });
  await one.close();
  await two.close();

  const found = async (words: Partial<SelectionWords>, rest = {}): Promise<readonly unknown[]> => {
    const selection = parseSelection({ words: [], ...words }, { statuses: EVENTS, texts: true });
    if ('kind' in selection) throw new Error(selection.text);
    const query = { ...queryOf(selection, Math.floor(clock.now() / 1000)), ...ALL, limit: 50, ...rest };
    const { stories, more } = await reader.search(query);
    return [
      ...stories.map((story) => story.map(({ event, machine }) => `${event} ${machine}`)),
      ...(more ? ['more'] : []),
    ];
  };
  const [first, second] = [
    ['queued mx1', 'deferred mx2'],
    ['queued mx1', 'delivered mx2'],
  ];
  assert.deepEqual(await found({}), [first, second]);
  assert.deepEqual(await found({}, { limit: 1 }), [second, 'more']);
  assert.deepEqual(await found({}, { limit: 1, skip: 1 }), [first]);
  assert.deepEqual(await found({ words: ['2'] }), [second]);
  assert.deepEqual(await found({ to: 'DAVE@one.example' }), [second]);
  assert.deepEqual(await found({ status: 'deferred' }), [first]);
  assert.deepEqual(await found({ answer: 'LATER' }), [first]);
  assert.deepEqual(await found({ relay: 'mx.one' }), [second]);
  assert.deepEqual(await found({ 'message-id': '<1@' }), [first]);
  assert.deepEqual(await found({ from: 'bob@' }), []);
  assert.deepEqual(await found({}, { until: began + DAY }), [first]);
  assert.deepEqual(await found({}, { since: began + DAY }), [second]);
  assert.deepEqual((await latestStory(reader, 101))?.[0].recipients, [
    'b\u0000b@one.example',
    'c@two.example',
  ]);
  assert.equal(await latestStory(reader, 77), null);
  const { lastHour } = await reader.counts(clock.now());
  assert.deepEqual(lastHour, { queued: 1, delivered: 1 });

  const third = writer('mx1', { size: 1e9, age: DAY / 2 });
  third.write(entry('hold', 2, 'dave@one.example'));
  await third.close();
  assert.deepEqual(await found({}), [[...second, 'hold mx1']]);
  const fourth = writer('mx1', { size: 1, age: DAY });
  fourth.write(entry('release', 2, 'dave@one.example'));
  await fourth.close();
  assert.deepEqual(await found({}), [['release mx1']]);
  assert.deepEqual(warnings, []);
});

test('what cannot be written waits for the next time, and is told once', async () => {
  const clock = createManualClock(Date.parse('2026-11-28T12:00:00Z'));
  const written: unknown[][] = [];
  let isAway = true;
  const database = {
    name: 'db',
    query: async (text: string, values: readonly unknown[]) => {
      if (isAway) throw new UnavailableError('The database is away.');
      if (text.includes('INSERT')) written.push(values.slice(2, 4).map(String));
      return [];
    },
    close: async () => {},
  } as never;
  const warnings: string[] = [];
  const shared = new SharedHistory({ database, limits: LIMITS, clock, machine: 'mx1' });
  const rest = { limits: LIMITS, clock, readable: (text: string) => text };
  const writer = new HistoryWriter({
    folder: '/',
    shared,
    ...rest,
    warn: (text) => void warnings.push(text),
  });
  for (const job of [1, 2]) {
    writer.write(entry('queued', job, 'b@one.example'));
    writer.flush();
    await shared.settle();
  }
  assert.deepEqual(warnings, ['The database is away. Records of the history wait for that in memory.']);
  isAway = false;
  writer.write(entry('queued', 3, 'b@one.example'));
  await writer.close();
  assert.deepEqual(written, [['queued,queued,queued', '1,2,3']]);
});
