/**
 * What a connection is to its caller: commands in, events out. connect.ts implements it with real sockets, a
 * simulated network can do so as well; nothing here knows SMTP. Deadlines are the caller's: whoever holds the
 * state machine holds the clock, and calls `destroy()`.
 */

export interface TlsOptions {
  /** name for SNI and for the certificate check; SNI is left out when it is an IP address */
  readonly serverName: string;
  /** false: any certificate will do (opportunistic) */
  readonly verify: boolean;
  /** PEM certificates trusted in addition to Node's own */
  readonly ca?: readonly string[];
  /**
   * SHA-256 fingerprints (hex, colons optional) of which the peer's certificate must have one. They take the
   * place of the chain and name check: a pin says exactly which certificate is meant.
   */
  readonly pins?: readonly string[];
}

export interface Endpoint {
  /** IP address in text form (no name: resolving is not this folder's work), or a unix socket's path */
  readonly address: string;
  readonly port: number;
  /** source address to bind to */
  readonly localAddress?: string;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly verified: boolean;
}

export type CloseReason =
  /** the peer ended its side in an orderly way */
  | { readonly kind: 'ended' }
  /** system error: reset, refused, unreachable ...; `code` as in Node (`ECONNRESET`), never shown alone to people */
  | { readonly kind: 'error'; readonly code: string; readonly message: string }
  /** the TLS handshake or the certificate check failed */
  | { readonly kind: 'tls'; readonly message: string }
  /** a line was longer than the reader accepts */
  | { readonly kind: 'overlong' };

/** One listener set per connection. Nothing is called any more after `closed` or after `destroy()`. */
export interface ConnectionEvents {
  connected(): void;
  /**
   * All complete lines of one read, without their CRLF or LF, one character per byte. `partial` is true when
   * bytes of an unfinished line remain: together they tell the caller what the peer said before it was asked.
   */
  lines(lines: readonly string[], partial: boolean): void;
  /**
   * For protocols in which not all is lines: where it is there, it gets each read as it is, and `lines` gets nothing.
   * The buffer is used again for the next read.
   */
  bytes?(bytes: Buffer): void;
  /** everything written so far has been handed to the system */
  drained(): void;
  secured(facts: TlsFacts): void;
  /** exactly once, unless `destroy()` came first */
  closed(reason: CloseReason): void;
}

export interface Connection {
  /** Strings are one character per byte. False: wait for `drained` before writing more. */
  write(data: string | Uint8Array): boolean;
  /** Upgrade in place. Bytes that arrived before the handshake are thrown away, `closed` with kind `tls` on failure. */
  startTls(options: TlsOptions): void;
  /** send what is written, then close our side; the connection is destroyed when the peer closes its own */
  end(): void;
  destroy(): void;
}

/** The one entry: real sockets here, a simulated network in `replay/`. With `tls` the handshake follows the connect at once. */
export type Connect = (endpoint: Endpoint, events: ConnectionEvents, tls?: TlsOptions) => Connection;
