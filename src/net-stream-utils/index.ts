/**
 * Sockets as streams of lines: connect, read lines, write, upgrade to TLS, close. Imported as `#net-stream-utils`, like a package.
 * It resolves no names, has no deadlines and knows nothing of SMTP.
 */
export { connect } from './connect.ts';
export type * from './connection.ts';
export { createLineReader, type Feed, type LineReader } from './line-reader.ts';
