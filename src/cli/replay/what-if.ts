/** What a replay is asked to have different: settings, the world. */

import { escapeControl } from '../../output/text.ts';
import type { WorldScript } from '../../replay/world/world.ts';
import { readWorld, WORLDS } from '../../replay/world/worlds.ts';
import type { Setting, Settings } from '../../settings/table.ts';
import { FROM_COMMAND_LINE, SETTINGS } from '../../settings/table.ts';
import type { CliError } from '../setup/load-config.ts';
import { cliError } from '../setup/load-config.ts';
import { EXIT } from '../shell/exit.ts';
import { readBytes } from './source.ts';

/** `--set name=value`, over whatever else the settings say. */
export function withSets(settings: Settings, given: unknown): Settings | CliError {
  const changed: { [name: string]: unknown } = { ...settings };
  const typed = new Set(settings[FROM_COMMAND_LINE]);
  for (const pair of Array.isArray(given) ? given : given === undefined ? [] : [given]) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(String(pair)) ?? [];
    if (!Object.hasOwn(SETTINGS, name)) {
      return cliError(
        `--set ${escapeControl(String(pair))}: write NAME=VALUE with the name of a setting.`,
        EXIT.usage,
      );
    }
    const { kind }: Setting<unknown> = SETTINGS[name as keyof typeof SETTINGS];
    const read = kind.read(value);
    if (!read.ok) return cliError(`--set ${name}: the value ${read.problem}.`, EXIT.usage);
    changed[name] = read.value;
    typed.add(name);
  }
  return { ...(changed as Settings), [FROM_COMMAND_LINE]: typed };
}

export function worldNamed(name: string): WorldScript | CliError {
  if (Object.hasOwn(WORLDS, name)) return WORLDS[name as keyof typeof WORLDS];
  const bytes = readBytes(name);
  if ('kind' in bytes) {
    return cliError(
      `No world is called ${name} (there are ${Object.keys(WORLDS).join(', ')}), and ${bytes.text}`,
      bytes.exit,
    );
  }
  const read = readWorld(bytes.toString('utf8'));
  if (read.kind === 'world') return read.world;
  return cliError(`The world file ${name} cannot be used: ${read.reason}.`, EXIT.data);
}
