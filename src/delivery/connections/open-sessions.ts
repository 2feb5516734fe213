/** The sessions that have not sent QUIT, oldest first, and for how long their hosts have been silent. */
import type { Clock } from '../../platform/clock.ts';
import type { SmtpClient } from '../../smtp/client/client.ts';
import type { ConnectionTarget } from './target.ts';

interface OpenSession {
  /** monotonic milliseconds */
  readonly started: number;
  readonly target: ConnectionTarget;
  /** it has got through EHLO */
  ready: boolean;
}

export class OpenSessions {
  readonly #clock: Clock;
  readonly #silence: number;
  readonly #open = new Map<SmtpClient, OpenSession>();

  /** @param silence milliseconds after which a host is silent (`timeout.silence`) */
  constructor(clock: Clock, silence: number) {
    this.#clock = clock;
    this.#silence = silence;
  }

  get size(): number {
    return this.#open.size;
  }

  add(client: SmtpClient, target: ConnectionTarget): void {
    this.#open.set(client, { started: this.#clock.monotonic(), target, ready: false });
  }

  ready(client: SmtpClient): void {
    const session = this.#open.get(client);
    if (session !== undefined) session.ready = true;
  }

  delete(client: SmtpClient): void {
    this.#open.delete(client);
  }

  /** Milliseconds until another one has been silent for too long. */
  untilSilent(): number {
    const silence = this.#silence;
    const now = this.#clock.monotonic();
    const silent = [...this.#open].map(([client, session]) => silentSince(client, session) + silence);
    const slow = [...this.#open.keys()].map((client) => (client.owesSince('message') ?? now) + silence);
    const next = Math.min(...silent, ...slow.filter((at) => at > now));
    return Math.min(silence, Math.max(0, next - now));
  }

  /** Those that for too long have not become ready, or owe an answer about an envelope. */
  silent(): readonly { readonly client: SmtpClient; readonly target: ConnectionTarget }[] {
    const since = this.#clock.monotonic() - this.#silence;
    return [...this.#open].flatMap(([client, session]) =>
      silentSince(client, session) <= since ? [{ client, target: session.target }] : [],
    );
  }

  /** How many have waited too long for the answer to a whole message: it may be on its way. */
  slow(): number {
    const since = this.#clock.monotonic() - this.#silence;
    const waits = (client: SmtpClient): number => client.owesSince('message') ?? Number.POSITIVE_INFINITY;
    return [...this.#open.keys()].filter((client) => waits(client) <= since).length;
  }
}

/** Monotonic milliseconds; infinite: it owes no answer. */
function silentSince(client: SmtpClient, { started, ready }: OpenSession): number {
  return ready ? (client.owesSince('envelope') ?? Number.POSITIVE_INFINITY) : started;
}
