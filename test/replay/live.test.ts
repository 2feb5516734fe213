/** `replay --live` stops after RCPT TO: what the servers of a world receive through its connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connect, Connection, ConnectionEvents } from '../../src/net-stream-utils/index.ts';
import { dialogueLines } from '../../src/output/replay/dialogue.ts';
import { envelopesOnly, withoutData } from '../../src/replay/live.ts';
import { perform } from '../../src/replay/simulation.ts';
import type { Timeline } from '../../src/replay/timeline.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { MAIL, NOW, payloadOf, queuedFor, rulesOf, settingsWith } from './recording.ts';

async function probe(script: WorldScript, ...recipients: readonly string[]) {
  const clock = new VirtualClock(NOW);
  const world = new World(script, clock);
  const received: string[] = [];
  const recording: Connect = (endpoint, events, tls) => {
    const connection = world.connect(endpoint, events, tls);
    return {
      startTls: (options) => connection.startTls(options),
      end: () => connection.end(),
      destroy: () => connection.destroy(),
      write: (data) => {
        received.push(
          ...String(data)
            .split('\r\n')
            .filter((line) => line !== ''),
        );
        return connection.write(data);
      },
    };
  };
  const simulation = {
    lists: [queuedFor(...recipients)] as const,
    payload: payloadOf(MAIL),
    rules: envelopesOnly(rulesOf(settingsWith())),
    now: NOW,
    force: true,
  };
  const deps = { resolver: world.resolver, connect: withoutData(recording), clock, random: () => 0.5 };
  const performed = await perform(simulation, deps, new Promise(() => {}), (done) => clock.runUntil(done));
  const { timeline } = performed;
  const outcomes = timeline.outcomes.map(
    ({ address, outcome }) => `${address} ${outcome.kind} ${outcome.code}`,
  );
  return { world, received, timeline, outcomes, after: performed.after(8), said: saidIn(timeline) };
}

/** The commands that the timeline shows. */
function saidIn({ events }: Timeline): readonly string[] {
  return events.flatMap((event) =>
    event.what === 'session'
      ? dialogueLines(event.event, event).flatMap(({ from, text }) => (from === 'us' ? [text] : []))
      : [],
  );
}

const LINE_BY_LINE: WorldScript = { ...WORLDS.accept, servers: { '*': { ehlo: '250 mx' } } };
const CHUNKING: WorldScript = {
  ...WORLDS.accept,
  servers: { '*': { ehlo: '250-mx\n250-PIPELINING\n250 CHUNKING' } },
};

for (const [name, world] of [
  ['pipelined', WORLDS.accept],
  ['line by line', LINE_BY_LINE],
  ['with CHUNKING', CHUNKING],
] as const) {
  test(`${name}: RSET is sent in place of DATA, and what is shown is what was sent`, async () => {
    const { world: after, received, outcomes, said } = await probe(world, 'a@one.example', 'b@one.example');
    assert.deepEqual(after.arrived, []);
    const verbs = received.map((line) => line.split(/[ :]/)[0]);
    assert.deepEqual(verbs, ['EHLO', 'MAIL', 'RCPT', 'RCPT', 'RSET', 'QUIT']);
    assert.deepEqual(said, received);
    assert.deepEqual(outcomes, ['a@one.example delivered 250', 'b@one.example delivered 250']);
  });
}

test('what a server offers is shown as it offers it', async () => {
  const { timeline } = await probe(CHUNKING, 'a@one.example');
  const replies = timeline.events.flatMap((event) =>
    event.what === 'session' && event.event.type === 'reply' ? [event.event.reply.text] : [],
  );
  assert.ok(replies.includes('mx\nPIPELINING\nCHUNKING'), JSON.stringify(replies));
  assert.ok(!timeline.events.some(({ what }) => what === 'body'));
});

test('a recipient that is accepted keeps its line, a refused one gets its status', async () => {
  const rcpt = { 'b@one.example': '451 4.7.1 Greylisted', 'gone@one.example': '550 5.1.1 no such user' };
  const { after, outcomes, world } = await probe(
    { ...WORLDS.accept, servers: { '*': { rcpt } } },
    'b@one.example',
    'a@one.example',
    'gone@one.example',
  );
  assert.deepEqual(outcomes, [
    'b@one.example failed 451',
    'a@one.example delivered 250',
    'gone@one.example failed 550',
  ]);
  assert.deepEqual(
    after.job.recipients.map(({ status }) => status),
    [4, 0, 5],
  );
  assert.equal(after.finished, false);
  assert.deepEqual(world.arrived, []);
});

test('a reused session stays in step after the stop', async () => {
  const { outcomes, world } = await probe(WORLDS.accept, 'a@one.example', 'b\xc3\xa9@one.example');
  assert.deepEqual(outcomes, ['a@one.example delivered 250', 'b\xc3\xa9@one.example delivered 250']);
  assert.deepEqual(world.arrived, []);
});

test('a message cannot be sent, whatever the connection is told', () => {
  const sent: (string | Uint8Array)[] = [];
  const connection: Connection = {
    write: (data) => sent.push(data) > 0,
    startTls: () => {},
    end: () => {},
    destroy: () => {},
  };
  const live = withoutData(() => connection)({ address: '192.0.2.1', port: 25 }, {} as ConnectionEvents);
  for (const data of ['DATA\r\n', 'RCPT TO:<a@b>\r\nDATA\r\n', 'BDAT 12 LAST\r\n', Buffer.from('Subject: x')])
    assert.throws(() => live.write(data), /must not be sent/);
  assert.equal(live.write('RCPT TO:<data@example.com>\r\nRSET\r\n'), true);
  assert.deepEqual(sent, ['RCPT TO:<data@example.com>\r\nRSET\r\n']);
});
