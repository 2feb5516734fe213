/** The settings of a call: from the command line, else the environment, else the configuration file, else the defaults. */
import { existsSync } from 'node:fs';
import { escapeControl } from '../../output/text.ts';
import { describeError, errorCode } from '../../platform/system-errors.ts';
import { readTextFile } from '../../platform/text-file.ts';
import type { SettingProblem, Source } from '../../settings/read.ts';
import {
  commandLineSource,
  environmentName,
  environmentSource,
  fileSource,
  readSources,
} from '../../settings/read.ts';
import { repeatedKey } from '../../settings/repeated-key.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError, CommandEntry } from './command.ts';
import { cliError } from './command.ts';
import type { Parsed } from './command-line.ts';
import { EXIT } from './exit.ts';

/** @param usualConfig the configuration file where none is named and it exists; null: there is no such file */
export function settingsFor(
  entry: CommandEntry,
  parsed: Parsed,
  environment: NodeJS.ProcessEnv,
  usualConfig: string | null = null,
): Settings | CliError {
  const words = commandLineSource(Object.fromEntries(entry.settings.map((name) => [name, parsed[name]])));
  const sources = [words, environmentSource(environment)];
  const named = parsed.config ?? environment[environmentName('config')];
  const path = named ?? (usualConfig !== null && existsSync(usualConfig) ? usualConfig : '');
  if (typeof path === 'string' && path !== '') {
    const file = configurationFile(path);
    if (typeof file === 'string') return cliError(file, EXIT.config);
    sources.push(file);
  }
  const read = readSources(sources);
  return read.ok ? read.settings : settingsError(read.problems, words);
}

function settingsError(problems: readonly SettingProblem[], words: Source): CliError {
  const exit = problems.some(({ source }) => source !== words) ? EXIT.config : EXIT.usage;
  return cliError(problems.map(({ text }) => text).join('\n'), exit);
}

/** A sentence when it cannot be used. The parser's message is not shown: it quotes the file, which may hold a password. */
function configurationFile(path: string): Source | string {
  let text = '';
  try {
    text = readTextFile(path);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return `The configuration file ${path} must hold one JSON object of settings.`;
    const repeated = repeatedKey(text);
    if (repeated === null) return fileSource(path, value);
    return `The configuration file ${path} has ${escapeControl(repeated)} twice, and only one of them would count. Take one out; several values stand in one list.`;
  } catch (error) {
    const isJson = error instanceof SyntaxError;
    if (!isJson && errorCode(error) === null) throw error;
    const why = isJson ? `invalid JSON at ${placeOfError(text)}` : describeError(error);
    return `The configuration file ${path} cannot be used: ${why}.`;
  }
}

/** The first line with which the text can no longer become JSON; the last one where only the end is missing. */
function placeOfError(text: string): string {
  const lines = text.trimEnd().split('\n');
  for (let count = 1; count <= lines.length; count++) {
    const begun = lines.slice(0, count).join('\n');
    try {
      JSON.parse(begun);
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      const position = Number(/position (\d+)/.exec(message)?.[1] ?? Number.NaN);
      if (/end of JSON|Unterminated/.test(message) || position >= begun.length) continue;
      if (Number.isNaN(position)) return `line ${count}`;
      const before = begun.slice(0, position);
      const hint = /,\s*$/.test(before) && /^[}\]]/.test(begun.slice(position)) ? ' (trailing comma?)' : '';
      return `line ${before.split('\n').length}${hint}`;
    }
  }
  return `line ${lines.length}`;
}
