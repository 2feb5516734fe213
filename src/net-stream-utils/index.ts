/**
 * Sockets as streams of lines: connect, read lines, write, upgrade to TLS, close. This is what a published
 * `net-stream-utils` package would offer; callers import `#net-stream-utils` and nothing below it. It resolves
 * no names, keeps no deadlines and knows no SMTP.
 */
export { connect } from './connect.ts';
export type * from './connection.ts';
export { createLineReader, type Feed, type LineReader } from './line-reader.ts';
