/**
 * Whether the machines still behave as a transcript says: feeds them its events and compares rows, states and effects. No
 * effect is performed.
 */
import { beginDelivery } from '../../delivery/delivery.ts';
import { advance } from '../../delivery/machine.ts';
import { next } from '../../smtp/machine/machine.ts';
import type { Session } from '../../smtp/machine/session.ts';
import { beginSession } from '../../smtp/machine/session.ts';
import type { Transcript, TranscriptLine } from './transcript.ts';

export interface Difference {
  /** line of the transcript, from 1 */
  readonly line: number;
  readonly event: unknown;
  readonly recorded: Reaction;
  readonly taken: Reaction;
}

/** What a machine did on an event. */
interface Reaction {
  readonly rows: readonly string[];
  readonly state: string;
  readonly effects: readonly unknown[];
}

/** The first difference; null when there is none. */
export function compareTranscript({ header, lines }: Transcript): Difference | null {
  const replay = replayer(header.indices);
  for (const [index, line] of lines.entries()) {
    const step = replay(line);
    if (step !== null && JSON.stringify(step.recorded) !== JSON.stringify(step.taken)) {
      return { line: index + 2, ...step };
    }
  }
  return null;
}

function replayer(recipients: readonly number[]): (line: TranscriptLine) => Omit<Difference, 'line'> | null {
  let delivery = beginDelivery(recipients);
  const sessions = new Map<number, Session>();
  return (line) => {
    switch (line.what) {
      case 'session-state':
        // A transcript of an earlier release lacks the fields that came later.
        sessions.set(line.session, { ...beginSession(line.value.policy, line.value.peer), ...line.value });
        return null;
      case 'delivery': {
        const step = advance(delivery, line.event);
        delivery = step.delivery;
        return {
          event: line.event,
          recorded: { rows: rowsOf(line.row), state: line.state, effects: line.effects },
          taken: { rows: rowsOf(step.row), state: delivery.state, effects: step.effects },
        };
      }
      case 'session': {
        const session = sessions.get(line.session);
        const recorded: Reaction = { rows: line.rows, state: line.state, effects: line.effects };
        if (session === undefined) {
          return { event: line.event, recorded, taken: { rows: [], state: 'unknown', effects: [] } };
        }
        const step = next(session, line.event);
        sessions.set(line.session, step.session);
        const taken = { rows: step.rows, state: step.session.state, effects: step.effects };
        return { event: line.event, recorded, taken };
      }
      case 'lookup':
      case 'connected':
      case 'body':
      case 'digest':
      case 'outcome':
        return null;
    }
  };
}

function rowsOf(row: string | null): readonly string[] {
  return row === null ? [] : [row];
}
