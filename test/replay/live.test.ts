/** `--live` goes as far as RCPT TO and no further: what the servers of a world got to hear through its connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connect } from '../../src/net-stream-utils/index.ts';
import { STOPPED, withoutData } from '../../src/replay/live.ts';
import { perform } from '../../src/replay/simulation.ts';
import { VirtualClock } from '../../src/replay/world/virtual-clock.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { World } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import { MAIL, NOW, payloadOf, queuedFor, rulesOf, settingsWith, worldFile } from './plays.ts';

async function probe(script: WorldScript, ...recipients: readonly string[]) {
  const clock = new VirtualClock(NOW);
  const world = new World(script, clock);
  const heard: string[] = [];
  const listening: Connect = (endpoint, events, tls) => {
    const connection = world.connect(endpoint, events, tls);
    return {
      ...connection,
      write: (data) => {
        heard.push(
          ...String(data)
            .split('\r\n')
            .filter((line) => line !== ''),
        );
        return connection.write(data);
      },
    };
  };
  const play = {
    queued: queuedFor(...recipients),
    payload: payloadOf(MAIL),
    rules: rulesOf(settingsWith()),
    now: NOW,
  };
  const ports = { resolver: world.resolver, connect: withoutData(listening), clock, random: () => 0.5 };
  const story = await perform(play, ports, new Promise(() => {}), (done) => clock.runUntil(done));
  const outcomes = story.outcomes.map(({ address, outcome }) => `${address} ${outcome.code}`);
  return { world, heard, story, outcomes };
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
  test(`${name}: RSET takes the place of DATA, and no message leaves`, async () => {
    const { world: played, heard, story } = await probe(world, 'a@one.example', 'b@one.example');
    assert.deepEqual(played.arrived, []);
    const verbs = heard.map((line) => line.split(/[ :]/)[0]);
    assert.deepEqual(verbs.slice(0, 5), ['EHLO', 'MAIL', 'RCPT', 'RCPT', 'RSET']);
    assert.ok(!verbs.includes('DATA') && !verbs.includes('BDAT'));
    assert.equal(verbs.at(-1), 'QUIT');
    assert.equal(story.outcomes.length, 2);
    for (const { outcome } of story.outcomes) assert.ok(STOPPED.endsWith(outcome.text), outcome.text);
  });
}

test('what a server says about a recipient is what it says', async () => {
  const { outcomes, world } = await probe(worldFile('two-hosts'), 'a@one.example', 'gone@one.example');
  assert.deepEqual(outcomes, ['a@one.example 451', 'gone@one.example 550']);
  assert.deepEqual(world.arrived, []);
});

test('a session that is reused after the stop stays in step', async () => {
  const { outcomes, world } = await probe(WORLDS.accept, 'a@one.example', 'b\xc3\xa9@one.example');
  assert.deepEqual(outcomes, ['a@one.example 451', 'b\xc3\xa9@one.example 451']);
  assert.deepEqual(world.arrived, []);
});
