/**
 * Real connections that never send a message: RSET is sent in place of DATA, and its reply is replaced by a refusal of DATA.
 * CHUNKING is hidden from the client, since BDAT would send the message without DATA. Greeting, EHLO, TLS, AUTH, MAIL and
 * RCPT are real.
 */
import type { Connect, Connection, ConnectionEvents } from '#net-stream-utils';
import type { TimelineOutcome } from './timeline.ts';

/** The reply to DATA that the client gets. */
export const STOPPED = '451 4.3.0 stopped before DATA: the server accepts this much, nothing was sent';

/** Whether the server accepted everything up to DATA, where the replay stopped. */
export function wasStopped({ outcome }: Pick<TimelineOutcome, 'outcome'>): boolean {
  return outcome.kind === 'failed' && outcome.code === 451 && `451 ${outcome.text}` === STOPPED;
}

/** What happens to the reply to a command: it is passed on, or replaced by `STOPPED`. */
type Pending = 'pass' | 'replace';

export function withoutData(connect: Connect): Connect {
  return (endpoint, events, tls) => {
    // Replies come in the order of the commands; the first is the greeting.
    const pending: Pending[] = ['pass'];
    return outgoing(connect(endpoint, incoming(events, pending), tls), pending);
  };
}

function outgoing(connection: Connection, pending: Pending[]): Connection {
  return {
    write: (data) => {
      if (typeof data !== 'string') throw new Error('a message must not be sent in a live replay');
      return connection.write(data.replace(/[^\n]*\n/g, (line) => commandFor(line, pending)));
    },
    startTls: (options) => connection.startTls(options),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
  };
}

function commandFor(line: string, pending: Pending[]): string {
  const stop = line === 'DATA\r\n';
  pending.push(stop ? 'replace' : 'pass');
  return stop ? 'RSET\r\n' : line;
}

function incoming(events: ConnectionEvents, pending: Pending[]): ConnectionEvents {
  return {
    ...events,
    lines: (lines, partial) =>
      events.lines(
        lines.flatMap((line) => received(line, pending)),
        partial,
      ),
  };
}

function received(line: string, pending: Pending[]): readonly string[] {
  const stop = pending[0] === 'replace';
  if (line[3] !== '-') pending.shift();
  // Without CHUNKING every message begins with DATA.
  if (!stop) return [line.replace(/^(250[- ])CHUNKING\b/i, '$1X-NOT-NOW')];
  return line[3] === '-' ? [] : [STOPPED];
}
