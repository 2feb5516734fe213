/**
 * The sessions that are open: how each began, and its state now. What a transcript needs of a session that another delivery
 * has begun.
 */
import type { Traced } from '../../delivery/trace.ts';
import type { Session } from '../../smtp/machine/session.ts';
import { beginSession } from '../../smtp/machine/session.ts';
import type { Recorded } from './transcript.ts';

export interface TimedEvent {
  /** monotonic milliseconds */
  readonly at: number;
  readonly event: Recorded;
}

interface OpenSession {
  /** what happened until the session was ready for the first time */
  readonly initiation: TimedEvent[];
  wasReady: boolean;
  last: Session;
}

/** A session that another delivery began, as it was when this one took it over. Most are never written, so the lines are not made. */
export interface TakenOver {
  readonly what: 'taken-over';
  readonly session: number;
  readonly open: OpenSession;
  /** when it began, monotonic milliseconds */
  readonly since: number;
  /** number of events of its initiation */
  readonly length: number;
  readonly last: Session;
}

export class OpenSessions {
  readonly #sessions = new Map<number, OpenSession>();
  readonly #connected = new Map<number, number>();

  connected(session: number, now: number): void {
    // Numbers start again with each run; a session that was cut off has left its entry behind.
    this.#sessions.delete(session);
    this.#connected.set(session, now);
  }

  observe(event: Traced<'session'>, now: number): void {
    const { session } = event;
    const after = event.step.session;
    if (after.state === 'closed') {
      this.forget(session);
      return;
    }
    const known = this.#sessions.get(session) ?? { initiation: [], wasReady: false, last: after };
    if (!known.wasReady) {
      this.#sessions.set(session, known);
      known.initiation.push({ at: now, event });
      known.wasReady = after.state === 'ready';
    }
    known.last = after;
  }

  forget(session: number): void {
    this.#sessions.delete(session);
    this.#connected.delete(session);
  }

  /** How the session was before this event, for a delivery that `began` then and is new to it. Call it before `observe`. */
  before({ session, step }: Traced<'session'>, began: number): TimedEvent | { at: number; event: TakenOver } {
    const open = this.#sessions.get(session);
    const connected = this.#connected.get(session);
    if (open === undefined) {
      const { policy, peer } = step.session;
      const event = { what: 'session-state', session, value: beginSession(policy, peer) } as const;
      return { at: Math.max(connected ?? began, began), event };
    }
    const { initiation, last } = open;
    const since = connected ?? initiation[0]?.at ?? began;
    return {
      at: began,
      event: { what: 'taken-over', session, open, since, length: initiation.length, last },
    };
  }

  /** number of sessions remembered now */
  get size(): number {
    return this.#sessions.size + this.#connected.size;
  }
}

/** How it began, and its state when the delivery did: at `began`, monotonic milliseconds. */
export function linesOf(
  { session, open, since, length, last }: TakenOver,
  began: number,
): readonly TimedEvent[] {
  const { policy, peer } = last;
  return [
    { at: since, event: { what: 'session-state', session, value: beginSession(policy, peer) } },
    { at: since, event: { what: 'connected', session, address: peer.address ?? peer.host } },
    ...open.initiation.slice(0, length),
    { at: began, event: { what: 'session-state', session, value: last } },
  ];
}
