/**
 * One mail transaction (MAIL, RCPT ..., DATA): a value handed to a session, never leftovers in its fields, and
 * the commands it consists of. Nothing taken from data can put a CR or LF into a command: what comes here
 * went through `routing/address.ts`, and `line()` refuses the rest as a bug.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Capabilities } from './capabilities.ts';

/** What a message asks of the server that is to take it. */
export interface MessageRequirements {
  /** bytes as sent, CRLF line ends, before dot-stuffing (RFC 1870) */
  readonly size: number;
  readonly eightBit: boolean;
  /** an address needs RFC 6531 */
  readonly smtpUtf8: boolean;
}

export interface TransactionRecipient {
  /** the caller's; outcomes name it again */
  readonly id: number;
  /** what goes between the brackets of RCPT TO */
  readonly address: ByteString;
}

export interface Transaction extends MessageRequirements {
  /** the delivery it belongs to; every effect about it names it again */
  readonly id: number;
  /** envelope sender without brackets, '' is the null sender */
  readonly sender: ByteString;
  readonly recipients: readonly TransactionRecipient[];
  /** RFC 3461 parameters, used where the peer offers DSN */
  readonly dsn: DsnRequest | null;
}

export interface DsnRequest {
  readonly notify: 'NEVER' | null;
}

export function mailCommand(transaction: Transaction, peer: Capabilities): ByteString {
  const parameters = [
    peer.size ? ` SIZE=${transaction.size}` : '',
    transaction.eightBit && peer.eightBitMime ? ' BODY=8BITMIME' : '',
    transaction.smtpUtf8 ? ' SMTPUTF8' : '',
  ];
  return commandLine(`MAIL FROM:<${transaction.sender}>${parameters.join('')}`);
}

export function rcptCommand(transaction: Transaction, index: number, peer: Capabilities): ByteString {
  const recipient = transaction.recipients[index];
  if (recipient === undefined) throw new Error(`transaction ${transaction.id} has no recipient ${index}`);
  const notify = peer.dsn && transaction.dsn?.notify ? ` NOTIFY=${transaction.dsn.notify}` : '';
  return commandLine(`RCPT TO:<${recipient.address}>${notify}`);
}

/** A command line. CR or LF inside would be a second command of somebody else's choosing. */
export function commandLine(command: ByteString): ByteString {
  if (/[\r\n\0]/.test(command)) throw new Error('a command with a line end in it reached the session');
  return `${command}\r\n`;
}

/** What keeps this peer from taking this message at all, known before MAIL is said. */
export type UnsupportedRequirement = 'size' | 'eight-bit' | 'smtputf8';

export function unsupportedRequirement(
  demands: MessageRequirements,
  peer: Capabilities,
): UnsupportedRequirement | null {
  if (peer.maxSize > 0 && demands.size > peer.maxSize) return 'size';
  if (demands.smtpUtf8 && !peer.smtpUtf8) return 'smtputf8';
  if (demands.eightBit && !peer.eightBitMime) return 'eight-bit';
  return null;
}
