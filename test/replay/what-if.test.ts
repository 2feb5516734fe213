/** The recorded world: the same way under the same rules, an honest end where a changed way leaves the recording. */
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
} from './plays.ts';

const ALICE = 'alice@one.example';

async function again(
  world: WorldScript,
  given: { readonly [name: string]: unknown } = {},
  recordedUnder: { readonly [name: string]: unknown } = {},
): Promise<{ readonly story: Timeline; readonly recorded: readonly unknown[] }> {
  const queued = queuedFor(ALICE);
  const { tapes } = await record(queued, world, recordedUnder, 'all');
  const transcript = transcriptOf(tapes[0]);
  const play = { queued, payload: payloadOf(MAIL), rules: rulesOf(settingsWith(given)), now: NOW };
  const story = await simulate(play, recordedWorld(transcript));
  const recorded = transcript.lines.filter((line) => line.what === 'session').map(essence);
  return { story, recorded };
}

function essence(line: { readonly rows: readonly string[]; readonly effects: readonly unknown[] }): unknown {
  return { rows: line.rows, effects: line.effects };
}

const PLACES: readonly (readonly [string, WorldScript])[] = [
  ...Object.entries(WORLDS),
  ['two-hosts', worldFile('two-hosts')],
  ['starttls', worldFile('starttls')],
];

for (const [name, world] of PLACES) {
  test(`recorded in ${name}, the sessions go the same way again`, async () => {
    const { story, recorded } = await again(world);
    assert.equal(story.unknown, null);
    const sessions = story.moments.filter(
      (moment) => moment.what === 'session' && moment.deliveries.length > 0,
    );
    assert.deepEqual(
      sessions.map((moment) => (moment.what === 'session' ? essence(moment) : null)),
      recorded,
    );
  });
}

test('a shorter deadline is missed, as it would have been', async () => {
  const world = worldFile('two-hosts');
  const names = { ...world.names, 'mx2.one.example': { a: ['192.0.2.2'] } };
  const { story } = await again({ ...world, names }, { 'timeout.greeting': '30s' });
  assert.equal(story.unknown, null);
  assert.match(story.outcomes[0]?.outcome.text ?? '', /said nothing for 30 seconds/);
});

test('a host that was not contacted in the recording is not made up', async () => {
  const { story } = await again(worldFile('two-hosts'), { 'timeout.greeting': '30s' });
  assert.equal(story.unknown, 'what happens when 2001:db8::2 is contacted');
});

test('a longer deadline than the recorded one is not answered with an invention', async () => {
  const { story } = await again(WORLDS.silent, { 'timeout.greeting': '20m' });
  assert.match(story.unknown ?? '', /what 192\.0\.2\.25 answers to greeting/);
  assert.deepEqual(story.outcomes, []);
});

test('a command that was never said has no answer', async () => {
  const { story } = await again(worldFile('starttls'), {}, { tls: 'none' });
  assert.equal(story.unknown, 'what 192.0.2.1 answers to STARTTLS');
});

test('rules that need no further answer are followed to the end', async () => {
  const { story } = await again(WORLDS['refuse-rcpt'], { tls: 'require' });
  assert.equal(story.unknown, null);
  assert.match(story.outcomes[0]?.outcome.text ?? '', /TLS/);
});

test('another destination is not in the recording', async () => {
  const { story } = await again(WORLDS.accept, { smarthost: ['smart.example'] });
  assert.match(story.unknown ?? '', /DNS says to "A+ smart.example"/);
});
