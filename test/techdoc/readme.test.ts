/** What the README says of the program: its screen, its commands, its exit codes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { EXIT } from '../../src/cli/shell/exit.ts';
import { README, readmeScreen, withScreen } from './screen.ts';

const readme = readFileSync(README, 'utf8');

test('the screen is what the program prints (rewrite it with: npm run techdoc)', async () => {
  assert.equal(withScreen(readme, await readmeScreen()), readme);
});

test('every command is listed, and no other', () => {
  const section = /\n## Commands\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  const listed = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(?:spoolroom )?([\w-]+)/g)]);
  assert.deepEqual(
    listed.map(([, name]) => name).sort(),
    COMMANDS.map(({ usage }) => usage.split(' ')[0]).sort(),
  );
});

test('every exit code is listed, and no other', () => {
  const codes = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  assert.deepEqual(
    codes,
    Object.values(EXIT).sort((a, b) => a - b),
  );
});
