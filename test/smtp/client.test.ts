/** What only the client can show: deadlines while a large message is being sent, and the end of a connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connect, ConnectionEvents } from '#net-stream-utils';
import { type AttemptedMessage, DeliveryAttempt } from '../../src/delivery/attempt.ts';
import type { OutgoingMessage } from '../../src/message/outgoing.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import { World } from '../../src/replay/world/world.ts';
import { destinationOf } from '../../src/routing/route.ts';
import { SmtpClient } from '../../src/smtp/client/client.ts';
import type { ClientListener } from '../../src/smtp/client/listener.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { DEADLINES, message, rulesWith, schedulerIn } from '../delivery/scheduling.ts';
import { emptyJob } from '../support/jobs.ts';
import { createManualClock } from '../support/manual-clock.ts';

const PIECES = 20;
const PIECE = 'A line of a large message.\r\n';

/** Sends a message whose chunks become available every `pause` milliseconds. */
async function sendSlowly(pause: number): Promise<Outcome | undefined> {
  const clock = new VirtualClock(0);
  const world = new World(
    { names: { '*': { mx: [[10, 'mx']], a: ['192.0.2.1'] } }, servers: { '*': {} } },
    clock,
  );
  const rules = rulesWith();
  const scheduler = schedulerIn(world, clock, rules);
  const outgoing: OutgoingMessage = {
    ...message(''),
    text: null,
    size: PIECES * PIECE.length,
    async *chunks() {
      for (let piece = 0; piece < PIECES; piece++) {
        await new Promise<void>((resolve) => clock.after(pause, resolve));
        yield Buffer.from(PIECE);
      }
    },
  };
  const outcomes: Outcome[] = [];
  const attempted: AttemptedMessage = {
    job: { control: 1, job: emptyJob('2012'), warnings: [] },
    load: async () => ({ outgoing, sender: 'me@me.example' }),
    recordOutcome: (_destination, _recipients, outcome) => {
      outcomes.push(outcome);
      return outcome;
    },
    holdBack: () => {},
    attemptDone: () => {},
  };
  const destination = destinationOf('a.example', 'me@me.example', rules.routing);
  scheduler.add(new DeliveryAttempt(attempted, destination, [{ id: 0, address: 'r@a.example' }], false));
  await clock.runUntil(scheduler.run());
  if (outcomes[0]?.kind === 'delivered') assert.equal(world.arrived[0]?.body, PIECE.repeat(PIECES));
  return outcomes[0];
}

describe('a large message over a slow connection', () => {
  it('may take any time as long as bytes are moving (R052)', async () => {
    const outcome = await sendSlowly(DEADLINES.body - 1000);
    assert.equal(outcome?.kind, 'delivered');
  });

  it('fails for this run when nothing moves any more (R032)', async () => {
    const outcome = await sendSlowly(DEADLINES.body + 1000);
    assert.ok(outcome?.kind === 'failed' && !outcome.permanent);
    assert.match(outcome.text, /said nothing for 180 seconds while we were sending the message/);
  });
});

interface Bench {
  readonly clock: ReturnType<typeof createManualClock>;
  readonly calls: string[];
  readonly client: SmtpClient;
  /** as the connection tells them */
  readonly events: ConnectionEvents;
}

/** A client with a connection that does nothing by itself. */
function bench(): Bench {
  const clock = createManualClock();
  const calls: string[] = [];
  const record = (name: string) => () => {
    calls.push(name);
  };
  const listener: ClientListener = {
    connected: record('connected'),
    ready: record('ready'),
    body: () => message(''),
    nextTransaction: () => null,
    outcome: record('outcome'),
    transactionDone: record('transactionDone'),
    requeue: record('requeue'),
    convertMessage: record('convertMessage'),
    hostFailed: record('hostFailed'),
    tlsUnusable: record('tlsUnusable'),
    extensionRefused: record('extensionRefused'),
    ended: record('ended'),
    closed: record('closed'),
    trace: record('trace'),
  };
  const connection = { write: () => true, startTls: () => {}, end: () => {}, destroy: record('destroy') };
  const peer = { host: 'mx.example', address: '192.0.2.1', port: 25 };
  const host = { name: 'mx.example', literal: null, port: 25, origin: 'mx', preference: 10 } as const;
  const rules = rulesWith();
  let events: ConnectionEvents | null = null;
  const connect: Connect = (_, given) => {
    events = given;
    return connection;
  };
  const client = new SmtpClient(
    {
      number: 1,
      endpoint: peer,
      peer,
      policy: rules.policyFor({ ...host, credentials: null, implicitTls: false }, false),
      credentials: null,
      tls: rules.tlsFor({ ...host, credentials: null, implicitTls: false }),
      deadlines: DEADLINES,
    },
    { connect, clock },
    () => listener,
  );
  assert.ok(events !== null);
  return { clock, calls, client, events };
}

describe('a client whose connection was never opened', () => {
  it('reports its failure and its end once, however often it is interrupted', () => {
    const { client, calls } = bench();
    assert.ok(!client.ready);
    client.destroy();
    assert.deepEqual(calls, []);
    client.interrupt('is not needed any more');
    client.interrupt('is not needed any more');
    client.quit();
    assert.deepEqual(calls, ['ended', 'destroy', 'closed', 'hostFailed']);
  });
});

describe('a server that never ends its reply', () => {
  const pieces: readonly (readonly [string, readonly string[], boolean])[] = [
    ['a byte of it at a time', [], true],
    ['a line of it at a time', ['220-wait'], false],
  ];
  for (const [name, lines, partial] of pieces)
    it(`has no longer than for a whole one: ${name} (R285)`, () => {
      const { clock, calls, events } = bench();
      events.connected();
      clock.advance(DEADLINES.greeting - 1);
      events.lines(lines, partial);
      clock.advance(1);
      assert.ok(calls.includes('hostFailed'), calls.join());
    });
});
