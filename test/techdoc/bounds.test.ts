/** techdoc/bounds.md: every bound stands there with its value, and none is missing. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TECHDOC } from './tables.ts';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

/** They bound what is shown, how long something waits, or what this program itself makes. */
const OTHERS = [
  /^(?:output|web|packaging|metrics|replay\/world|cli|queue\/postgres)\//,
  /(?:TIMER|PAUSE|GAP|WAIT|ATTEMPTS|TAKEN|SCANS|PASSES|IN_ROUND|HOPS)$/,
  /^history\/search\.ts MOST_NUMBERS$/,
  /^runner\/alerts\.ts LONGEST_TEXT$/,
  /^runner\/suppression-list\.ts LONGEST_WHY$/,
  /^smtp\/sasl\.ts MAX_LINE$/,
  /^dkim\/dns-record\.ts LONGEST_STRING$/,
  /^delivery-list\/generate\.ts MAX_RECIPIENT$/,
  /^queue\/spool\/view\/spool-view\.ts MOST_CHANGED$/,
  /^queue\/citadel\/rival\/probe-store\.ts LONGEST$/,
  /^message\/(?:header-text|lines|sender|citadel-export|wire\/transfer-encoding)\.ts /,
  /^storage\/processes\.ts HIGHEST_PID$/,
  /^intake\/(?:flood-limit\.ts MOST_|listen-address\.ts MAX_PATH)/,
];

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const textOf = (file: string): string => readFileSync(join(SRC, file), 'utf8');

/** Products and powers of plain numbers. */
function numberOf(expression: string): number {
  const plain = expression.replaceAll('_', '').trim();
  assert.match(plain, /^[\d\s*<]+$/, `${expression} is no number`);
  const [base = '', shift] = plain.split('<<');
  const product = base.split(/(?<!\*)\*(?!\*)/).map((factor) => {
    const [number = '', power = '1'] = factor.split('**');
    return Number(number) ** Number(power);
  });
  return product.reduce((all, each) => all * each, 1) * 2 ** Number(shift ?? 0);
}

function constantIn(file: string, name: string): number {
  const [constant = '', field] = name.split('.');
  const text = textOf(file);
  const end = field === undefined ? '[^;]*' : '[^}]*\\}';
  const [, whole = ''] = new RegExp(`const ${constant}(?:: \\w+)? = (${end})`).exec(text) ?? [];
  assert.notEqual(whole, '', `${file} has no ${constant}`);
  if (field === undefined) return numberOf(whole);
  const [, value = ''] = new RegExp(`\\b${field}: (?:bound\\()?([\\d_]+)`).exec(whole) ?? [];
  return numberOf(value);
}

const rows = readFileSync(join(TECHDOC, 'bounds.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const [, what, atMost, file, name] =
      /^\| ([^|]+) \| [^|]+ \| ([^|]+) \| [^|]+ \| `([^`]+)` `([^`]+)` \|$/.exec(line) ?? [];
    return what && atMost && file && name ? [{ what, atMost, file, name }] : [];
  });

for (const { what, atMost, file, name } of rows)
  test(`the bound of ${what} (${name} of ${file}) is the one of the code`, () => {
    assert.equal(constantIn(file, name), Number(/^\d+/.exec(atMost)?.[0]));
  });

test('no bound is missing in techdoc/bounds.md', () => {
  assert.ok(rows.length > 50);
  const listed = new Set(rows.map(({ file, name }) => `${file} ${name.split('.')[0]}`));
  const missing = sources.flatMap((file) =>
    [
      ...textOf(file).matchAll(
        /^(?:export )?const ((?:LONGEST|LARGEST|MOST|MAX|HIGHEST)(?:_[A-Z_]+)?)(?:: \w+)? = [\d{(]/gm,
      ),
    ]
      .map(([, name]) => `${file} ${name}`)
      .filter((each) => !listed.has(each) && !OTHERS.some((other) => other.test(each))),
  );
  assert.deepEqual(missing, []);
});
