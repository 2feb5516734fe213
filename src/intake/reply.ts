/**
 * A reply of the intake: code, enhanced status code, text. What the intake says of commands is listed in
 * receiver/replies.ts; here is what it says of a message that could not be taken.
 */
import { errorCode } from '../platform/system-errors.ts';

export interface Reply {
  /** RFC 5321 4.2.3 */
  readonly code: number;
  /** enhanced status code (RFC 3463), such as 4.3.1; null where RFC 2034 wants none */
  readonly status: string | null;
  /** several lines are joined by LF */
  readonly text: string;
}

const FULL_DISK: ReadonlySet<string | null> = new Set(['ENOSPC', 'EDQUOT']);

/** The reply when a message could not be stored. */
export function storageReply(error: unknown): Reply {
  return FULL_DISK.has(errorCode(error))
    ? {
        code: 452,
        status: '4.3.1',
        text: 'No space is left on the disk; the message was not taken, try again later',
      }
    : {
        code: 451,
        status: '4.3.0',
        text: 'The message could not be stored and was not taken; try again later',
      };
}

/** The reply as it is sent. Nothing that a reply quotes can end its line. */
export function replyBytes({ code, status, text }: Reply): string {
  const prefix = status === null ? '' : `${status} `;
  const lines = text.replace(/[^ -~\n]/g, '?').split('\n');
  const last = lines.pop();
  return `${lines.map((line) => `${code}-${prefix}${line}\r\n`).join('')}${code} ${prefix}${last}\r\n`;
}
