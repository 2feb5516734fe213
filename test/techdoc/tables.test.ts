import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { DOCUMENTS, refreshed, TECHDOC } from './tables.ts';

describe('tables in techdoc/', () => {
  for (const file of Object.keys(DOCUMENTS)) {
    it(`${file} says what the code does (rewrite it with: npm run techdoc)`, async () => {
      const text = readFileSync(TECHDOC + file, 'utf8');
      assert.equal(await refreshed(file, text), text);
    });
  }
});
