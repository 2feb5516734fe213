/** The pictures of the README show what the program prints and draws today; `npm run pictures` makes them anew. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fingerprint, PICTURES, replayPage, runPicture } from './pictures.ts';
import { terminalSvg } from './terminal-svg.ts';

const read = (name: string): string => readFileSync(path.join(PICTURES, name), 'utf8');

test('run.svg shows what the demo prints (make it anew with: npm run pictures)', async () => {
  assert.equal(await runPicture(), read('run.svg'));
});

test('replay.png shows the page of today (make it anew with: npm run pictures, where chromium is installed)', async () => {
  assert.equal(fingerprint(await replayPage()), read('replay.sha256'));
  assert.equal(readFileSync(path.join(PICTURES, 'replay.png')).toString('latin1', 1, 4), 'PNG');
});

test('each run of a colour begins at its column, and text is no markup', () => {
  const svg = terminalSvg('x', 'a \x1b[31m<b>\x1b[0m c');
  const runs = [...svg.matchAll(/<text x="([\d.]+)"[^>]*?( class="\w+")?>(.*)<\/text>/g)];
  assert.deepEqual(
    runs.map(([, x, style = '', text]) => [x, style.trim(), text]),
    [
      ['16.0', '', 'a'],
      ['31.6', 'class="red"', '&#60;b&#62;'],
      ['62.8', '', 'c'],
    ],
  );
});

test('a colour that the picture does not know is an error', () => {
  assert.throws(() => terminalSvg('x', '\x1b[35mx\x1b[0m'), /no colour for code 35/);
});
