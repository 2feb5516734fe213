/** An intake at some port, clients for it, and a room that keeps what it gets: for the intake's tests. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { LoginFailure } from '../../src/intake/connection.ts';
import {
  INTAKE_DEFAULTS,
  type IntakeDeps,
  type IntakeOptions,
  startIntake,
} from '../../src/intake/listener.ts';
import type { QueuedMessage } from '../../src/intake/transaction-handler.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { temporaryDirectory } from '../support/spool.ts';
import { Conversation } from './conversation.ts';

export const MAIL = 'From: alice@citref.example\r\nTo: b@example.com\r\nSubject: hello\r\n\r\nHello.\r\n';

export interface Intake {
  readonly address: string;
  readonly queued: QueuedMessage[];
  readonly logged: string[];
  readonly failures: LoginFailure[];
  readonly close: () => Promise<void>;
  readonly client: () => Promise<Conversation>;
}

export async function start(
  t: TestContext,
  room: Pick<Queue, 'enqueue'>,
  options: Partial<IntakeOptions> = {},
  clock: Clock = systemClock,
): Promise<Intake> {
  const queued: QueuedMessage[] = [];
  const logged: string[] = [];
  const failures: LoginFailure[] = [];
  const deps: IntakeDeps = {
    queue: room,
    clock,
    events: {
      queued: (mail) => void queued.push(mail),
      refused: ({ code, text }) => void logged.push(`${code} ${text}`),
      loginFailed: (failure) => void failures.push(failure),
      warning: (text) => void logged.push(text),
    },
  };
  const started = await startIntake(
    {
      ...INTAKE_DEFAULTS,
      listen: '127.0.0.1:0',
      hostname: 'queue.example',
      scratch: temporaryDirectory(t),
      ...options,
    },
    deps,
  );
  if (started.kind === 'refused') throw new Error(started.text);
  const clients: Conversation[] = [];
  t.after(async () => {
    for (const client of clients) client.drop();
    await started.close();
  });
  return {
    ...started,
    queued,
    logged,
    failures,
    client: async () => {
      const client = await Conversation.with(started.address);
      clients.push(client);
      return client;
    },
  };
}

/** A room that keeps what it gets, when it is allowed to. */
export function memoryRoom(allow: () => Promise<void> = async () => {}) {
  const jobs: { payload: string; recipients: readonly string[]; from: string | null; bounceto: string }[] =
    [];
  const enqueue: Queue['enqueue'] = async (payload, job) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of payload instanceof Uint8Array ? [payload] : payload) pieces.push(piece);
    await allow();
    jobs.push({
      payload: Buffer.concat(pieces).toString('latin1'),
      recipients: job.recipients,
      from: job.envelopeFrom,
      bounceto: job.bounceto,
    });
    return { payload: jobs.length * 2 - 1, control: jobs.length * 2 };
  };
  return { jobs, enqueue };
}

/** Payload without the Received line on top, which must be there. */
export function below(payload: string): string {
  const trace =
    /^Received: from citadel\.example(?: \(\[127\.0\.0\.1\]\))?\r\n\tby queue\.example \(spoolroom intake\) with E?S?L?MTP;\r\n\t.*\r\n/;
  assert.match(payload, trace);
  return payload.replace(trace, '');
}
