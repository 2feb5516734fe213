/** World files: what is accepted, what is refused and where, and that the page about them tells the truth. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readWorld, WORLDS } from '../../src/replay/world/worlds.ts';
import { worldFile } from './recording.ts';

const PAGE = readFileSync(new URL('../../techdoc/worlds.md', import.meta.url), 'utf8');

test('the world files among the fixtures are accepted, the named worlds have their form', () => {
  const files = readdirSync(new URL('../../fixtures/worlds/', import.meta.url));
  assert.ok(files.length > 0);
  for (const file of files) worldFile(file.replace(/\.json$/, ''));
  for (const world of Object.values(WORLDS)) assert.equal(readWorld(JSON.stringify(world)).kind, 'world');
});

test('the page about worlds shows the file it names, and every named world', () => {
  const example = /```json\n(.*?)```/s.exec(PAGE)?.[1] ?? '';
  assert.deepEqual(JSON.parse(example), worldFile('two-hosts'));
  for (const name of Object.keys(WORLDS)) assert.ok(PAGE.includes(`| \`${name}\` |`), name);
});

for (const [text, reason] of [
  ['{', 'invalid JSON'],
  ['[]', 'the file must be an object'],
  ['{"names":{}}', 'the file has no "servers"'],
  ['{"names":{"a":{"mx":[]}},"servers":{}}', 'names.a.mx must be a non-empty list'],
  ['{"names":{"a":{"mx":[["10","b"]]}},"servers":{}}', 'names.a.mx[0] must be [preference, "host"]'],
  ['{"names":{"a":{"a":"lost"}},"servers":{}}', 'names.a.a must be one of no-domain'],
  ['{"names":{"a":{"after":"soon"}},"servers":{}}', 'names.a.after must be a span of time'],
  ['{"names":{},"servers":{"*":{"dot":"hello"}}}', 'servers.*.dot must be a reply'],
  ['{"names":{},"servers":{"*":{"dot":"250 ok\\r\\n250 ok"}}}', 'servers.*.dot must be a reply'],
  [
    '{"names":{},"servers":{"*":{"dot":["250 ok",{"end":"unrecorded"}]}}}',
    'servers.*.dot[1].end must be one of',
  ],
  ['{"names":{},"servers":{"*":{"hello":"250"}}}', 'servers.*.hello is not a known key'],
  ['{"names":{},"servers":{},"latency":-1}', 'latency must be a number of milliseconds'],
] as const) {
  test(`refused: ${text}`, () => {
    const read = readWorld(text);
    assert.ok(read.kind === 'unusable' && read.reason.startsWith(reason), JSON.stringify(read));
  });
}
