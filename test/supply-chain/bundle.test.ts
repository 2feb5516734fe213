/** What is shipped: the licences of everything in the bundle, the same bytes from each build, and a bill of materials. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/spool.ts';
import { bundledFolders, nameOf, packageFolder, ROOT, readLock, readProject } from './packages.ts';
import { billOfMaterials } from './sbom.ts';

const BUILD = ['esbuild.config.mjs', 'esbuild.parts.mjs'];
const PARTS = ['spoolroom.cjs', 'spoolroom.delivery.cjs', 'spoolroom.rest.cjs'];
const NOTICES = 'spoolroom.LICENSES.txt';
const lock = readLock();
const metafile = readProject('bin/spoolroom.meta.json');
const bundled = bundledFolders(lock, metafile);

test('the licence of every package in the bundle is shipped, whole', () => {
  const [, ...notices] = readFileSync(path.join(ROOT, 'bin', NOTICES), 'utf8').split(/\n-{80}\n/);
  const sections = notices.map((notice) => notice.trim().split('\n'));
  assert.deepEqual(
    sections.map(([title]) => title).sort(),
    bundled.map((folder) => `${nameOf(folder)} ${lock.packages[folder]?.version}`).sort(),
  );
  for (const [title, licence, , ...text] of sections) {
    assert.match(licence ?? '', /^Licence: (?:MIT|MIT-0|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0)$/, title);
    assert.match(text.join('\n'), /copyright|permission/i, title);
    assert.ok(text.join('\n').length > 400, `${title}: ${text.length} lines`);
  }
});

test('every package in the bundle is in the lockfile', () => {
  const folders = Object.keys(metafile.inputs).map(packageFolder);
  assert.deepEqual(
    [...new Set(folders)].filter((folder) => folder !== null && lock.packages[folder] === undefined),
    [],
  );
  assert.ok(bundled.length > 10, `${bundled.length} packages`);
});

test('two builds give the same bytes, wherever, when and by whom they are made (R294)', (t) => {
  const folders = [temporaryDirectory(t), temporaryDirectory(t)] as const;
  const elsewhere = temporaryDirectory(t);
  for (const name of ['src', 'package.json', 'tsconfig.json', 'package-lock.json', ...BUILD])
    cpSync(path.join(ROOT, name), path.join(elsewhere, name), { recursive: true });
  symlinkSync(realpathSync(path.join(ROOT, 'node_modules')), path.join(elsewhere, 'node_modules'));
  const build = (folder: string, cwd: string, more: NodeJS.ProcessEnv): void => {
    const env = { ...process.env, ...more };
    execFileSync(
      'sh',
      ['-c', `umask ${more.MASK}; exec "$0" esbuild.config.mjs "$1"`, process.execPath, folder],
      { cwd, env },
    );
  };
  build(folders[0], ROOT, { MASK: '022', TZ: 'UTC', LC_ALL: 'C' });
  build(folders[1], elsewhere, {
    MASK: '077',
    TZ: 'Pacific/Kiritimati',
    LC_ALL: 'tr_TR.UTF-8',
    NODE_ENV: 'development',
  });
  const packages = readdirSync(path.join(folders[0], 'packages')).map((file) => `packages/${file}`);
  assert.ok(packages.length > 10, packages.join(' '));
  for (const file of [...PARTS, NOTICES, ...packages]) {
    const [one, other] = folders.map((folder) => readFileSync(path.join(folder, file)));
    assert.ok(one !== undefined && other !== undefined && one.equals(other), file);
  }
});

test('the tarball holds the licences, and nothing that only the build needs', () => {
  const words = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const [packed] = JSON.parse(execFileSync('npm', words, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }));
  const files: readonly string[] = packed.files.map((file: { readonly path: string }) => file.path);
  for (const file of [
    `bin/${NOTICES}`,
    ...PARTS.map((part) => `bin/${part}`),
    'bin/packages/yargs.cjs',
    'LICENSE',
    'SECURITY.md',
    'CHANGELOG.md',
  ]) {
    assert.ok(files.includes(file), file);
  }
  assert.deepEqual(
    files.filter((file) => file.endsWith('.meta.json') || file.endsWith('.cdx.json')),
    [],
  );
});

test('the bill of materials names every package in the bundle by its package URL, version, licence and hash', () => {
  const bill = billOfMaterials(lock, bundled);
  assert.deepEqual(
    bill.components.map(({ name, version }) => `${name} ${version}`),
    bundled.map((folder) => `${nameOf(folder)} ${lock.packages[folder]?.version}`),
  );
  for (const { name, purl, hashes, licenses } of bill.components) {
    assert.match(purl, /^pkg:npm\/(?:%40[\w.-]+\/)?[\w.-]+@\d/, name);
    assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/, name);
    assert.equal(licenses.length, 1);
  }
  const references = bill.components.map((each) => each['bom-ref']);
  assert.equal(new Set(references).size, references.length);
});
