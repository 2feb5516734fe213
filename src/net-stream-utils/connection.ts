/**
 * The interface of a connection: methods to write and close, events for what arrives. Implemented with real sockets and by
 * simulated networks. Deadlines are kept by the caller, who calls `destroy()`.
 */

import type { TlsSessions } from './tls-sessions.ts';

/** A TLSA record (RFC 6698 2.1). */
export interface TlsaRecord {
  /** 2: DANE-TA, a certificate that signs; 3: DANE-EE, the server's own */
  readonly usage: number;
  /** 0: the whole certificate; 1: its public key */
  readonly selector: number;
  /** 0: as it is; 1: SHA-256; 2: SHA-512 */
  readonly matchingType: number;
  /** lower-case hex */
  readonly data: string;
}

export interface TlsOptions {
  /** name for SNI and for the certificate check; no SNI for an IP address */
  readonly serverName: string;
  /** false: any certificate is accepted (opportunistic) */
  readonly verify: boolean;
  /** PEM certificates trusted in addition to Node's own */
  readonly ca?: readonly string[];
  /**
   * SHA-256 fingerprints (hex, colons optional), one of which the peer's certificate must have. They replace the check of chain
   * and name.
   */
  readonly pins?: readonly string[];
  /** One of the records must match the peer's chain (RFC 7672 3). They replace the check against the CAs. */
  readonly dane?: {
    readonly records: readonly TlsaRecord[];
    /** under DANE-TA the certificate must be for one of them */
    readonly names: readonly string[];
  };
  /** Sessions to resume, kept by `peer`, which says where the connection leads; absent: each handshake is a full one. */
  readonly resumption?: { readonly sessions: TlsSessions; readonly peer: string };
}

/** What has proved who the peer is: its TLSA records, a CA and the name, or a pinned fingerprint. */
export type Proof = 'dane' | 'pkix' | 'pin';

export interface Endpoint {
  /** IP address in text form, or path of a unix socket; never a host name */
  readonly address: string;
  readonly port: number;
  /** source address to bind to */
  readonly localAddress?: string;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  /** null: nothing has; the connection is encrypted, with whomever */
  readonly proof: Proof | null;
  /** why the CAs prove nothing: Node's code, as in `CloseReason` */
  readonly problem?: string;
}

export type CloseReason =
  /** the peer closed its side */
  | { readonly kind: 'ended' }
  /** system error: reset, refused, unreachable ...; `code` as in Node (`ECONNRESET`), not to be shown to people alone */
  | { readonly kind: 'error'; readonly code: string; readonly message: string }
  /**
   * The TLS handshake or the certificate check failed. `code`: Node's for a certificate that was refused (`CERT_HAS_EXPIRED`,
   * `ERR_TLS_CERT_ALTNAME_INVALID`, ...), or ours: `TLSA_MISMATCH`, `PIN_MISMATCH`.
   */
  | { readonly kind: 'tls'; readonly message: string; readonly code?: string }
  /** a line was longer than the reader accepts */
  | { readonly kind: 'overlong' };

/** One listener per connection. Nothing is called after `closed` or after `destroy()`. */
export interface ConnectionEvents {
  connected(): void;
  /**
   * All complete lines of one read, without their CRLF or LF, one character per byte. `partial` is true when
   * bytes of an unfinished line remain, so that the caller notices what the peer sent too early.
   */
  lines(lines: readonly string[], partial: boolean): void;
  /**
   * For protocols that do not consist of lines: when present, it gets the bytes of each read, and `lines` is not called. The
   * buffer is reused for the next read of any connection.
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
  /** Upgrades to TLS. Bytes received before the handshake are discarded; on failure `closed` with kind `tls`. */
  startTls(options: TlsOptions): void;
  /** sends what is written, then closes our side; the connection is destroyed when the peer closes its own */
  end(): void;
  destroy(): void;
}

/** Opens a connection. With `tls` the handshake starts as soon as it is connected. */
export type Connect = (endpoint: Endpoint, events: ConnectionEvents, tls?: TlsOptions) => Connection;
