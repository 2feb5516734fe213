/**
 * How tests start the command as a process of its own: the built bundle, which starts in a tenth of the time, as long as it is at
 * least as new as every source; otherwise the sources, so that nobody tests yesterday's code.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = path.join(ROOT, 'bin/spoolroom.cjs');

function newestSource(): number {
  const folder = path.join(ROOT, 'src');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Math.max(...names.map((name) => statSync(path.join(folder, name)).mtimeMs));
}

const built = statSync(BUNDLE, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Arguments of `node` before those of the command. */
export const PROGRAM: readonly string[] =
  built >= newestSource()
    ? [path.join(ROOT, 'bin/spoolroom')]
    : ['--import', 'tsx', path.join(ROOT, 'src/cli/shell/start.ts')];
