/**
 * The protocol logic of one connection: which command comes next, what a reply means. `next(session, event)` finds the row
 * of `table.ts` that applies and runs its actions on a copy; the result and the effects are plain data. Sockets, recorded
 * transcripts and the simulation all drive this function. It never sees a socket, a clock, a credential or a message body.
 */
import { ACTIONS } from './actions.ts';
import { GUARDS } from './guards.ts';
import { bindRows } from './rows.ts';
import type { Draft, Session, SessionEvent, Step } from './session.ts';
import { eventName } from './session.ts';
import type { Row } from './table.ts';
import { SESSION_TABLE } from './table.ts';

const fitting = bindRows<Row, Draft>(SESSION_TABLE, GUARDS, ACTIONS);

/** The only entry point. An event without a row in the current state changes nothing (`closed` has no rows). */
export function next(session: Session, event: SessionEvent): Step {
  const after = { ...session };
  const draft: Draft = { session: after, effects: [], event, stage: session.state };
  if (event.type === 'reply' && after.pendingReplies > 0) after.pendingReplies--;
  let rows: readonly string[] = [];
  let row = fitting(after.state, eventName(event), draft);
  while (row !== undefined) {
    rows = rows.length === 0 ? row.alone : [...rows, row.id];
    after.state = row.to;
    for (const action of row.actions) action(draft);
    row = row.isFollowed ? fitting(after.state, 'always', draft) : undefined;
  }
  return { session: after, effects: draft.effects, rows };
}

/**
 * How many more replies the server may send now. Beyond that it is an early talker. While a body is being sent or the
 * session is idle, the table itself says what an unsolicited reply means.
 */
export function repliesAllowed(session: Session): number {
  return session.state === 'body' || session.state === 'ready' || session.state === 'quit'
    ? Number.POSITIVE_INFINITY
    : session.pendingReplies;
}

/**
 * Whether the next envelope may be sent together with the end of this message: the server supports PIPELINING, and no
 * recipient of this message needs another transaction.
 */
export function mayPipelineNext({ capabilities, current }: Session): boolean {
  return (
    capabilities.pipelining &&
    current !== null &&
    current.remaining.length === 0 &&
    current.rcptCount === current.transaction.recipients.length
  );
}
