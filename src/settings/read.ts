/** Reads and checks settings from the values of the command line, the environment and the configuration file. */
import { didYouMean } from '../platform/suggest.ts';
import { type Contradiction, contradictions } from './contradictions.ts';
import { quotedValue, redactWords } from './redact.ts';
import type { Given, Setting, SettingName, Settings } from './table.ts';
import { FROM_COMMAND_LINE, GIVEN, SETTINGS } from './table.ts';

/** Where settings come from: command line, environment or configuration file. */
export interface Source {
  readonly given: { readonly [name: string]: unknown };
  /** whether it is the command line */
  readonly isCommandLine: boolean;
  /** the setting as written there: `--tls`, `SPOOLROOM_TLS`, `/etc/spoolroom/spoolroom.json: tls` */
  label(name: string): string;
}

export interface SettingProblem {
  readonly source: Source;
  /** a full sentence */
  readonly text: string;
}

export type SettingsRead =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/**
 * The first source that has a setting decides; a setting that none has takes its default. An unknown name is a problem in
 * every source, so that a typing error does not go unnoticed.
 */
export function readSources(sources: readonly Source[]): SettingsRead {
  const problems = sources.flatMap(unknownNames);
  const values: { [name: string | symbol]: unknown } = {};
  const fromCommandLine = new Set<string>();
  const given = new Map<string, Given>();
  for (const name of SETTING_NAMES) {
    const { kind, fallback }: Setting<unknown> = SETTINGS[name];
    const source = sourceOf(name, sources);
    if (source !== undefined) given.set(name, { from: source.label(name), raw: source.given[name] });
    if (source?.isCommandLine === true) fromCommandLine.add(name);
    const raw = source === undefined ? fallback : source.given[name];
    if (raw === null) {
      values[name] = null;
      continue;
    }
    const read = source === undefined || isDecoded(raw) ? kind.read(raw) : NOT_UTF8;
    if (read.ok) values[name] = read.value;
    else if (source === undefined) throw new Error(`the default of ${name} ${read.problem}`);
    else {
      const value = kind.secret === true ? 'its value' : quotedValue(raw);
      problems.push({ source, text: `${source.label(name)}: ${value} ${read.problem}.` });
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  const settings = Object.freeze({
    ...values,
    [FROM_COMMAND_LINE]: fromCommandLine,
    [GIVEN]: given,
  }) as unknown as Settings;
  const contradicting = contradictions(settings).flatMap((found) => contradictionProblem(found, sources));
  return contradicting.length > 0 ? { ok: false, problems: contradicting } : { ok: true, settings };
}

const NOT_UTF8 = { ok: false, problem: 'is not text in UTF-8' } as const;

/** Node puts U+FFFD in the place of bytes that are not UTF-8, in a password as well. */
function isDecoded(raw: unknown): boolean {
  return !JSON.stringify(raw).includes('\ufffd');
}

/** The one that decides; undefined: the setting takes its default. */
function sourceOf(name: SettingName, sources: readonly Source[]): Source | undefined {
  return sources.find(({ given }) => (given[name] ?? null) !== null);
}

function contradictionProblem(
  { name, other, says, otherSays }: Contradiction,
  sources: readonly Source[],
): SettingProblem[] {
  const source = sourceOf(name, sources);
  if (source === undefined) return [];
  const said = (each: SettingName, words: string | null): string => {
    const from = sourceOf(each, sources);
    if (from === undefined) return `${each} ${words ?? `is ${SETTINGS[each].fallback}`} by default`;
    return `${from.label(each)} ${words ?? `is ${from.given[each]}`}`;
  };
  return [{ source, text: `${said(name, says)}, but ${said(other, otherSays)}. Change one of them.` }];
}

/** Reads settings from one source. */
export function readSettings(given: Source['given']): SettingsRead {
  return readSources([commandLineSource(given)]);
}

const PREFIX = 'SPOOLROOM_';

function unknownNames(source: Source): SettingProblem[] {
  // As files and command lines name settings, and as the environment does.
  const known = (): string[] => SETTING_NAMES.flatMap((name) => [name, environmentName(name)]);
  return Object.keys(source.given)
    .filter((name) => !Object.hasOwn(SETTINGS, name))
    .map((name) => ({
      source,
      text: `${source.label(redactWords(name))}: unknown setting${didYouMean(name, known())}.`,
    }));
}

export function commandLineSource(given: Source['given']): Source {
  return { given, isCommandLine: true, label: (name) => `--${name}` };
}

/** `timeout.greeting` is `SPOOLROOM_TIMEOUT__GREETING` in the environment. */
export function environmentName(name: string): string {
  return PREFIX + name.replaceAll('.', '__').replaceAll('-', '_').toUpperCase();
}

/** Several values of one setting are separated by commas. An empty variable counts as absent. */
export function environmentSource(environment: { readonly [variable: string]: string | undefined }): Source {
  const given: { [name: string]: unknown } = {};
  for (const variable of Object.keys(environment).filter((each) => each.startsWith(PREFIX))) {
    const value = environment[variable];
    if (value === undefined || value === '') continue;
    const name = SETTING_NAMES.find((each) => environmentName(each) === variable);
    if (name === undefined) given[variable] = value;
    else given[name] = SETTINGS[name].kind.many ? value.split(/\s*,\s*/) : value;
  }
  return { given, isCommandLine: false, label: (name) => (name in SETTINGS ? environmentName(name) : name) };
}

/** A configuration file: one JSON object, in which `{"timeout": {"mail": "1m"}}` and `{"timeout.mail": "1m"}` are the same. */
export function fileSource(path: string, content: object): Source {
  return { given: flattened(content, ''), isCommandLine: false, label: (name) => `${path}: ${name}` };
}

function flattened(content: object, prefix: string): { [name: string]: unknown } {
  const flat: { [name: string]: unknown } = {};
  for (const [key, value] of Object.entries(content)) {
    const isValue = Object.hasOwn(SETTINGS, prefix + key) || Array.isArray(value);
    const nested = typeof value === 'object' && value !== null && !isValue;
    if (nested) Object.assign(flat, flattened(value, `${prefix}${key}.`));
    else flat[prefix + key] = value;
  }
  return flat;
}
