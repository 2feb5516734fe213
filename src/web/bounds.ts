/** What a client can make the web view hold. Times are milliseconds, sizes bytes. */
export const BOUNDS = {
  /** at the same time; further ones are closed at once */
  connections: 100,
  header: 16_384,
  /** path and query */
  target: 4096,
  body: 65_536,
  headerTime: 10_000,
  requestTime: 30_000,
  keepAlive: 15_000,
  /** until answers in progress are cut off at the end */
  stopTime: 2000,
  /** logins that wait for their answer, in all and of one client; further ones are refused at once */
  logins: 50,
  loginsOfOne: 10,
  password: 1024,
  sessions: 100,
  /** without a request */
  idle: 3_600_000,
} as const;
