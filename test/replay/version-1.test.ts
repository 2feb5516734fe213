/** Transcripts of version 1 are read as version 2. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { timelineOf } from '../../src/replay/timeline.ts';
import { compareTranscript } from '../../src/replay/transcript/compare.ts';
import type { Transcript } from '../../src/replay/transcript/transcript.ts';
import { readTranscript } from '../../src/replay/transcript/transcript.ts';
import { recordedWorld } from '../../src/replay/world/recorded-world.ts';
import { transcriptOf } from './recording.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/transcripts/', import.meta.url));

function fixture(name: string): Transcript {
  return transcriptOf(readFileSync(FOLDER + name, 'utf8'));
}

for (const name of readdirSync(`${FOLDER}version-1`)) {
  test(`${name} of version 1 equals its twin of version 2`, () => {
    const old = fixture(`version-1/${name}`);
    const twin = fixture(name);
    assert.deepEqual([old.version, twin.version], [1, 2]);
    assert.deepEqual(old.lines, twin.lines);
    assert.deepEqual({ ...old.header, tables: '' }, { ...twin.header, tables: '' });
    assert.equal(compareTranscript(old), null);
    assert.deepEqual(timelineOf(old), timelineOf(twin));
    assert.deepEqual(recordedWorld(old), recordedWorld(twin));
  });
}

const HEADER = {
  ...{ transcript: 1, tables: '', at: 0, control: 8, hostname: 'me.example' },
  job: { recipients: [{}, {}, { address: 'c@x.example' }, {}, { address: 'a@x.example' }] },
  ...{ indices: [2, 4], recipients: ['c@x.example', 'a@x.example'], destination: {}, settings: {} },
};

function upgraded(...lines: readonly object[]): readonly unknown[] {
  return transcriptOf([HEADER, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('')).lines;
}

test('positions of version 1 become ids: in the delivery, and in a transaction with some of its recipients', () => {
  const offer = { type: 'offer', transaction: { id: 7, sender: '', recipients: ['a@x.example'] } };
  const effects = [{ type: 'verdict', transaction: 7, recipients: [0], verdict: { reach: 'recipient' } }];
  assert.deepEqual(
    upgraded(
      { t: 0, what: 'delivery', event: { type: 'judged', recipients: [0, 1] }, row: 'judged', state: 'talk' },
      { t: 1, what: 'session', session: 1, event: offer, rows: ['begin'], state: 'mail', effects },
      { t: 2, what: 'verdict', recipients: [1], verdict: { stage: 'discard' } },
    ),
    [
      {
        ...{ t: 0, what: 'delivery', event: { type: 'outcome-recorded', recipients: [2, 4] } },
        ...{ row: 'outcome-recorded', state: 'transaction' },
      },
      {
        ...{ t: 1, what: 'session', session: 1 },
        event: {
          type: 'start-transaction',
          transaction: { id: 7, sender: '', recipients: [{ id: 4, address: 'a@x.example' }] },
        },
        ...{ rows: ['start-transaction'], state: 'mail' },
        effects: [{ type: 'outcome', transaction: 7, recipients: [4], outcome: { scope: 'recipient' } }],
      },
      { t: 2, what: 'outcome', recipients: [4], outcome: { stage: 'drain' } },
    ],
  );
});

test('a session that another delivery used before keeps the positions of its recipients', () => {
  const current = {
    transaction: { id: 6, sender: '', recipients: ['x@x.example', 'y@x.example'] },
    ...{ width: 2, accepted: [0], refused: [1], postponed: [] },
  };
  const [line] = upgraded({ t: 0, what: 'from', session: 1, value: { state: 'settled', current } });
  assert.deepEqual(line, {
    ...{ t: 0, what: 'session-state', session: 1 },
    value: {
      state: 'between-transactions',
      current: {
        transaction: {
          ...{ id: 6, sender: '' },
          recipients: [
            { id: 0, address: 'x@x.example' },
            { id: 1, address: 'y@x.example' },
          ],
        },
        ...{ rcptCount: 2, accepted: [0], refused: [1], remaining: [] },
      },
    },
  });
});

test('what is not version 1 at all is refused, whatever it holds', () => {
  for (const line of [null, 7, [], {}, { t: 0 }, { t: 0, what: 'constructor' }, { what: 'from', t: '0' }]) {
    const read = readTranscript(`${JSON.stringify(HEADER)}\n${JSON.stringify(line)}\n`);
    assert.equal(read.kind, 'unusable', JSON.stringify(line));
  }
});
