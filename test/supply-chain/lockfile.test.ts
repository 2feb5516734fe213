/** The lockfile: every package is pinned by its hash and comes from the registry, and it is in step with package.json. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type LockEntry, nameOf, ROOT, readLock, readProject } from './packages.ts';

/** Packages that may run a script when they are installed. */
const INSTALL_SCRIPTS = ['esbuild', 'fsevents'];

const lock = readLock();
const installed = Object.entries(lock.packages).filter(([folder]) => folder !== '');

/** What is wrong with an entry; null when nothing is. */
function fault(folder: string, entry: LockEntry): string | null {
  const name = nameOf(folder);
  if (entry.link === true || entry.inBundle === true) return 'does not come from the registry';
  // An alias: a folder that holds another package than its name says.
  if (entry.name !== undefined && entry.name !== name) return `is really ${entry.name}`;
  const tarball = `https://registry.npmjs.org/${name}/-/${name.replace(/^@[^/]+\//, '')}-${entry.version}.tgz`;
  // npm leaves the address out when it is told to; then it is the registry's for this name and version.
  if (entry.resolved !== undefined && entry.resolved !== tarball) return `comes from ${entry.resolved}`;
  if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(entry.version ?? '')) return `has the version ${entry.version}`;
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? '')) return 'has no SHA-512 hash';
  if (entry.hasInstallScript === true && !INSTALL_SCRIPTS.includes(name)) return 'runs a script at install';
  if (entry.license === undefined) return 'names no licence';
  return null;
}

test('every locked package comes from the registry, with a hash', () => {
  assert.ok(installed.length > 50, `${installed.length} packages`);
  const faults = installed.flatMap(([folder, entry]) => {
    const found = fault(folder, entry);
    return found === null ? [] : [`${folder} ${found}`];
  });
  assert.deepEqual(faults, []);
});

test('what does not come from the registry is found', () => {
  const good = { version: '1.2.3', license: 'MIT', integrity: `sha512-${'A'.repeat(86)}==` };
  const folder = 'node_modules/@a/b';
  assert.equal(fault(folder, good), null);
  assert.equal(fault(folder, { ...good, resolved: 'https://registry.npmjs.org/@a/b/-/b-1.2.3.tgz' }), null);
  const bad: readonly LockEntry[] = [
    { ...good, resolved: 'git+ssh://git@github.com/a/b.git#0123456' },
    { ...good, resolved: 'http://registry.npmjs.org/@a/b/-/b-1.2.3.tgz' },
    { ...good, resolved: 'https://registry.npmjs.org/c/-/c-1.2.3.tgz' },
    { ...good, resolved: 'file:../b' },
    { ...good, name: 'c' },
    { ...good, link: true },
    { ...good, integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' },
    { ...good, version: 'git+https://example.org/b' },
    { ...good, hasInstallScript: true },
    { version: '1.2.3', license: 'MIT' },
  ];
  for (const entry of bad) assert.notEqual(fault(folder, entry), null, JSON.stringify(entry));
});

test('the lockfile is in step with package.json', () => {
  const project = readProject('package.json');
  const locked = lock.packages[''];
  assert.equal(lock.lockfileVersion, 3);
  for (const field of ['name', 'version', 'license', 'engines', 'bin', 'dependencies', 'devDependencies']) {
    assert.deepEqual(Reflect.get(locked ?? {}, field), project[field], field);
  }
});

test('the project names no package by an address, and no registry of its own', () => {
  const { dependencies = {}, devDependencies = {} } = readProject('package.json');
  const wanted: readonly (readonly [string, unknown])[] = Object.entries({
    ...dependencies,
    ...devDependencies,
  });
  assert.deepEqual(
    wanted.filter(([, range]) => !/^[~^]?\d+\.\d+\.\d+$/.test(String(range))),
    [],
  );
  assert.doesNotMatch(readFileSync(`${ROOT}/.npmrc`, 'utf8'), /registry/);
});
