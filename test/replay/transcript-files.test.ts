/** Transcript files: where they are, who may read them, their limits, and what happens when they cannot be written. */
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
const WIDE = { size: 1_000_000, age: 14 * DAY };

function complain(text: string): void {
  throw new Error(text);
}

test('a kept transcript is readable for its owner alone, a discarded one is removed', (t) => {
  const spool = temporaryDirectory(t);
  const store = transcriptStore(transcriptFolder(spool), WIDE, complain);
  const kept = store.open(12, 5_000_000);
  kept.append('one\n');
  kept.append('two\n');
  kept.keep();
  const discarded = store.open(12, 6_000_000);
  discarded.append('three\n');
  discarded.discard();
  const [file = '', ...others] = transcriptsOf(spool, 12);
  assert.deepEqual(others, []);
  assert.equal(path.basename(file), '12-5000-1.jsonl');
  assert.equal(fs.readFileSync(file, 'utf8'), 'one\ntwo\n');
  assert.equal(fs.statSync(file).mode & 0o077, 0);
  assert.deepEqual(transcriptsOf(spool, 1), []);
});

test('the oldest are removed first, and all beyond the maximum age', (t) => {
  const spool = temporaryDirectory(t);
  const write = (at: number, bounds: typeof WIDE): void => {
    const text = transcriptStore(transcriptFolder(spool), bounds, complain).open(1, at);
    text.append('x'.repeat(400));
    text.keep();
  };
  for (const day of [1, 2, 3, 4]) write(day * DAY, WIDE);
  assert.equal(transcriptsOf(spool, 1).length, 4);
  write(5 * DAY, { ...WIDE, size: 1000 });
  assert.deepEqual(
    transcriptsOf(spool, 1).map((file) => path.basename(file)),
    ['1-432000-1.jsonl', '1-345600-1.jsonl'],
  );
  write(30 * DAY, WIDE);
  assert.equal(transcriptsOf(spool, 1).length, 1);
});

test('the length of a transcript is limited, nothing follows what was left out, and the end is marked', (t) => {
  const spool = temporaryDirectory(t);
  const text = transcriptStore(transcriptFolder(spool), WIDE, complain).open(1, 0);
  const line = `${'x'.repeat(999_999)}\n`;
  for (let count = 0; count < 6; count++) text.append(line);
  text.append('a short one\n');
  assert.equal(text.isFull, true);
  const [file = ''] = transcriptsOf(spool, 1);
  assert.equal(fs.statSync(file).size, 4_000_003);
  assert.match(fs.readFileSync(file, 'utf8').slice(-5), /^x\n\.\.\.$/);
});

test('many transcripts within a minute do not exceed the space by much', (t) => {
  const spool = temporaryDirectory(t);
  const store = transcriptStore(transcriptFolder(spool), { ...WIDE, size: 100_000 }, complain);
  for (let count = 0; count < 100; count++) {
    const text = store.open(1, 1_000_000 + count);
    text.append(`${'x'.repeat(9_999)}\n`);
    text.keep();
  }
  const sizes = transcriptsOf(spool, 1).map((file) => fs.statSync(file).size);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 120_000, `${sizes.length} files`);
});

test('a folder that cannot be created causes one warning and no other harm', (t) => {
  const spool = temporaryDirectory(t);
  fs.writeFileSync(path.join(spool, '.spoolroom'), '');
  const warnings: string[] = [];
  const store = transcriptStore(transcriptFolder(spool), WIDE, (text) => warnings.push(text));
  for (const control of [1, 2]) {
    const text = store.open(control, 0);
    text.append('line\n');
    text.keep();
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^Transcripts cannot be written to .*transcripts: /);
  assert.deepEqual(transcriptsOf(spool, 1), []);
});
