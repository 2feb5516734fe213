/**
 * Every bound on what a client can make the receiver hold or do. Nothing a client sends grows without one of these.
 * Printed into techdoc/intake-states.md.
 */

export interface Bound {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | '';
  /** what is bounded, and what happens beyond it */
  readonly about: string;
}

const bound = (value: number, unit: Bound['unit'], about: string): Bound => ({ value, unit, about });

export const BOUNDS = {
  /** RFC 4954 4.5.3.1: the longest line that a client may send, an AUTH response */
  line: bound(12_288, 'bytes', 'a command line; a longer one is thrown away and answered with 500'),
  /** RFC 5321 4.5.3.1.6: no command with a longer address could be sent on */
  address: bound(980, 'bytes', 'an address; a longer one is refused with 553'),
  recipients: bound(1000, '', 'RCPT commands accepted in one transaction; then 452'),
  header: bound(131_072, 'bytes', 'the header of a message, and the part of it held in memory; then 554'),
  errors: bound(10, '', 'refused commands since the last accepted message; then 421'),
  guesses: bound(3, '', 'failed logins on one connection; then 421'),
  beforeLogin: bound(20, '', 'commands of a client that has yet to log in; then 421'),
  linesPerTurn: bound(50, '', 'commands of one client in a row; then the other clients have their turn'),
  idle: bound(300_000, 'ms', 'silence (RFC 5321 4.5.3.2.7); then 421'),
  closing: bound(10_000, 'ms', 'time to close a connection after our last reply; then it is cut'),
  stopping: bound(1000, 'ms', 'the same while the intake stops'),
} as const satisfies Record<string, Bound>;
