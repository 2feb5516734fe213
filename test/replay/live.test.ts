/** `replay --live` stops after RCPT TO: what the servers of a world receive through its connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connect } from '../../src/net-stream-utils/index.ts';
import { STOPPED, withoutData } from '../../src/replay/live.ts';
import { perform } from '../../src/replay/simulation.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { MAIL, NOW, payloadOf, queuedFor, rulesOf, settingsWith, worldFile } from './recording.ts';

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
    queued: queuedFor(...recipients),
    payload: payloadOf(MAIL),
    rules: rulesOf(settingsWith()),
    now: NOW,
  };
  const deps = { resolver: world.resolver, connect: withoutData(recording), clock, random: () => 0.5 };
  const timeline = await perform(simulation, deps, new Promise(() => {}), (done) => clock.runUntil(done));
  const outcomes = timeline.outcomes.map(({ address, outcome }) => `${address} ${outcome.code}`);
  return { world, received, timeline, outcomes };
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
  test(`${name}: RSET is sent in place of DATA, and no message is sent`, async () => {
    const { world: after, received, timeline } = await probe(world, 'a@one.example', 'b@one.example');
    assert.deepEqual(after.arrived, []);
    const verbs = received.map((line) => line.split(/[ :]/)[0]);
    assert.deepEqual(verbs.slice(0, 5), ['EHLO', 'MAIL', 'RCPT', 'RCPT', 'RSET']);
    assert.ok(!verbs.includes('DATA') && !verbs.includes('BDAT'));
    assert.equal(verbs.at(-1), 'QUIT');
    assert.equal(timeline.outcomes.length, 2);
    for (const { outcome } of timeline.outcomes) assert.ok(STOPPED.endsWith(outcome.text), outcome.text);
  });
}

test('a refusal of a recipient is passed on as it is', async () => {
  const { outcomes, world } = await probe(worldFile('two-hosts'), 'a@one.example', 'gone@one.example');
  assert.deepEqual(outcomes, ['a@one.example 451', 'gone@one.example 550']);
  assert.deepEqual(world.arrived, []);
});

test('a reused session stays in step after the stop', async () => {
  const { outcomes, world } = await probe(WORLDS.accept, 'a@one.example', 'b\xc3\xa9@one.example');
  assert.deepEqual(outcomes, ['a@one.example 451', 'b\xc3\xa9@one.example 451']);
  assert.deepEqual(world.arrived, []);
});
