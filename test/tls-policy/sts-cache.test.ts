/** Policies on the disk: what is damaged, somebody else's, or not a folder counts as none and leads nowhere. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { diskStsCache, type KeptPolicy, MOST_POLICIES } from '../../src/tls-policy/sts-cache.ts';
import { temporaryDirectory } from '../support/spool.ts';

const KEPT: KeptPolicy = {
  policy: { id: '1', mode: 'enforce', mx: ['mx.a.example'], maxAge: 86_400 },
  fetched: 1_700_000_000,
  failed: null,
};

function bench(t: TestContext) {
  const layout = layoutOf(temporaryDirectory(t));
  fs.mkdirSync(layout.state);
  return { layout, parent: layout.state };
}

test('a symbolic link in the place of the folder leads nowhere (R244)', (t) => {
  const { layout, parent } = bench(t);
  const elsewhere = temporaryDirectory(t);
  fs.writeFileSync(`${elsewhere}/a.example`, JSON.stringify(KEPT));
  fs.symlinkSync(elsewhere, `${parent}/mta-sts`);
  const cache = diskStsCache(nodeDisk, layout);
  assert.equal(cache.read('a.example'), null);
  assert.deepEqual(cache.domains(), []);
  assert.throws(() => cache.write('b.example', KEPT), /mta-sts is not a folder/);
  assert.deepEqual(fs.readdirSync(elsewhere), ['a.example']);
});

for (const [what, bytes] of [
  ['no failure where one belongs', JSON.stringify({ ...KEPT, failed: {} })],
  ['a failure without a time', JSON.stringify({ ...KEPT, policy: null, failed: { reason: 'x' } })],
  ['a list', '[]'],
  ['half a file', JSON.stringify(KEPT).slice(0, 40)],
] as const)
  test(`a file that is damaged counts as none: ${what} (R244)`, (t) => {
    const { layout, parent } = bench(t);
    fs.mkdirSync(`${parent}/mta-sts`);
    fs.writeFileSync(`${parent}/mta-sts/a.example`, bytes);
    assert.equal(diskStsCache(nodeDisk, layout).read('a.example'), null);
  });

test('a file that cannot be removed, and a folder that cannot be listed, stop nothing (R244)', (t) => {
  const { layout, parent } = bench(t);
  fs.mkdirSync(`${parent}/mta-sts/a.example`, { recursive: true });
  diskStsCache(nodeDisk, layout).remove('a.example');
  const list = (): never => {
    throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
  };
  assert.deepEqual(diskStsCache({ ...nodeDisk, list }, layout).domains(), []);
});

test('a domain whose name looks like a file on its way keeps its policy (R278)', (t) => {
  const { layout } = bench(t);
  const cache = diskStsCache(nodeDisk, layout);
  cache.write('x.new', KEPT);
  cache.write('x', { ...KEPT, fetched: 5 });
  assert.equal(diskStsCache(nodeDisk, layout).read('x.new')?.fetched, KEPT.fetched);
  assert.equal(cache.read('x')?.fetched, 5);
  assert.deepEqual([...cache.domains()].sort(), ['x', 'x.new']);
});

test('a stranger with many domains neither fills the disk nor drives out the policies of others (R278)', (t) => {
  const { layout, parent } = bench(t);
  fs.mkdirSync(`${parent}/mta-sts`);
  for (let count = 1; count < MOST_POLICIES; count++)
    fs.writeFileSync(`${parent}/mta-sts/d${count}.example`, JSON.stringify(KEPT));
  const cache = diskStsCache(nodeDisk, layout);
  cache.write('last.example', KEPT);
  cache.write('beyond.example', KEPT);
  assert.equal(cache.domains().length, MOST_POLICIES);
  assert.ok(cache.domains().includes('last.example'));
  assert.equal(cache.read('beyond.example')?.fetched, KEPT.fetched, 'it holds in this process');
  assert.equal(diskStsCache(nodeDisk, layout).read('beyond.example'), null);
  cache.write('d1.example', { ...KEPT, fetched: 7 });
  assert.equal(cache.read('d1.example')?.fetched, 7, 'one that is there is renewed');
  cache.remove('d2.example');
  cache.write('beyond.example', KEPT);
  assert.ok(cache.domains().includes('beyond.example'));
});
