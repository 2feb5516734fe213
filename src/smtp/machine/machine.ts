/**
 * The protocol logic of one connection: which command next, what an answer means. `next(session, event)` looks
 * up the row of `table.ts` that fits and carries out its actions on a copy; the result and the effects are
 * plain data. Sockets, recorded transcripts and the simulated world drive the same function. It never sees a
 * socket, a clock, a credential or a byte of a message body.
 */
import { rowFor } from './rows.ts';
import type { Draft, Session, SessionEvent, Step } from './session.ts';
import { eventName } from './session.ts';

/** The one entry. An event for which a state has no row changes nothing (`closed` has none at all). */
export function next(session: Session, event: SessionEvent): Step {
  const after = { ...session };
  const draft: Draft = { session: after, effects: [], event, stage: session.state };
  if (event.type === 'reply' && after.awaited > 0) after.awaited--;
  const rows: string[] = [];
  let row = rowFor(after.state, eventName(event), draft);
  while (row !== undefined) {
    rows.push(row.id);
    after.state = row.to;
    for (const action of row.actions) action(draft);
    row = rowFor(after.state, 'proceed', draft);
  }
  return { session: after, effects: draft.effects, rows };
}

/**
 * How many more replies the peer may give now without talking early. While a body is under way or the session
 * is idle the table itself says what an unasked reply means.
 */
export function repliesAllowed(session: Session): number {
  return session.state === 'body' || session.state === 'ready' || session.state === 'quit'
    ? Number.POSITIVE_INFINITY
    : session.awaited;
}

/**
 * Whether the next envelope may travel with the end of this message: the peer takes pipelined commands, and no
 * recipient of this one waits for a transaction of its own.
 */
export function mayChain({ capabilities, current }: Session): boolean {
  return (
    capabilities.pipelining &&
    current !== null &&
    current.postponed.length === 0 &&
    current.rcptCount === current.transaction.recipients.length
  );
}
