/**
 * One mail transaction (RFC 5321 3.3) as a value, and its commands. No data can put CR or LF into a command: addresses have
 * been checked by routing/address.ts, and `commandLine` throws on the rest.
 */
import type { ByteString } from '../platform/bytes.ts';
import type { Capabilities, Extension } from './capabilities.ts';
import { type MessageDsn, mailDsnParameters, type RecipientDsn, rcptDsnParameters } from './dsn-request.ts';

/** What a message requires of the server that accepts it. */
export interface MessageRequirements {
  /** bytes as sent with CRLF line ends, before dot-stuffing (RFC 1870) */
  readonly size: number;
  readonly eightBit: boolean;
  /** an address needs SMTPUTF8 (RFC 6531) */
  readonly smtpUtf8: boolean;
  /**
   * REQUIRETLS (RFC 8689): `demanded` of the server, or `offered` to those that take it, which is what reports do; absent: its
   * sender did not ask for it
   */
  readonly requireTls?: 'demanded' | 'offered';
}

export interface TransactionRecipient {
  /** absent: its sender asked for nothing */
  readonly dsn?: RecipientDsn;
  /** the caller's id; outcomes refer to it */
  readonly id: number;
  /** between the brackets of RCPT TO */
  readonly address: ByteString;
}

export interface Transaction extends MessageRequirements {
  /** the caller's number; effects refer to it */
  readonly id: number;
  /** envelope sender without brackets; '' is the null sender */
  readonly sender: ByteString;
  readonly recipients: readonly TransactionRecipient[];
  /** used where the server offers DSN; null: its sender asked for nothing */
  readonly dsn: MessageDsn | null;
  /** asks whether the recipients would be accepted; no message follows */
  readonly envelopeOnly?: true;
}

export function mailCommand(transaction: Transaction, capabilities: Capabilities): ByteString {
  const parameters = mailParameters(transaction, capabilities).map(([, parameter]) => ` ${parameter}`);
  return commandLine(`MAIL FROM:<${transaction.sender}>${parameters.join('')}`);
}

/** Parameters with the extension that each belongs to, in the order in which they are sent. */
type Parameters = readonly (readonly [Extension, string])[];

export function mailParameters(transaction: Transaction, capabilities: Capabilities): Parameters {
  return [
    ...(capabilities.size ? [['SIZE', `SIZE=${transaction.size}`] as const] : []),
    ...(transaction.eightBit && capabilities.eightBitMime ? [['8BITMIME', 'BODY=8BITMIME'] as const] : []),
    ...(transaction.smtpUtf8 ? [['SMTPUTF8', 'SMTPUTF8'] as const] : []),
    ...(transaction.requireTls !== undefined && capabilities.requireTls
      ? [['REQUIRETLS', 'REQUIRETLS'] as const]
      : []),
    ...(capabilities.dsn && transaction.dsn !== null
      ? mailDsnParameters(transaction.dsn).map((each) => ['DSN', each] as const)
      : []),
  ];
}

export function rcptParameters({ dsn }: TransactionRecipient, capabilities: Capabilities): Parameters {
  if (!capabilities.dsn || dsn === undefined) return [];
  return rcptDsnParameters(dsn).map((parameter) => ['DSN', parameter]);
}

export function rcptCommand(transaction: Transaction, index: number, capabilities: Capabilities): ByteString {
  const recipient = transaction.recipients[index];
  if (recipient === undefined) throw new Error(`transaction ${transaction.id} has no recipient ${index}`);
  const parameters = rcptParameters(recipient, capabilities).map(([, parameter]) => ` ${parameter}`);
  return commandLine(`RCPT TO:<${recipient.address}>${parameters.join('')}`);
}

/** A command with its CRLF. Throws when the command contains CR, LF or NUL: that would inject another command. */
export function commandLine(command: ByteString): ByteString {
  if (/[\r\n\0]/.test(command)) throw new Error('an SMTP command contains a line end');
  return `${command}\r\n`;
}

/** A requirement of the message that the server does not support, known before MAIL is sent; first what no command may name. */
export type UnsupportedRequirement = 'size' | 'eight-bit' | 'smtputf8' | 'requiretls';

export function unsupportedRequirement(
  required: MessageRequirements,
  capabilities: Capabilities,
): UnsupportedRequirement | null {
  if (required.requireTls === 'demanded' && !capabilities.requireTls) return 'requiretls';
  if (required.smtpUtf8 && !capabilities.smtpUtf8) return 'smtputf8';
  if (capabilities.maxSize > 0 && required.size > capabilities.maxSize) return 'size';
  if (required.eightBit && !capabilities.eightBitMime) return 'eight-bit';
  return null;
}
