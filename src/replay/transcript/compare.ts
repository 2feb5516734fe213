/**
 * Whether the machines still take the way of a transcript: feeds them its events and compares rows, states and
 * effects. Called by `replay --check` and by the test of the fixtures. Performs nothing.
 */
import { beginDelivery } from '../../delivery/delivery.ts';
import { advance } from '../../delivery/machine.ts';
import { next } from '../../smtp/machine/machine.ts';
import type { Session } from '../../smtp/machine/session.ts';
import type { Transcript, TranscriptLine } from './transcript.ts';

export interface Difference {
  /** line of the transcript, from 1 */
  readonly line: number;
  readonly event: unknown;
  readonly recorded: Way;
  readonly taken: Way;
}

/** What a machine made of an event. */
interface Way {
  readonly rows: readonly string[];
  readonly state: string;
  readonly effects: readonly unknown[];
}

/** The first difference, or null when there is none. */
export function compareTranscript({ header, lines }: Transcript): Difference | null {
  const follow = follower(header.indices);
  for (const [index, line] of lines.entries()) {
    const ways = follow(line);
    if (ways !== null && JSON.stringify(ways.recorded) !== JSON.stringify(ways.taken)) {
      return { line: index + 2, ...ways };
    }
  }
  return null;
}

function follower(recipients: readonly number[]): (line: TranscriptLine) => Omit<Difference, 'line'> | null {
  let delivery = beginDelivery(recipients);
  const sessions = new Map<number, Session>();
  return (line) => {
    switch (line.what) {
      case 'session-state':
        sessions.set(line.session, line.value);
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
        const recorded: Way = { rows: line.rows, state: line.state, effects: line.effects };
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
