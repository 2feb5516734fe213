/**
 * The protocol logic of a receiving connection: what a command means now, and what is answered. `next(session, event)` finds
 * the row of table.ts that applies and runs its actions on a copy; the result and the effects are plain data. Never sees a
 * socket, a clock, a message or the passwords that are right.
 */
import { bindRows } from '../../smtp/machine/rows.ts';
import { ACTIONS } from './actions.ts';
import { VERBS, type Verb } from './commands.ts';
import { GUARDS } from './guards.ts';
import { replyNamed } from './replies.ts';
import type { Draft, Session, SessionEvent, Step } from './session.ts';
import { INTAKE_TABLE, type Row } from './table.ts';

const fitting = bindRows<Row, Draft>(INTAKE_TABLE, GUARDS, ACTIONS);

const COMMANDS: ReadonlySet<string> = new Set<Verb>(VERBS);

/** The only entry point. An event without a row in the current state changes nothing. */
export function next(session: Session, event: SessionEvent): Step {
  const after = { ...session };
  if (COMMANDS.has(event.type)) after.commands++;
  const draft: Draft = { session: after, event, effects: [] };
  const rows: string[] = [];
  let row = fitting(after.state, event.type, draft);
  while (row !== undefined) {
    rows.push(row.id);
    if (row.to !== 'same') after.state = row.to;
    // The reply is worded last, because it may tell what was done, and sent first, because a connection may end then.
    const first = draft.effects.length;
    for (const action of row.actions) action(draft);
    if (row.reply !== undefined)
      draft.effects.splice(first, 0, { type: 'reply', reply: replyNamed(row.reply, draft) });
    row = fitting(after.state, 'always', draft);
  }
  return { session: after, effects: draft.effects, rows };
}
