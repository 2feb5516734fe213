/** The register of regressions names a test for each number; every test it names is there and runs. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ROW = /^\| ([RC]\d+) \| ([^|]+) \| (.+) \|$/;

interface Entry {
  readonly number: string;
  readonly guards: readonly { readonly path: string; readonly name: string }[];
  /** why it cannot occur, when nothing guards it */
  readonly reason: string | null;
}

function entries(): readonly Entry[] {
  const lines = readFileSync(`${ROOT}techdoc/regressions.md`, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, number = '', , cell = ''] = ROW.exec(line) ?? [];
    if (number === '') return [];
    const guards = cell.split('<br>').flatMap((guard) => {
      const [, path, name] = /^`([^`]+)`: (.+)$/.exec(guard) ?? [];
      return path === undefined || name === undefined ? [] : [{ path, name: name.replaceAll('\\|', '|') }];
    });
    return [{ number, guards, reason: guards.length > 0 ? null : cell }];
  });
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Whether one of the tests of a file has this name. What stands in `${}` of a title may be anything. */
function hasTest(source: string, name: string): boolean {
  const calls = source.matchAll(/\b(?:test|it|describe)\(\s*(?:'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)/g);
  return [...calls].some(([, plain, template = '']) => {
    if (plain !== undefined) return plain.replaceAll("\\'", "'") === name;
    const parts = template.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/);
    const says = parts.join('').length > 8;
    return template === name || (says && new RegExp(`^${parts.map(escaped).join('.+')}$`).test(name));
  });
}

function names({ path, name }: { readonly path: string; readonly name: string }): boolean {
  const source = readFileSync(ROOT + path, 'utf8');
  if (path.startsWith('fixtures/')) return source.includes(`\n== ${name}`) || source.startsWith(`== ${name}`);
  return hasTest(source, name);
}

describe('techdoc/regressions.md', () => {
  it('has every number once, in order', () => {
    const numbers = entries().map(({ number }) => number);
    const fixed = numbers.filter((number) => number.startsWith('R'));
    const read = Array.from({ length: 40 }, (_, index) => `C${String(index + 1).padStart(2, '0')}`);
    assert.deepEqual(numbers, [...[...new Set(fixed)].sort(), ...read]);
    const first = Array.from({ length: 107 }, (_, index) => `R${String(index + 1).padStart(3, '0')}`);
    assert.deepEqual(fixed.slice(0, first.length), first);
  });

  for (const { number, guards, reason } of entries()) {
    it(`${number} ${reason ?? `is guarded by ${guards.map(({ name }) => name).join('; ')}`}`, () => {
      if (reason !== null) assert.match(reason, /^cannot occur: ./);
      for (const guard of guards) {
        assert.ok(existsSync(ROOT + guard.path), guard.path);
        assert.match(guard.path, /\.test\.ts$|^fixtures\/(session|delivery)\/.*\.txt$/);
        assert.ok(names(guard), `${guard.path} has no test "${guard.name}"`);
      }
    });
  }

  it('names no file in which tests are left out', () => {
    for (const path of new Set(entries().flatMap(({ guards }) => guards.map((guard) => guard.path))))
      assert.doesNotMatch(
        readFileSync(ROOT + path, 'utf8'),
        /\b(?:test|it|describe)\.(?:skip|only|todo)\b/,
        path,
      );
  });
});
