/** `spoolroom web password USER`: asks for a password and puts its hash into the file of the web view's users. */
import {
  chownSync,
  closeSync,
  fchmodSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { escapeControl } from '../../../output/text.ts';
import { describeError, errorCode } from '../../../platform/system-errors.ts';
import { isUserName, passwordLine, withUser } from '../../../web/password.ts';
import { type CliError, cliError, type Invocation, type Terminal } from '../../shell/command.ts';
import { EXIT, type ExitCode } from '../../shell/exit.ts';

/** Characters. */
const SHORTEST = 8;
const LONGEST = 1024;

export async function setPassword({ settings, options, terminal }: Invocation): Promise<ExitCode | CliError> {
  const user = typeof options.user === 'string' ? options.user : userInfo().username;
  if (!isUserName(user)) {
    return cliError(
      `${escapeControl(user)} cannot be a user: a name has 1 to 64 characters, without blanks and colons.`,
      EXIT.usage,
    );
  }
  const password = await asked(terminal, user);
  if (typeof password !== 'string') return password;
  const line = await passwordLine(password);
  const file = settings['web.users'];
  if (file === null) {
    terminal.print(`${user}:${line}`);
    return EXIT.ok;
  }
  try {
    writeUsers(file, withUser(readIfThere(file), user, line), settings.spool);
  } catch (error) {
    if (errorCode(error) === null) throw error;
    return cliError(
      `${file} cannot be written: ${describeError(error)}. No password was changed.`,
      EXIT.cannotCreate,
    );
  }
  terminal.print(
    `${file}: the password of ${escapeControl(user)} is set. Who was logged in under this name is logged out.`,
  );
  return EXIT.ok;
}

/** Twice on a terminal, without showing it; else the first line of standard input. */
async function asked(terminal: Terminal, user: string): Promise<string | CliError> {
  const { input } = terminal;
  const isTerminal = input.isTTY === true;
  const muted = new Writable({ write: (_piece, _encoding, done) => done() });
  const lines = createInterface({ input, ...(isTerminal ? { output: muted, terminal: true } : {}) });
  try {
    const next = lines[Symbol.asyncIterator]();
    const ask = async (question: string): Promise<string> => {
      if (isTerminal) process.stderr.write(question);
      const { value, done } = await next.next();
      if (isTerminal) process.stderr.write('\n');
      return done === true ? '' : value;
    };
    const password = await ask(`Password for ${user}: `);
    if (password.length < SHORTEST || password.length > LONGEST)
      return cliError(`A password has ${SHORTEST} characters or more. No password was changed.`, EXIT.usage);
    if (isTerminal && (await ask('Again: ')) !== password)
      return cliError('That was another password. No password was changed.', EXIT.usage);
    return password;
  } finally {
    lines.close();
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return '';
  }
}

/** Readable for its owner alone. Where root makes it, that is the owner of the spool, as whom the web view runs. */
function writeUsers(file: string, text: string, spool: string | null): void {
  const before = statSync(file, { throwIfNoEntry: false });
  const owner = before ?? (spool === null ? undefined : statSync(spool, { throwIfNoEntry: false }));
  const temporary = `${file}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    fchmodSync(fd, 0o600);
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
  if (process.geteuid?.() === 0 && owner !== undefined) chownSync(temporary, owner.uid, owner.gid);
  renameSync(temporary, file);
}
