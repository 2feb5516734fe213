/** The glossary speaks of what is in src: each name in its third column is declared there, each path exists. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DECLARATION = /^export (?:abstract )?(?:async )?(?:class|interface|type|function|const) (\w+)/gm;

function declaredNames(): ReadonlySet<string> {
  const files = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const sources = files.map((file) => readFileSync(`${ROOT}src/${file}`, 'utf8'));
  return new Set(sources.flatMap((source) => [...source.matchAll(DECLARATION)].map(([, name = '']) => name)));
}

/** The backquoted words of the third column. */
function namesInSource(): readonly string[] {
  const page = readFileSync(`${ROOT}techdoc/glossary.md`, 'utf8').replaceAll('\\|', '');
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  return rows
    .map((row) => row.split('|')[3] ?? '')
    .flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
    .filter((name) => name !== 'src');
}

test('the glossary names what is in src', () => {
  const declared = declaredNames();
  const names = namesInSource();
  assert.ok(names.length > 40);
  assert.deepEqual(
    names.filter((name) => (name.includes('/') ? !existsSync(ROOT + name) : !declared.has(name))),
    [],
  );
});
