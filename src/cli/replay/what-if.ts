/** What a replay changes: settings (`--set`) and the simulated world (`--world`). */
import { escapeControl } from '../../output/text.ts';
import { didYouMean } from '../../platform/suggest.ts';
import type { WorldScript } from '../../replay/world/world.ts';
import { readWorld, WORLDS } from '../../replay/world/worlds.ts';
import { SETTING_NAMES } from '../../settings/read.ts';
import { redactWords } from '../../settings/redact.ts';
import type { Setting, Settings } from '../../settings/table.ts';
import { FROM_COMMAND_LINE, SETTINGS } from '../../settings/table.ts';
import type { CliError } from '../shell/command.ts';
import { allValues, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';
import { readBytes } from './source.ts';

/** `--set name=value` overrides all other sources of settings. */
export function withSets(settings: Settings, given: unknown): Settings | CliError {
  const changed: { [name: string]: unknown } = { ...settings };
  const fromCommandLine = new Set(settings[FROM_COMMAND_LINE]);
  for (const pair of allValues(given)) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
    if (!Object.hasOwn(SETTINGS, name)) {
      return cliError(
        `--set ${escapeControl(redactWords(pair))}: ${name === '' ? 'expected NAME=VALUE' : `unknown setting "${escapeControl(redactWords(name))}"${didYouMean(name, SETTING_NAMES)}`}.`,
        EXIT.usage,
      );
    }
    const { kind }: Setting<unknown> = SETTINGS[name as keyof typeof SETTINGS];
    const read = kind.read(value);
    if (!read.ok) return cliError(`--set ${name}: the value ${read.problem}.`, EXIT.usage);
    changed[name] = read.value;
    fromCommandLine.add(name);
  }
  return { ...(changed as Settings), [FROM_COMMAND_LINE]: fromCommandLine };
}

export function worldNamed(name: string): WorldScript | CliError {
  if (Object.hasOwn(WORLDS, name)) return WORLDS[name as keyof typeof WORLDS];
  const bytes = readBytes(name);
  if ('kind' in bytes) {
    return cliError(
      `Unknown world "${escapeControl(name)}"${didYouMean(name, Object.keys(WORLDS))}: not one of ${Object.keys(WORLDS).join(', ')}, and as a world file, ${bytes.text}`,
      bytes.exit,
    );
  }
  const read = readWorld(bytes.toString('utf8'));
  if (read.kind === 'world') return read.world;
  return cliError(`The world file ${name} cannot be used: ${read.reason}.`, EXIT.data);
}
