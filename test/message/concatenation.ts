/** Reads files of several native messages, to test that the reader knows where a message ends. */
import { type NativeMessage, readNative } from '../../src/message/native.ts';

export interface Concatenation {
  readonly messages: readonly NativeMessage[];
  /** offset at which reading ended: the length of the bytes when all of them were read */
  readonly end: number;
  readonly problems: readonly string[];
}

/** Several messages in a row, as in the spool files of Citadel's network. Ends where no message begins. */
export function readConcatenation(bytes: Buffer): Concatenation {
  const messages: NativeMessage[] = [];
  const problems: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const read = readNative(bytes, at);
    if (read.kind === 'unreadable') {
      problems.push(`${read.problem}; ${bytes.length - at} bytes were not read`);
      break;
    }
    messages.push(read.message);
    problems.push(...read.problems);
    at = read.end;
  }
  return { messages, end: at, problems };
}
