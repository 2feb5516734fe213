/**
 * Who is logged in. The browser has a random token, here is its digest only. A session ends some time after its last request, and at
 * its lifetime in any case; where there are too many, the one that was used least lately ends.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../platform/clock.ts';

export interface Session {
  readonly user: string;
  /** what the forms of this session carry */
  readonly csrf: string;
  /** the line of the password file by which the user logged in: a changed password ends the session */
  readonly line: string;
  /** told on the next page, once */
  notice: string | null;
}

interface Kept {
  readonly session: Session;
  readonly began: number;
  used: number;
}

export interface SessionBounds {
  /** milliseconds since the login */
  readonly life: number;
  /** milliseconds since the last request */
  readonly idle: number;
  readonly most: number;
}

const TOKEN = 32;

export class Sessions {
  readonly #clock: Clock;
  readonly #bounds: SessionBounds;
  /** by the digest of the token, used least lately first */
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock, bounds: SessionBounds) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The token for the browser. */
  begin(user: string, line: string): string {
    const token = randomBytes(TOKEN).toString('base64url');
    const now = this.#clock.monotonic();
    const session = { user, line, csrf: randomBytes(TOKEN).toString('base64url'), notice: null };
    this.#kept.set(digest(token), { session, began: now, used: now });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#bounds.most) break;
      this.#kept.delete(oldest);
    }
    return token;
  }

  /** Null: there is none, or it has ended. */
  find(token: string): Session | null {
    const key = digest(token);
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    const now = this.#clock.monotonic();
    this.#kept.delete(key);
    if (now - kept.began > this.#bounds.life || now - kept.used > this.#bounds.idle) return null;
    kept.used = now;
    this.#kept.set(key, kept);
    return kept.session;
  }

  end(session: Session): void {
    for (const [key, kept] of this.#kept) if (kept.session === session) this.#kept.delete(key);
  }
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
