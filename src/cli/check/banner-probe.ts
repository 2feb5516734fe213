/**
 * Whether a server takes connections: connect, hear its greeting, say QUIT. Called by `check`. No mail is named, no
 * password is sent.
 */
import type { Endpoint } from '#net-stream-utils';
import type { RunDeps } from '../../runner/queue-runner.ts';
import { describeClose } from '../../smtp/network-errors.ts';
import { NO_LINES, type PartialReply, readReplyLine } from '../../smtp/reply.ts';

export interface Greeting {
  readonly greeted: boolean;
  /** the greeting, or what completes "HOST ..." */
  readonly text: string;
}

/** Milliseconds for the connection and the greeting. A server that takes longer is slow for real mail, too. */
const DEADLINE = 20_000;
/** Milliseconds for it to close after QUIT. */
const LEAVE = 2000;

export function readGreeting(
  { connect, clock }: Pick<RunDeps, 'connect' | 'clock'>,
  endpoint: Endpoint,
): Promise<Greeting> {
  return new Promise((resolve) => {
    let partial: PartialReply = NO_LINES;
    let heard: Greeting | null = null;
    const over = (otherwise: string): void => {
      timer.cancel();
      resolve(heard ?? { greeted: false, text: otherwise });
    };
    const silent = (): void => {
      connection.destroy();
      over(`did not greet within ${DEADLINE / 1000} s`);
    };
    const hear = (line: string): void => {
      const step = readReplyLine(partial, line);
      if (heard !== null) return;
      if (step.kind === 'more') {
        partial = step.partial;
        return;
      }
      heard = judged(step);
      timer.cancel();
      timer = clock.after(LEAVE, silent);
      connection.write('QUIT\r\n');
      connection.end();
    };
    const connection = connect(endpoint, {
      connected: () => {},
      secured: () => {},
      drained: () => {},
      lines: (lines) => lines.forEach(hear),
      closed: (reason) => over(describeClose(reason)),
    });
    let timer = clock.after(DEADLINE, silent);
  });
}

function judged(step: Exclude<ReturnType<typeof readReplyLine>, { kind: 'more' }>): Greeting {
  if (step.kind === 'protocol-error')
    return { greeted: false, text: `is no mail server: it says ${step.line.slice(0, 200)}` };
  const { code, text } = step.reply;
  const said = text.split('\n', 1)[0] ?? '';
  return code === 220
    ? { greeted: true, text: said }
    : { greeted: false, text: `takes no mail now: ${code} ${said}` };
}
