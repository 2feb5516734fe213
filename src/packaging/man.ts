/** The manual pages, made from the tables of commands, settings and destinations. Pure. */
import type { CommandEntry } from '../cli/shell/command.ts';
import { commandName } from '../cli/shell/command-line.ts';
import { PURPOSE } from '../cli/shell/help.ts';
import { DESTINATION_CONDITION_FIELDS, DESTINATION_VALUE_FIELDS } from '../settings/destinations.ts';
import { SETTING_NAMES } from '../settings/read.ts';
import { SETTINGS, type Setting, type SettingName } from '../settings/table.ts';
import { FILES, PLACES } from './places.ts';

export interface ManualFacts {
  readonly version: string;
  /** `2026-11-28` */
  readonly date: string;
  readonly commands: readonly CommandEntry[];
  /** code and meaning, as the README has them */
  readonly exitCodes: readonly (readonly [string, string])[];
  /** text of an example of the configuration file */
  readonly example: string;
}

/** Text as roff prints it: `code` becomes bold. */
function prose(text: string): string {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
  return plain.replace(/`([^`]+)`/g, '\\fB$1\\fR').replace(/^([.'])/gm, '\\&$1');
}

function bold(text: string): string {
  return `\\fB${prose(text)}\\fR`;
}

function item(head: string, text: string): string {
  return `.TP\n${head}\n${prose(text)}`;
}

function head(name: string, section: number, about: string, facts: ManualFacts): string {
  const title = `.TH ${name.toUpperCase()} ${section} "${facts.date}" "spoolroom ${facts.version}"`;
  return `.\\" Made by npm run deb from the program's own tables.\n${title}\n.SH NAME\n${name} \\- ${about}`;
}

function files(): string {
  return ['.SH FILES', ...FILES.map(([path, what]) => item(`\\fI${prose(path)}\\fR`, what))].join('\n');
}

function exitStatus({ exitCodes }: ManualFacts): string {
  return ['.SH EXIT STATUS', ...exitCodes.map(([code, meaning]) => item(bold(code), meaning))].join('\n');
}

/** spoolroom(1) */
export function commandPage(facts: ManualFacts): string {
  return `${[
    head('spoolroom', 1, 'outbound mail queue for Citadel sites', facts),
    `.SH SYNOPSIS\n${bold('spoolroom')} \\fICOMMAND\\fR [\\fIOPTION\\fR]...`,
    `.SH DESCRIPTION\n${PURPOSE}`,
    'Options may be written before or after the command, as \\fB\\-\\-name value\\fR or \\fB\\-\\-name=value\\fR.',
    `Each setting of ${bold('spoolroom.json')}(5) is an option of the commands that it concerns:`,
    `${bold('spoolroom')} \\fICOMMAND\\fR \\fB\\-\\-help\\fR lists them.`,
    '.SH COMMANDS',
    ...facts.commands.map(commandSection),
    '.SH ENVIRONMENT',
    item(bold('SPOOLROOM_CONFIG'), `the configuration file; default: ${PLACES.config} where it exists`),
    item(
      `\\fBSPOOLROOM_\\fR\\fINAME\\fR`,
      'any other setting: capitals, - becomes _, . becomes __, several values with commas',
    ),
    files(),
    exitStatus(facts),
    `.SH SEE ALSO\n${bold('spoolroom.json')}(5), ${bold('spoolroom-sendmail')}(8)`,
  ].join('\n')}\n`;
}

