/** Files of scenarios: each scenario begins with a line `== name: what it shows`; text before the first is kept. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ScenarioFile {
  readonly name: string;
  readonly path: string;
  /** one character per byte */
  readonly text: string;
}

/** The files `*.txt` of a folder whose path ends in a slash, by name. */
export function scenarioFilesIn(folder: string): readonly ScenarioFile[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => ({ name, path: folder + name, text: readFileSync(folder + name, 'latin1') }));
}

/** The text with every scenario replaced by the result of `rerun`. */
export function mapScenarios(text: string, rerun: (scenario: string) => string): string {
  return text
    .split(/^(?=== )/m)
    .map((part) => (part.startsWith('==') ? rerun(part) : part))
    .join('');
}
