/** Runs the fenced examples of techdoc/delivery-list.md, each as a test of its own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { stripHeader } from '../../src/delivery-list/header.ts';
import type { Job } from '../../src/delivery-list/job.ts';
import { parseDeliveryList } from '../../src/delivery-list/parse.ts';
import { serialiseJob } from '../../src/delivery-list/serialise.ts';

const PAGE = readFileSync(new URL('../../techdoc/delivery-list.md', import.meta.url), 'utf8');
const FENCES = [...PAGE.matchAll(/^```(\S+)(?: (.*))?\n([\s\S]*?)^```$/gm)];

function read(stored: string, fallback: string | undefined): Job {
  assert.ok(fallback === '2012' || fallback === '2017');
  const parsed = parseDeliveryList(stripHeader(stored).instructions, { dialect: 'detect', fallback });
  assert.ok(parsed.kind === 'list');
  assert.equal(parsed.job.dialect, fallback);
  return parsed.job;
}

let job: Job | null = null;

for (const [, kind, words = '', body = ''] of FENCES) {
  const line = PAGE.slice(0, PAGE.indexOf(body)).split('\n').length;
  if (kind === 'delivery-list') {
    job = read(body, words);
    continue;
  }
  const shown = job;
  test(`techdoc/delivery-list.md line ${line}: ${kind} ${words}`, () => {
    assert.ok(shown, 'an example without a list');
    if (kind === 'read') {
      const documented: Record<string, unknown> = JSON.parse(body);
      const keys = Object.keys(documented) as (keyof Job)[];
      assert.deepEqual(Object.fromEntries(keys.map((key) => [key, shown[key]])), documented);
    } else {
      assert.equal(kind, 'written', 'an unknown kind of example');
      const [dialect, now] = words.split(' ');
      assert.ok(dialect === '2012' || dialect === '2017');
      assert.equal(serialiseJob(shown, dialect, Number(now)), body);
    }
  });
}

test('techdoc/delivery-list.md has examples of both eras', () => {
  const lists = FENCES.filter(([, kind]) => kind === 'delivery-list').map(([, , era]) => era);
  assert.ok(lists.includes('2012') && lists.includes('2017'));
  assert.ok(FENCES.length >= 10);
});
