/**
 * `npm run deb [FOLDER]`: builds spoolroom_VERSION_all.deb with dpkg-deb. The same sources and the same SOURCE_DATE_EPOCH give the
 * same bytes; without one, the time of the last commit is taken, else that of package.json.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DebianPackage, debianPackage } from './files.ts';

export const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));

/** Unix seconds. */
export function sourceTime(environment: NodeJS.ProcessEnv): number {
  if (environment.SOURCE_DATE_EPOCH !== undefined) return Number(environment.SOURCE_DATE_EPOCH);
  try {
    const words = ['log', '-1', '--format=%ct'];
    return Number(execFileSync('git', words, { cwd: PROJECT, encoding: 'utf8', stdio: 'pipe' }));
  } catch {
    return Math.floor(statSync(join(PROJECT, 'package.json')).mtimeMs / 1000);
  }
}

/** Writes the package into a folder; returns its path. */
export function buildDebianPackage(folder: string, time: number): string {
  const made = debianPackage(PROJECT, time);
  const tree = mkdtempSync(join(tmpdir(), 'spoolroom-deb-'));
  try {
    writeTree(tree, made);
    const path = join(folder, `${made.name}_${made.version}_all.deb`);
    execFileSync('dpkg-deb', ['-Zxz', '--threads-max=1', '--root-owner-group', '--build', tree, path], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(time) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return path;
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function writeTree(tree: string, { control, files, links }: DebianPackage): void {
  chmodSync(tree, 0o755);
  const place = (path: string): string => {
    const placed = join(tree, path);
    let folder = tree;
    for (const name of dirname(path).split('/').filter(Boolean)) {
      folder = join(folder, name);
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o755);
    }
    return placed;
  };
  for (const { path, mode, content } of [
    ...files,
    ...control.map((each) => ({ ...each, path: `/DEBIAN/${each.path}` })),
  ]) {
    const placed = place(path);
    writeFileSync(placed, content);
    chmodSync(placed, mode);
  }
  for (const [path, target] of Object.entries(links)) symlinkSync(target, place(path));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(buildDebianPackage(process.argv[2] ?? '.', sourceTime(process.env)));
