/** Logs users in and out, and lets programs in with HTTP's own authentication. One password is checked at a time. */
import type { IncomingMessage } from 'node:http';
import type { LoginThrottle } from '../intake/login-throttle.ts';
import type { Clock } from '../platform/clock.ts';
import { inTurn } from '../platform/in-turn.ts';
import { clientNetwork } from '../platform/ip-address.ts';
import { BOUNDS } from './bounds.ts';
import { type Users, userLine } from './password.ts';
import { cookieIn } from './request.ts';
import type { Session, Sessions } from './sessions.ts';

export interface LoginDeps {
  readonly clock: Clock;
  readonly throttle: LoginThrottle;
  readonly sessions: Sessions;
  /** as the file has them now; a clause when it cannot be used */
  users(): Users | string;
  /** the cookie is sent over TLS only */
  readonly secure: boolean;
  /** `heard`: the password was looked at */
  failed(user: string, address: string, failures: number, heard: boolean): void;
  /** a session has begun */
  succeeded(user: string, address: string): void;
  warn(text: string): void;
}

/** `busy`: too many at the same time. */
export type LoginResult =
  | { readonly kind: 'in'; readonly line: string }
  | { readonly kind: 'wrong' | 'busy' };

export class Logins {
  readonly #deps: LoginDeps;
  readonly #turn = inTurn();
  /** logins that wait for their answer, by network */
  readonly #waiting = new Map<string, number>();

  constructor(deps: LoginDeps) {
    this.#deps = deps;
  }

  /** Resolves when it may be answered. */
  async check(user: string, password: string, address: string): Promise<LoginResult> {
    const network = clientNetwork(address);
    const own = this.#waiting.get(network) ?? 0;
    const all = [...this.#waiting.values()].reduce((sum, each) => sum + each, 0);
    if (own >= BOUNDS.loginsOfOne || all >= BOUNDS.logins) return { kind: 'busy' };
    this.#waiting.set(network, own + 1);
    try {
      const { delay, ...result } = await this.#turn(() => this.#attempt(user, password, address));
      await new Promise<void>((resolve) => this.#deps.clock.after(delay, resolve));
      return result;
    } finally {
      const left = (this.#waiting.get(network) ?? 1) - 1;
      if (left > 0) this.#waiting.set(network, left);
      else this.#waiting.delete(network);
    }
  }

  async #attempt(
    user: string,
    password: string,
    address: string,
  ): Promise<LoginResult & { readonly delay: number }> {
    const { throttle, failed, warn } = this.#deps;
    const turn = throttle.admit(user, address);
    if (turn.kind === 'throttled') {
      failed(user, address, turn.failures, false);
      return { kind: 'wrong', delay: turn.delay };
    }
    const users = this.#deps.users();
    if (typeof users === 'string') warn(users);
    const isShort = password.length <= BOUNDS.password;
    const line = isShort
      ? await userLine(typeof users === 'string' ? new Map() : users, user, password)
      : null;
    const done = turn.settle(line !== null);
    if (done.kind === 'accepted' && line !== null) return { kind: 'in', line, delay: done.delay };
    failed(user, address, done.kind === 'accepted' ? 0 : done.failures, true);
    return { kind: 'wrong', delay: done.delay };
  }

  /** The cookie for a new session. */
  begin(user: string, line: string, address: string): string {
    this.#deps.succeeded(user, address);
    return this.#cookie(this.#deps.sessions.begin(user, line));
  }

  /** The cookie that takes the place of the one of this session. */
  end(session: Session): string {
    this.#deps.sessions.end(session);
    return `${this.#cookie('')}; Max-Age=0`;
  }

  /** Of a request. A user whose password was changed or taken away has none. */
  sessionOf({ headers }: IncomingMessage): Session | null {
    const token = cookieIn(headers.cookie, this.#name());
    const session = token === null ? null : this.#deps.sessions.find(token);
    if (session === null) return null;
    const users = this.#deps.users();
    if (typeof users !== 'string' && users.get(session.user) === session.line) return session;
    this.#deps.sessions.end(session);
    return null;
  }

  /** With this prefix browsers take it from this host only, over TLS. */
  #name(): string {
    return this.#deps.secure ? '__Host-spoolroom' : 'spoolroom';
  }

  #cookie(value: string): string {
    const secure = this.#deps.secure ? '; Secure' : '';
    return `${this.#name()}=${value}; Path=/; HttpOnly; SameSite=Strict${secure}`;
  }
}

/** Name and password of `Authorization: Basic`; null: there is none. */
export function basicLogin(
  header: string | undefined,
): { readonly user: string; readonly password: string } | null {
  const [, encoded] = /^Basic +([\w+/=-]+)$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
