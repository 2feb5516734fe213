/**
 * The replies of the intake other than 250: reply code, enhanced status code, text. techdoc/intake.md lists them.
 */

/** An Error, because smtp-server expects refusals to be errors. */
export class SmtpReply extends Error {
  /** RFC 5321 4.2.3 */
  readonly responseCode: number;
  /** for the log: `message` without its status code */
  readonly text: string;

  /** @param status enhanced status code (RFC 3463), such as 4.3.1 */
  constructor(code: number, status: string, text: string) {
    super(`${status} ${text}`);
    this.responseCode = code;
    this.text = text;
  }
}

const FULL_DISK: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/** The system's code of an error, such as ENOSPC; null when it has none. */
export function replyCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}

/** The reply when a message could not be stored. */
export function storageReply(error: unknown): SmtpReply {
  if (error instanceof SmtpReply) return error;
  return FULL_DISK.has(replyCode(error))
    ? new SmtpReply(452, '4.3.1', 'No space is left on the disk; the message was not taken, try again later')
    : new SmtpReply(451, '4.3.0', 'The message could not be stored and was not taken; try again later');
}
