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
  return commandLine(`MAIL FROM:<${transaction.sender}>`, mailParameters(transaction, capabilities));
}

/** Parameters with the extension that each belongs to, in the order in which they are sent. */
type Parameters = readonly (readonly [Extension, string])[];

export function mailParameters(transaction: Transaction, capabilities: Capabilities): Parameters {
  const { size, eightBit, smtpUtf8, requireTls, dsn } = transaction;
  const parameters: [Extension, string][] = [];
  if (capabilities.size) parameters.push(['SIZE', `SIZE=${size}`]);
  if (eightBit && capabilities.eightBitMime) parameters.push(['8BITMIME', 'BODY=8BITMIME']);
  if (smtpUtf8) parameters.push(['SMTPUTF8', 'SMTPUTF8']);
  if (requireTls !== undefined && capabilities.requireTls) parameters.push(['REQUIRETLS', 'REQUIRETLS']);
  if (dsn !== null && capabilities.dsn)
    for (const parameter of mailDsnParameters(dsn)) parameters.push(['DSN', parameter]);
  return parameters;
}

export function rcptParameters({ dsn }: TransactionRecipient, capabilities: Capabilities): Parameters {
  if (dsn === undefined || !capabilities.dsn) return NONE;
  return rcptDsnParameters(dsn).map((parameter) => ['DSN', parameter]);
}

const NONE: Parameters = [];

export function rcptCommand(transaction: Transaction, index: number, capabilities: Capabilities): ByteString {
  const recipient = transaction.recipients[index];
  if (recipient === undefined) throw new Error(`transaction ${transaction.id} has no recipient ${index}`);
  return commandLine(`RCPT TO:<${recipient.address}>`, rcptParameters(recipient, capabilities));
}

/** A command with its CRLF. Throws when the command contains CR, LF or NUL: that would inject another command. */
export function commandLine(command: ByteString, parameters: Parameters = NONE): ByteString {
  let line = command;
  for (const [, parameter] of parameters) line += ` ${parameter}`;
  if (/[\r\n\0]/.test(line)) throw new Error('an SMTP command contains a line end');
  return `${line}\r\n`;
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
