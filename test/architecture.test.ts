/**
 * The house as a table: which folder may import from which, which read nothing of the outside world, and that no files
 * import each other in a circle. A row that is in the way of good code may be changed, with the reason in the commit.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** From the bottom up: a folder imports from itself and from those above its line, never from those below. */
const LAYERS = [
  'net-stream-utils',
  'platform',
  'settings',
  'delivery-list',
  'message',
  'routing',
  'storage',
  'smtp',
  'queue',
  'delivery',
  'dsn',
  'runner',
  'intake',
  'replay',
  'output',
  'cli',
];

/** No `node:*`, no packages (but what is loaded on demand), no clock, no chance, no environment. */
const PURE = [
  'settings',
  'delivery-list',
  'message',
  'routing',
  'smtp/machine',
  'smtp/capabilities.ts',
  'smtp/dot-stuffing.ts',
  'smtp/enhanced-code.ts',
  'smtp/outcome.ts',
  'smtp/reply.ts',
  'smtp/status-text.ts',
  'smtp/transaction.ts',
  'queue/due.ts',
  'queue/merge.ts',
  'queue/schedule.ts',
  'dsn/compose.ts',
  'dsn/notice.ts',
  'dsn/recipient.ts',
  'dsn/status-fields.ts',
  'dsn/suppression.ts',
  'dsn/text.ts',
  'delivery/machine.ts',
  'delivery/table.ts',
];

const TOP_LEVEL = ['.ci', 'bin', 'fixtures', 'src', 'techdoc', 'test'];

interface Import {
  readonly from: string;
  /** a file of ours, or what the package or module is called */
  readonly to: string;
  readonly typeOnly: boolean;
  /** `import(...)`: loaded when it is needed */
  readonly onDemand: boolean;
}

const IMPORT =
  /^(?:import|export)\s+(?<type>type\s)?(?:[^'";]*?\sfrom\s+)?'(?<name>[^']+)'|\bimport\((?<lazy>'[^']+')\)/gm;

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(path.join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [...text.matchAll(IMPORT)].map(({ groups = {} }) => {
    const name = groups.name ?? groups.lazy?.slice(1, -1) ?? '';
    const to = name.startsWith('.')
      ? path.posix.join(path.posix.dirname(file), name)
      : name.replace(/^#net-stream-utils$/, 'src/net-stream-utils/index.ts');
    return { from: file, to, typeOnly: groups.type !== undefined, onDemand: groups.lazy !== undefined };
  });
}

const FILES = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `src/${name.replaceAll(path.sep, '/')}`)
  .sort();
const IMPORTS = FILES.flatMap(importsOf);

function layerOf(file: string): string {
  return file.split('/')[1] ?? '';
}

function shown(bad: readonly Import[]): readonly string[] {
  return bad.map(({ from, to }) => `${from} imports ${to}`);
}

test('the imports were found', () => {
  assert.ok(FILES.length > 80 && IMPORTS.length > 300, `${FILES.length} files, ${IMPORTS.length} imports`);
  assert.ok(IMPORTS.some(({ typeOnly }) => typeOnly) && IMPORTS.some(({ onDemand }) => onDemand));
});

test('every folder of src has its place', () => {
  assert.deepEqual([...new Set(FILES.map(layerOf))].sort(), [...LAYERS].sort());
});

test('nothing is imported against the flow', () => {
  const against = IMPORTS.filter(
    ({ from, to }) => to.startsWith('src/') && LAYERS.indexOf(layerOf(to)) > LAYERS.indexOf(layerOf(from)),
  );
  assert.deepEqual(shown(against), []);
});

function isPure(file: string): boolean {
  return PURE.some((place) => file === `src/${place}` || file.startsWith(`src/${place}/`));
}

test('pure folders import nothing of the outside world', () => {
  const outside = IMPORTS.filter(
    ({ from, to, typeOnly, onDemand }) => isPure(from) && !to.startsWith('src/') && !typeOnly && !onDemand,
  );
  assert.deepEqual(shown(outside), []);
});

test('pure folders read no clock, no chance and no environment', () => {
  const asking =
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|\bprocess\.|\bsetTimeout\(/;
  assert.deepEqual(
    FILES.filter((file) => isPure(file) && asking.test(readFileSync(path.join(ROOT, file), 'utf8'))),
    [],
  );
});

test('no files import each other in a circle', () => {
  const direct = new Map(
    FILES.map((file) => [
      file,
      IMPORTS.filter(({ from, typeOnly, onDemand }) => from === file && !typeOnly && !onDemand).map(
        ({ to }) => to,
      ),
    ]),
  );
  const done = new Set<string>();
  const circle = (file: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const to of direct.get(file) ?? []) {
      const found = circle(to, [...way, file]);
      if (found !== null) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of FILES) assert.equal(circle(file, [])?.join(' -> '), undefined);
});

test('every file says what it is for', () => {
  const silent = FILES.filter((file) => !readFileSync(path.join(ROOT, file), 'utf8').startsWith('/**'));
  assert.deepEqual(silent, []);
});

test('no other top-level folders', () => {
  const folders = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !['.git', 'node_modules'].includes(entry.name))
    .map(({ name }) => name);
  assert.deepEqual(folders.sort(), TOP_LEVEL);
});
