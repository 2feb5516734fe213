/** Where `replay` reads its input and the message that belongs to it: a spool, a file, standard input. Only reads. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ParseOptions } from '../../delivery-list/parse.ts';
import { describeError, errorCode, isPermissionDenied } from '../../platform/system-errors.ts';
import { isExport } from '../../replay/export.ts';
import type { Settings } from '../../settings/table.ts';
import type { CliError, Invocation } from '../shell/command.ts';
import { cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export interface SourceLocation {
  readonly file: string;
  /** where the message should be */
  readonly folder: string;
  /** the spool it lies in; null: it is a single file */
  readonly spool: string | null;
  readonly control: number;
}

export function sourceLocation({ options, settings }: Invocation): SourceLocation {
  const file = String(options.file);
  // What is known here of the jobs of a database is in the directory with our own state.
  const home = settings.postgres === null ? settings.spool : settings.state;
  const spool = /^\d+$/.test(file) ? home : null;
  const path = spool !== null ? join(spool, file) : file === '-' ? STANDARD_INPUT : file;
  const number = /^\d{1,15}$/.test(basename(path)) ? Number(basename(path)) : 0;
  return { file: path, folder: dirname(path), spool, control: number };
}

export function parseOptions(settings: Settings): ParseOptions {
  return { dialect: 'detect', fallback: settings.dialect };
}

export function readBytes(file: string): Buffer | CliError {
  try {
    return readFileSync(file);
  } catch (error) {
    return cannotRead(file, error);
  }
}

function cannotRead(file: string, error: unknown): CliError {
  const code = errorCode(error);
  if (code === null) throw error;
  const exit = code === 'ENOENT' ? EXIT.noInput : isPermissionDenied(error) ? EXIT.noPermission : EXIT.io;
  return cliError(`${file} cannot be read: ${describeError(error)}.`, exit);
}

const STANDARD_INPUT = '/dev/stdin';

/** Bytes, enough to recognise an export. */
const HEAD = 256;

/** The whole file, unless it is an export, which may be larger than memory. A pipe is read only once. */
export function readSource(file: string): Buffer | 'export' | CliError {
  let descriptor: number | null = null;
  try {
    // A socket cannot be opened by its name.
    descriptor = file === STANDARD_INPUT ? 0 : openSync(file, 'r');
    const buffer = Buffer.alloc(HEAD);
    const head = buffer.subarray(0, readSync(descriptor, buffer));
    if (!isExport(head)) return Buffer.concat([head, readFileSync(descriptor)]);
    if (fstatSync(descriptor).isFile()) return 'export';
    return cliError(
      `${file} is a Citadel export, which has to be read twice: save it to a file first.`,
      EXIT.data,
    );
  } catch (error) {
    return cannotRead(file, error);
  } finally {
    if (descriptor !== null && descriptor !== 0) closeSync(descriptor);
  }
}

export async function reading<T>(file: string, read: () => Promise<T>): Promise<T | CliError> {
  try {
    return await read();
  } catch (error) {
    return cannotRead(file, error);
  }
}
