/**
 * What the intake answers beside 250: reply code, enhanced status code, words. techdoc/intake.md lists them. Made
 * by reception.ts and told by connection.ts; an answer is a value, never a surprise.
 */

/** An Error only because smtp-server knows its refusals by that. */
export class SmtpReply extends Error {
  /** RFC 5321 4.2.3 */
  readonly responseCode: number;
  /** for the log: without the status code that `message` begins with */
  readonly text: string;

  /** @param status enhanced status code (RFC 3463), such as 4.3.1 */
  constructor(code: number, status: string, text: string) {
    super(`${status} ${text}`);
    this.responseCode = code;
    this.text = text;
  }
}

const FULL_DISK: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/** The system's name for an error, such as ENOSPC; null: it has none. */
export function replyCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}

/** What a client is told when its message could not be stored. */
export function storageReply(error: unknown): SmtpReply {
  if (error instanceof SmtpReply) return error;
  return FULL_DISK.has(replyCode(error))
    ? new SmtpReply(452, '4.3.1', 'No space is left on the disk; the message was not taken, try again later')
    : new SmtpReply(451, '4.3.0', 'The message could not be stored and was not taken; try again later');
}
