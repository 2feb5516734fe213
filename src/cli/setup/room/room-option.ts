/** `--room`: another way to give the setting that says where the queue is. */
import { FROM_COMMAND_LINE, type SettingName, type Settings } from '../../../settings/table.ts';
import type { CliError } from '../../shell/command.ts';
import { cliError } from '../../shell/command.ts';
import { EXIT } from '../../shell/exit.ts';

const usage = (text: string): CliError => cliError(text, EXIT.usage);

/** `--room citadel:WHERE` is the setting `citadel`, `--room postgres://...` the setting `postgres`. */
export function applyRoomOption(settings: Settings, room: unknown): Settings | CliError {
  if (typeof room !== 'string') return settings;
  if (/^postgres(?:ql)?:\/\//.test(room)) {
    if (settings.postgres !== null && settings.postgres !== room)
      return usage('Two databases given, with --room and the setting postgres. Leave one out.');
    return withSetting(settings, 'postgres', room);
  }
  const where = room.startsWith('citadel:') ? room.slice('citadel:'.length) : '';
  if (where === '')
    return usage(
      `--room takes citadel:/path/citadel.socket, citadel:ADDRESS:PORT or postgres://HOST/DATABASE, not "${room}". For a spool use --spool.`,
    );
  if (settings.citadel !== null && settings.citadel !== where)
    return usage(`Two Citadel servers given: ${settings.citadel} and, with --room, ${where}. Leave one out.`);
  if (settings.state === null)
    return usage(`No state directory given for the queue at ${where}. Name it with --state DIR.`);
  return withSetting(settings, 'citadel', where);
}

function withSetting(settings: Settings, name: SettingName, value: string): Settings {
  const given = new Set([...settings[FROM_COMMAND_LINE], name]);
  return { ...settings, [name]: value, [FROM_COMMAND_LINE]: given };
}
