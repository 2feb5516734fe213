/**
 * A live replay: real lookups, and real sessions up to RCPT TO. The transactions are envelopes alone, which end in RSET in place
 * of DATA, so that what is shown is what was said. The connections refuse to send a message whatever they are told.
 */
import type { Connect, Connection } from '#net-stream-utils';
import type { RunRules } from '../runner/rules.ts';
import type { Outcome } from '../smtp/outcome.ts';

/** The rules of a run that asks about recipients and sends no message. */
export function envelopesOnly(rules: RunRules): RunRules {
  return { ...rules, delivery: { ...rules.delivery, envelopeOnly: true } };
}

/** Connections on which no message can be sent. */
export function withoutData(connect: Connect): Connect {
  return (endpoint, events, tls) => refusingData(connect(endpoint, events, tls));
}

function refusingData(connection: Connection): Connection {
  return {
    write: (data) => {
      if (typeof data !== 'string' || /(?:^|\n)(?:DATA|BDAT .*)\r\n/.test(data))
        throw new Error('a message must not be sent in a live replay');
      return connection.write(data);
    },
    startTls: (options) => connection.startTls(options),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
  };
}

/** Whether the server answered RCPT TO for the recipients of this outcome. */
export function wasAsked(outcome: Outcome): boolean {
  return outcome.kind === 'delivered' || outcome.stage === 'rcpt';
}
