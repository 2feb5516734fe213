/**
 * Real sockets that never carry a message: DATA is said to the driver to be refused, and RSET goes out in its place.
 * Called by `replay --live`. The reply to RSET is swallowed and the refusal stands where it was; nothing else is
 * changed, so greeting, EHLO, TLS, AUTH, MAIL and RCPT are the real ones.
 */
import type { Connect, Connection, ConnectionEvents } from '#net-stream-utils';
import type { TimelineOutcome } from './timeline.ts';

/** What the driver hears instead of an answer to DATA. */
export const STOPPED = '451 4.3.0 stopped before DATA: the server accepts this much, nothing was sent';

/** Taken up to DATA, and nothing else is known of it. */
export function wasStopped({ outcome }: Pick<TimelineOutcome, 'outcome'>): boolean {
  return outcome.kind === 'failed' && outcome.code === 451 && `451 ${outcome.text}` === STOPPED;
}

type Owed = 'pass' | 'stopped';

export function withoutData(connect: Connect): Connect {
  return (endpoint, events, tls) => {
    // Replies come in the order of the commands; the first one is the greeting.
    const owed: Owed[] = ['pass'];
    return outgoing(connect(endpoint, incoming(events, owed), tls), owed);
  };
}

function outgoing(connection: Connection, owed: Owed[]): Connection {
  return {
    write: (data) => {
      if (typeof data !== 'string') throw new Error('a message must not be sent in a live replay');
      return connection.write(data.replace(/[^\n]*\n/g, (line) => commandFor(line, owed)));
    },
    startTls: (options) => connection.startTls(options),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
  };
}

function commandFor(line: string, owed: Owed[]): string {
  const stop = line === 'DATA\r\n';
  owed.push(stop ? 'stopped' : 'pass');
  return stop ? 'RSET\r\n' : line;
}

function incoming(events: ConnectionEvents, owed: Owed[]): ConnectionEvents {
  return {
    ...events,
    lines: (lines, partial) =>
      events.lines(
        lines.flatMap((line) => heard(line, owed)),
        partial,
      ),
  };
}

function heard(line: string, owed: Owed[]): readonly string[] {
  const stop = owed[0] === 'stopped';
  if (line[3] !== '-') owed.shift();
  // Without CHUNKING a message begins with DATA and with nothing else.
  if (!stop) return [line.replace(/^(250[- ])CHUNKING\b/i, '$1X-NOT-NOW')];
  return line[3] === '-' ? [] : [STOPPED];
}
