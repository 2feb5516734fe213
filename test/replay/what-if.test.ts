/** The recorded world: the same dialogue under the same rules, and a stop where the recording has no answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from '../../src/replay/simulation.ts';
import type { Timeline } from '../../src/replay/timeline.ts';
import { recordedWorld } from '../../src/replay/world/recorded-world.ts';
import type { WorldScript } from '../../src/replay/world/world.ts';
import { WORLDS } from '../../src/replay/world/worlds.ts';
import {
  MAIL,
  NOW,
  payloadOf,
  queuedFor,
  record,
  rulesOf,
  settingsWith,
  transcriptOf,
  worldFile,
} from './recording.ts';

const ALICE = 'alice@one.example';

async function replayed(
  world: WorldScript,
  given: { readonly [name: string]: unknown } = {},
  recordedWith: { readonly [name: string]: unknown } = {},
): Promise<{ readonly timeline: Timeline; readonly recorded: readonly unknown[] }> {
  const queued = queuedFor(ALICE);
  const { transcripts } = await record(queued, world, recordedWith, 'all');
  const transcript = transcriptOf(transcripts[0]);
  const rules = rulesOf(settingsWith(given));
  const simulation = { lists: [queued] as const, payload: payloadOf(MAIL), rules, now: NOW, force: true };
  const { timeline } = await simulate(simulation, recordedWorld(transcript));
  const recorded = transcript.lines.filter((line) => line.what === 'session').map(reactionOf);
  return { timeline, recorded };
}

function reactionOf(line: {
  readonly rows: readonly string[];
  readonly effects: readonly unknown[];
}): unknown {
  return { rows: line.rows, effects: line.effects };
}

const RECORDED: readonly (readonly [string, WorldScript])[] = [
  ...Object.entries(WORLDS),
  ['two-hosts', worldFile('two-hosts')],
  ['starttls', worldFile('starttls')],
];

for (const [name, world] of RECORDED) {
  test(`recorded in ${name}, the sessions run the same again`, async () => {
    const { timeline, recorded } = await replayed(world);
    assert.equal(timeline.unrecorded, null);
    const sessions = timeline.events.filter(
      (event) => event.what === 'session' && event.deliveries.length > 0,
    );
    assert.deepEqual(
      sessions.map((event) => (event.what === 'session' ? reactionOf(event) : null)),
      recorded,
    );
  });
}

test('a shorter deadline expires as it would have done', async () => {
  const world = worldFile('two-hosts');
  const names = { ...world.names, 'mx2.one.example': { a: ['192.0.2.2'] } };
  const { timeline } = await replayed({ ...world, names }, { 'timeout.greeting': '30s' });
  assert.equal(timeline.unrecorded, null);
  assert.match(JSON.stringify(timeline), /said nothing for 30 seconds/);
});

test('nothing is invented about a host that was not contacted', async () => {
  const { timeline } = await replayed(worldFile('two-hosts'), { 'timeout.greeting': '30s' });
  assert.equal(timeline.unrecorded, 'what happens when 2001:db8::2 is contacted');
});

test('nothing is invented beyond a recorded timeout', async () => {
  const { timeline } = await replayed(WORLDS.silent, { 'timeout.greeting': '20m' });
  assert.match(timeline.unrecorded ?? '', /what 192\.0\.2\.25 answers to greeting/);
  assert.deepEqual(timeline.outcomes, []);
});

test('a command that was not sent has no reply', async () => {
  const { timeline } = await replayed(worldFile('starttls'), {}, { tls: 'none' });
  assert.equal(timeline.unrecorded, 'what 192.0.2.1 answers to STARTTLS');
});

test('settings that need no further reply lead to an outcome', async () => {
  const { timeline } = await replayed(WORLDS['refuse-rcpt'], { tls: 'require' });
  assert.equal(timeline.unrecorded, null);
  assert.match(timeline.outcomes[0]?.outcome.text ?? '', /TLS/);
});

test('another destination is not in the recording', async () => {
  const { timeline } = await replayed(WORLDS.accept, { smarthost: ['smart.example'] });
  assert.match(timeline.unrecorded ?? '', /DNS says to "A+ smart.example"/);
});
