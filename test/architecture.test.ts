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
  'tls-policy',
  'dkim',
  'smtp',
  'queue',
  'delivery',
  'dsn',
  'runner',
  'tls-report',
  'intake',
  'history',
  'replay',
  'output',
  'metrics',
  'web',
  'cli',
  'packaging',
];

/** No `node:*` but bytes, no packages (but what is loaded on demand), no clock, no chance, no environment. */
const PURE = [
  'settings',
  'delivery-list',
  'message',
  'routing',
  'tls-policy/decision.ts',
  'tls-policy/sts-policy.ts',
  'tls-policy/tlsa.ts',
  'tls-report/tally.ts',
  'metrics/queue-state.ts',
  'metrics/table.ts',
  'metrics/values.ts',
  'dkim/canonical.ts',
  'dkim/signature.ts',
  'dkim/tables.ts',
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
  'intake/receiver',
  'intake/received-header.ts',
  'intake/reply.ts',
  'dsn/compose.ts',
  'dsn/notice.ts',
  'dsn/recipient.ts',
  'dsn/status-fields.ts',
  'dsn/suppression.ts',
  'dsn/text.ts',
  'delivery/machine.ts',
  'delivery/table.ts',
  'delivery/throttling',
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

test('techdoc/architecture.md shows the folders in this order', () => {
  const page = readFileSync(path.join(ROOT, 'techdoc/architecture.md'), 'utf8');
  assert.deepEqual(
    [...page.matchAll(/^\| `([\w-]+)\/` \|/gm)].map(([, folder]) => folder),
    LAYERS,
  );
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

/** What is not ours and does nothing but calculate. */
const CALCULATING = new Set(['node:buffer', 'iconv-lite']);

test('pure folders import nothing of the outside world', () => {
  const outside = IMPORTS.filter(
    ({ from, to, typeOnly, onDemand }) =>
      isPure(from) && !to.startsWith('src/') && !CALCULATING.has(to) && !typeOnly && !onDemand,
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

/** A folder with more files than this has parts that want a folder of their own. */
const MOST_FILES = 14;

test('no folder holds more files than a reader can survey', () => {
  const counts = new Map<string, number>();
  for (const file of FILES) {
    const folder = path.posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts].filter(([, count]) => count > MOST_FILES),
    [],
  );
});

/**
 * Who may know how a spool directory is made: the files that open one, the commands that look into one, and what moves the jobs of one
 * elsewhere. Everything else works with a Queue (queue/queue.ts) and serves all kinds.
 */
const SPOOL_OPENERS = ['cli/', 'queue/moving/'];

test('the spool directory is known to those who open it only', () => {
  const inside = 'src/queue/spool/';
  const outside = IMPORTS.filter(
    ({ from, to }) =>
      to.startsWith(inside) &&
      !from.startsWith(inside) &&
      !SPOOL_OPENERS.some((place) => from.startsWith(`src/${place}`)),
  );
  assert.deepEqual(shown(outside), []);
});

interface Hop {
  /** a file of src/ */
  readonly file: string;
  /** `name` or `Class.name` */
  readonly function: string;
}

const WALK = /<!-- walk -->\n(?<table>[\s\S]*?)<!-- \/walk -->/;

/** The rows of the table `| hop | file | function | ... |`; null while the page has no such table. */
function hopsOf(page: string): readonly Hop[] | null {
  const rows =
    WALK.exec(page)
      ?.groups?.table?.split('\n')
      .filter((line) => line.startsWith('|')) ?? [];
  if (rows.length === 0) return null;
  return rows.slice(2).map((row) => {
    const [, , file = '', name = ''] = row.split('|').map((cell) => cell.replaceAll('`', '').trim());
    return { file: file.replace(/^src\//, ''), function: name.replace(/\(.*$/, '') };
  });
}

const escaped = (name: string): string => name.replace(/[$#]/g, '\\$&');

/** Whether a file defines the function, or the class and in it the method. */
function isDefined(source: string, name: string): boolean {
  const [owner, method] = name.split('.');
  const one = (pattern: string): boolean => new RegExp(pattern, 'm').test(source);
  const exported = '^(?:export )?';
  if (method !== undefined) {
    const body = source.slice(source.search(new RegExp(`${exported}(?:abstract )?class ${owner}\\b`, 'm')));
    const end = body.search(/^}/m);
    const members = new RegExp(
      `^  (?:(?:static|override|async|get) )*\\*?${escaped(method)}(?:<[^>]*>)?\\(`,
      'm',
    );
    return one(`${exported}(?:abstract )?class ${owner}\\b`) && members.test(body.slice(0, end));
  }
  const functionName = escaped(owner ?? '');
  return (
    one(`${exported}(?:async )?function\\*? ${functionName}\\b`) ||
    one(`${exported}const ${functionName}\\b.*=`) ||
    one(`${exported}class ${functionName}\\b`)
  );
}

const HOPS = hopsOf(readFileSync(path.join(ROOT, 'techdoc/architecture.md'), 'utf8'));

test('the walk of one message names functions that exist', {
  skip: HOPS === null && 'not written yet',
}, () => {
  const hops = HOPS ?? [];
  assert.ok(hops.length > 0 && hops.length <= 20, `${hops.length} hops`);
  const files = new Set(hops.map(({ file }) => file));
  assert.ok(files.size <= 15, `${files.size} files`);
  const missing = hops.filter((hop) => {
    const file = `src/${hop.file}`;
    return !FILES.includes(file) || !isDefined(readFileSync(path.join(ROOT, file), 'utf8'), hop.function);
  });
  assert.deepEqual(missing, []);
});

test('a walk is read as it is written, and a name that is gone is found', () => {
  const page = [
    '<!-- walk -->',
    '| hop | file | function | what |',
    '|---|---|---|---|',
    '| 1 | `src/a/b.ts` | `Queue.record()` | writes |',
    '| 2 | a/c.ts | scan | reads |',
    '<!-- /walk -->',
  ].join('\n');
  assert.deepEqual(hopsOf(page), [
    { file: 'a/b.ts', function: 'Queue.record' },
    { file: 'a/c.ts', function: 'scan' },
  ]);
  assert.equal(hopsOf('<!-- walk -->\n<!-- /walk -->'), null);
  const source =
    'export class Queue {\n  async record(a: 1) {}\n  #keep(): void {}\n}\nclass Other {\n  scan() {}\n}\nexport async function look() {}\n';
  for (const name of ['Queue.record', 'Queue.#keep', 'look', 'Other.scan', 'Queue'])
    assert.ok(isDefined(source, name), name);
  for (const name of ['Queue.scan', 'Other.record', 'record', 'loo', 'Gone.scan'])
    assert.ok(!isDefined(source, name), name);
});
