/** Transcripts as files: where they lie, who may read them, how they are bounded, what happens when they cannot be kept. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  transcriptFolder,
  transcriptStore,
  transcriptsOf,
} from '../../src/replay/transcript/transcript-files.ts';
import { temporaryDirectory } from '../support/spool.ts';

const DAY = 86_400_000;
const ROOMY = { size: 1_000_000, age: 14 * DAY };

function complain(text: string): void {
  throw new Error(text);
}

test('a kept transcript is there for its owner alone, a discarded one is not', (t) => {
  const spool = temporaryDirectory(t);
  const shelf = transcriptStore(transcriptFolder(spool), ROOMY, complain);
  const kept = shelf.open(12, 5_000_000);
  kept.append('one\n');
  kept.append('two\n');
  kept.keep();
  const discarded = shelf.open(12, 6_000_000);
  discarded.append('three\n');
  discarded.discard();
  const [file = '', ...others] = transcriptsOf(spool, 12);
  assert.deepEqual(others, []);
  assert.equal(path.basename(file), '12-5000-1.jsonl');
  assert.equal(fs.readFileSync(file, 'utf8'), 'one\ntwo\n');
  assert.equal(fs.statSync(file).mode & 0o077, 0);
  assert.deepEqual(transcriptsOf(spool, 1), []);
});

test('the oldest go first, and none outlives its age', (t) => {
  const spool = temporaryDirectory(t);
  const write = (at: number, bounds: typeof ROOMY): void => {
    const tape = transcriptStore(transcriptFolder(spool), bounds, complain).open(1, at);
    tape.append('x'.repeat(400));
    tape.keep();
  };
  for (const day of [1, 2, 3, 4]) write(day * DAY, ROOMY);
  assert.equal(transcriptsOf(spool, 1).length, 4);
  write(5 * DAY, { ...ROOMY, size: 1000 });
  assert.deepEqual(
    transcriptsOf(spool, 1).map((file) => path.basename(file)),
    ['1-432000-1.jsonl', '1-345600-1.jsonl'],
  );
  write(30 * DAY, ROOMY);
  assert.equal(transcriptsOf(spool, 1).length, 1);
});

test('one transcript is bounded, and what is in it stays whole lines', (t) => {
  const spool = temporaryDirectory(t);
  const tape = transcriptStore(transcriptFolder(spool), ROOMY, complain).open(1, 0);
  const line = `${'x'.repeat(999_999)}\n`;
  for (let count = 0; count < 6; count++) tape.append(line);
  const [file = ''] = transcriptsOf(spool, 1);
  assert.equal(fs.statSync(file).size, 4_000_000);
});

test('a folder that cannot be made is told once and costs nothing', (t) => {
  const spool = temporaryDirectory(t);
  fs.writeFileSync(path.join(spool, '.spoolroom'), '');
  const told: string[] = [];
  const shelf = transcriptStore(transcriptFolder(spool), ROOMY, (text) => told.push(text));
  for (const control of [1, 2]) {
    const tape = shelf.open(control, 0);
    tape.append('line\n');
    tape.keep();
  }
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^Transcripts cannot be kept in .*transcripts: /);
  assert.deepEqual(transcriptsOf(spool, 1), []);
});