function commandSection(entry: CommandEntry): string {
  const options = Object.entries(entry.options ?? {}).filter(([name]) => name.length > 1 || !entry.sendmail);
  const sendmail =
    entry.sendmail === true ? [`.PP\nIt also takes the options of ${bold('spoolroom-sendmail')}(8).`] : [];
  return [
    `.SS "spoolroom ${prose(entry.usage)}"`,
    prose(capital(entry.about)),
    ...sendmail,
    ...options.map(([name, { type, describe }]) =>
      item(`\\fB\\-\\-${prose(name)}\\fR${type === 'string' ? ' \\fIVALUE\\fR' : ''}`, describe),
    ),
    `.PP\nSettings: ${prose(settingsOf(entry))}.`,
  ].join('\n');
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** `all`, `all but intake.listen, ...`, or the list. Groups like `log.*` are named as such. */
function settingsOf({ settings, unused = [] }: CommandEntry): string {
  const used = settings.filter((name) => !unused.includes(name));
  const missing = SETTING_NAMES.filter((name) => !used.includes(name));
  if (missing.length === 0) return 'all';
  return missing.length < used.length ? `all but ${grouped(missing)}` : grouped(used);
}

function grouped(names: readonly SettingName[]): string {
  const words = names.map((name) => {
    const group = `${name.split('.')[0]}.`;
    const all = SETTING_NAMES.filter((each) => each.startsWith(group));
    return all.length > 1 && all.every((each) => names.includes(each)) ? `${group}*` : name;
  });
  return [...new Set(words)].join(', ');
}

/** spoolroom.json(5) */
export function settingsPage(facts: ManualFacts): string {
  return `${[
    head('spoolroom.json', 5, 'settings of spoolroom', facts),
    `.SH SYNOPSIS\n\\fI${prose(PLACES.config)}\\fR`,
    '.SH DESCRIPTION\nA JSON object: \\fB{"timeout.greeting": "30s"}\\fR, or nested, \\fB{"timeout": {"greeting": "30s"}}\\fR.',
    'A setting that is repeatable is an array. The command line outranks the environment, the environment this file.',
    'An unknown name or a value that is not valid is an error, and nothing is delivered.',
    `It may hold passwords of relays, so it belongs to root and is readable by the group ${bold('spoolroom')} alone.`,
    `${bold('spoolroom settings --given')} prints what holds, and where it comes from.`,
    '.PP\nDurations are written \\fB250ms\\fR, \\fB30s\\fR, \\fB5m\\fR, \\fB12h\\fR, \\fB5d\\fR; a bare number is seconds.',
    '.SH SETTINGS',
    ...SETTING_NAMES.map(settingItem),
    '.SH DESTINATIONS',
    `Each entry of ${bold('destinations')} is an object. It holds for mail to which all of its conditions apply:`,
    ...fieldItems(DESTINATION_CONDITION_FIELDS),
    '.PP\nand says any of:',
    ...fieldItems(DESTINATION_VALUE_FIELDS),
    `.SH EXAMPLE\n.nf\n${facts.example.trim().replaceAll('\\', '\\e').replaceAll('-', '\\-')}\n.fi`,
    files(),
    `.SH SEE ALSO\n${bold('spoolroom')}(1)`,
  ].join('\n')}\n`;
}

function settingItem(name: SettingName): string {
  const { kind, fallback, about }: Setting<unknown> = SETTINGS[name];
  const value = kind.flag ? 'true|false' : kind.hint;
  const many = kind.many ? ', repeatable' : '';
  const preset = fallback === null || String(fallback) === '' ? '' : `; default ${fallback}`;
  return item(`${bold(name)} \\fI${prose(value)}\\fR${prose(`${many}${preset}`)}`, about);
}

function fieldItems(fields: typeof DESTINATION_VALUE_FIELDS): readonly string[] {
  return Object.entries(fields).map(([name, { kind, about }]) =>
    item(
      `${bold(name)} \\fI${prose(kind.flag ? 'true|false' : kind.hint)}\\fR${kind.many ? ', or a list' : ''}`,
      about,
    ),
  );
}

/** spoolroom-sendmail(8), which is sendmail(8) where the alternative is ours. */
export function sendmailPage(facts: ManualFacts): string {
  const enqueue = facts.commands.find(({ sendmail }) => sendmail === true);
  if (enqueue === undefined) throw new Error('no command is called as sendmail is');
  const letters = Object.entries(enqueue.options ?? {}).filter(([name]) => name.length === 1);
  const name = commandName(enqueue);
  return `${[
    head('spoolroom-sendmail', 8, 'put a message into the spool, as sendmail does', facts),
    `.SH SYNOPSIS\n${bold('sendmail')} [\\fIOPTION\\fR]... [\\fIRECIPIENT\\fR]...`,
    '.SH DESCRIPTION\nReads a message from standard input and queues it; it prints nothing when the message is queued.',
    `It is ${bold(`spoolroom ${name} --quiet`)}, and an alternative for ${bold('/usr/sbin/sendmail')} (see`,
    `${bold('update-alternatives')}(1)). Root and members of the group ${bold('spoolroom')} may put mail into the spool.`,
    '.SH OPTIONS',
    ...letters.map(([letter, { type, describe }]) =>
      item(`\\fB\\-${letter}\\fR${type === 'string' ? ' \\fIVALUE\\fR' : ''}`, describe),
    ),
    exitStatus(facts),
    `.SH SEE ALSO\n${bold('spoolroom')}(1), ${bold('spoolroom.json')}(5)`,
  ].join('\n')}\n`;
}
