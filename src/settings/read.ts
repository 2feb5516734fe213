/**
 * From given values to checked settings. Called by the commands with what yargs gathered from the command line, the
 * environment and the configuration file; touches neither of them itself.
 */
import type { Setting, SettingName, Settings } from './table.ts';
import { SETTINGS } from './table.ts';

export interface SettingProblem {
  readonly name: string;
  /** completes "NAME ..." */
  readonly problem: string;
}

export type SettingsRead =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** Values that are undefined take their default. Unknown names are problems, so that a typing error is not silence. */
export function readSettings(given: { readonly [name: string]: unknown }): SettingsRead {
  const problems: SettingProblem[] = Object.keys(given)
    .filter((name) => !Object.hasOwn(SETTINGS, name))
    .map((name) => ({ name, problem: 'is no setting' }));
  const values: { [name: string]: unknown } = {};
  for (const name of SETTING_NAMES) {
    const { kind, fallback }: Setting<unknown> = SETTINGS[name];
    const raw = given[name] ?? fallback;
    if (raw === null) {
      values[name] = null;
      continue;
    }
    const read = kind.read(raw);
    if (read.ok) values[name] = read.value;
    else problems.push({ name, problem: `${shown(raw)} ${read.problem}` });
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, settings: Object.freeze(values) as unknown as Settings };
}

/** Relays carry passwords: they are never shown back. */
function shown(raw: unknown): string {
  const value = JSON.stringify(raw);
  return value.includes('@') ? '(its value)' : value;
}

/** `timeout.greeting` is `SPOOLROOM_TIMEOUT__GREETING` in the environment. */
export function environmentName(name: string): string {
  return `SPOOLROOM_${name.replaceAll('.', '__').replaceAll('-', '_').toUpperCase()}`;
}
