/**
 * TLS sessions that later connections resume instead of shaking hands anew (RFC 5077, RFC 8446 2.2). What proved the server in the
 * full handshake is kept beside each, because a resumed one shows no certificates to judge. Only in memory.
 *
 * One for each peer, the newest. It may be used several times: RFC 8446 C.4 advises against that, lest somebody recognise the client,
 * but many servers give no other one when one is resumed.
 */
import type { TlsFacts } from './connection.ts';

/** Milliseconds for which the verdict of a full handshake counts. */
const LIFETIME = 3_600_000;

/** Most sessions, of a few kilobytes each; the oldest are removed first. */
const MOST = 1000;

/** What a full handshake has proved about the server, and when: in milliseconds of the sessions' clock. */
export interface Verdict extends Pick<TlsFacts, 'proof' | 'problem'> {
  readonly at: number;
}

export interface TlsSession {
  /** as OpenSSL writes it: ticket or id, and keys */
  readonly bytes: Buffer;
  readonly verdict: Verdict;
}

export class TlsSessions {
  readonly now: () => number;
  readonly #kept = new Map<string, TlsSession>();

  /** @param now milliseconds of a clock that is never set back */
  constructor(now: () => number) {
    this.now = now;
  }

  get(key: string): TlsSession | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && this.now() < kept.verdict.at + LIFETIME ? kept : undefined;
  }

  keep(key: string, session: TlsSession): void {
    this.#kept.delete(key);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < MOST) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(key, session);
  }

  /** Unless there is a newer one by now. */
  forget(key: string, session: TlsSession): void {
    if (this.#kept.get(key) === session) this.#kept.delete(key);
  }
}
