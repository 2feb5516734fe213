/** Words as a POSIX shell reads them (XCU 2.2), so that a command that is shown can be pasted. Pure. */

export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A call of this program. */
export function shellCommand(...words: readonly string[]): string {
  return ['spoolroom', ...words.map(shellWord)].join(' ');
}

/** A command line that can be pasted, with the settings of the call that shows it: `commandText('replay', '12', '--live')`. */
export type CommandText = (command: string, ...words: readonly string[]) => string;
