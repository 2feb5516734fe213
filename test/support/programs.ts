/** Programs of the system that some tests need: a test without one is skipped, and says so. */
import { spawnSync } from 'node:child_process';

export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** For the options of a test. */
export function needs(...names: readonly string[]): { readonly skip: string | false } {
  const missing = names.filter((name) => !hasProgram(name));
  return { skip: missing.length > 0 && `${missing.join(' and ')} not installed` };
}
