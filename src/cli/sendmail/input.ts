/** The message as `enqueue` reads it: its header at once, the rest piece by piece. */
import { createReadStream, openSync } from 'node:fs';
import { type ByteString, bytesOf } from '../../platform/bytes.ts';
import { describeError, errorCode, isPermissionDenied } from '../../platform/system-errors.ts';
import { type CliError, cliError } from '../shell/command.ts';
import { EXIT } from '../shell/exit.ts';

export function inputFrom(
  file: unknown,
  standardInput: NodeJS.ReadableStream,
): NodeJS.ReadableStream | CliError {
  if (typeof file !== 'string') return standardInput;
  try {
    return createReadStream(file, { fd: openSync(file, 'r') });
  } catch (error) {
    return notRead(error, file);
  }
}

export function notRead(error: unknown, file: unknown): CliError {
  if (errorCode(error) === null) throw error;
  const what = typeof file === 'string' ? `The message ${file}` : 'Standard input';
  return cliError(
    `${what} cannot be read: ${describeError(error)}. Nothing was queued.`,
    isPermissionDenied(error) ? EXIT.noPermission : EXIT.noInput,
  );
}

/** Bytes; a longer header is taken for something that is not a message. */
export const LONGEST_HEADER = 1024 * 1024;

export interface Text {
  /** up to and beyond its first empty line, or all of it */
  readonly begun: ByteString;
  readonly rest: AsyncIterator<string | Buffer>;
}

export async function readBeginning(input: NodeJS.ReadableStream): Promise<Text> {
  const rest = input[Symbol.asyncIterator]();
  let begun = '';
  while (begun.length <= LONGEST_HEADER && !/(?:^|\n)\r?\n/.test(begun)) {
    const next = await rest.next();
    // Lines of a text without any LF end in CR.
    if (next.done === true)
      return { begun: begun.includes('\n') ? begun : begun.replaceAll('\r', '\n'), rest };
    begun += typeof next.value === 'string' ? bytesOf(next.value) : next.value.toString('latin1');
  }
  return { begun, rest };
}

/** @param count told the size of each piece, in bytes */
export async function* contentOf(
  begun: ByteString,
  rest: Text['rest'],
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  count(begun.length);
  yield Buffer.from(begun, 'latin1');
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    const piece = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
    count(piece.length);
    yield piece;
  }
}
