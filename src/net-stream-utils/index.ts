/**
 * Sockets as streams of lines: connect or accept, read lines, write, upgrade to TLS, close. Imported as `#net-stream-utils`, like a package.
 * It resolves no names, has no deadlines and knows nothing of SMTP.
 */
export { accept, type ServerConnection, type ServerConnectionEvents } from './accept.ts';
export { connect } from './connect.ts';
export type * from './connection.ts';
export { createLineReader, type Feed, type LineReader, type Taken } from './line-reader.ts';
export { TlsSessions } from './tls-sessions.ts';
