/** What techdoc/smtpclient.md points to is there: files, and rows of the two tables. Each row has its place in the story. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DELIVERY_TABLE } from '../../src/delivery/table.ts';
import { SESSION_TABLE } from '../../src/smtp/machine/table.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = readFileSync(`${ROOT}techdoc/smtpclient.md`, 'utf8');

function found(pattern: RegExp): readonly string[] {
  return [...new Set([...PAGE.matchAll(pattern)].map(([, name = '']) => name))].sort();
}

describe('techdoc/smtpclient.md', () => {
  it('names files that exist', () => {
    const files = [
      ...found(/`(src\/[^`]+)`/g),
      ...found(/\]\(([^)]+\.md)\)/g).map((page) => `techdoc/${page}`),
    ];
    assert.ok(files.length > 20);
    for (const file of files) assert.ok(existsSync(ROOT + file), file);
  });

  it('tells of every row of the session, and of no other', () => {
    assert.deepEqual(found(/`session:([\w-]+)`/g), SESSION_TABLE.map(({ id }) => id).sort());
  });

  it('tells of every row of the delivery, and of no other', () => {
    assert.deepEqual(found(/`delivery:([\w-]+)`/g), DELIVERY_TABLE.map(({ id }) => id).sort());
  });
});
