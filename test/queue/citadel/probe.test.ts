/** The rival detector: no job is delivered while anything else works on the queue. Tested against a C queue run of each era. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { ConcurrentRunnerError } from '../../../src/platform/system-errors.ts';
import {
  encodeProbeState,
  parseProbeState,
  parseShutdownSnapshot,
} from '../../../src/queue/citadel/rival/probe.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { cQueueRun, type DeliveryResult } from '../../support/c-queue-run.ts';
import { type CitadelDouble, type Era, listOf } from '../../support/citadel-server.ts';
import {
  type LiveScene,
  listsIn,
  liveScene,
  MAIL,
  neighbour,
  newList,
  openLive,
  openProven,
  probesIn,
  shown,
} from '../../support/live-room.ts';
import { NOW, SETTINGS_2012, SETTINGS_2017 } from '../../support/spool.ts';

const ERAS = ['2012', '2016', '2023'] as const satisfies readonly Era[];

function settingsOf(era: Era) {
  return era === '2023' ? SETTINGS_2017 : SETTINGS_2012;
}

function listIn({ messages }: CitadelDouble, number: number): string {
  const message = messages.get(number);
  return (message === undefined ? null : listOf(message)) ?? '';
}

/** A job that waits for its time, in any era. */
function waiting(msgid: number, address: string): string {
  return `msgid|${msgid}\nsubmitted|${NOW}\nbounceto|\nretry|300\nattempted|${NOW + 86_400}\nremote|${address}|4|later\n`;
}

test('no job is taken before the probe has stayed in the room untouched', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com'));
  const queue = await openLive(scene);
  assert.deepEqual((await queue.scan()).jobs, []);
  assert.match(
    deps.warnings.join(),
    /The messages 103 \(flag\) and 104 \(probe\) are in the queue room.*150 seconds/,
  );
  const id = fs.readFileSync(`${scene.options.state}/.spoolroom/id`, 'utf8').trim();
  assert.equal(
    listIn(double, 103),
    `msgid|0\nsubmitted|${NOW}\nretry|300\nattempted|2147483647\nremote|flag.${id}@spoolroom.invalid|2|put there by the spoolroom program, leave it alone\n`,
  );
  assert.equal(
    listIn(double, 104),
    `msgid|103\nsubmitted|${NOW}\nbounceto|\nenvelope_from|probe.${id}@spoolroom.invalid\nretry|300\n` +
      `remote|probe.${id}@spoolroom.invalid|0|put there by the spoolroom program, leave it alone\n`,
  );
  deps.clock.advance(149_000);
  assert.deepEqual((await queue.scan()).jobs, []);
  deps.clock.advance(1000);
  assert.deepEqual(await shown(queue), [[control, 'b@example.com', 0]]);
  assert.deepEqual(probesIn(double), [103], 'the probe goes, the flag stays');
  assert.equal(deps.warnings.length, 1);
  await queue.close();
  const again = await openLive(scene);
  assert.equal((await again.scan()).jobs.length, 1, 'the proof is remembered');
  await again.close();
});

for (const era of ERAS) {
  for (const result of [
    'accepted',
    'refused',
    'later',
    'no-domain',
  ] as const satisfies readonly DeliveryResult[]) {
    test(`${era}: a queue run whose mail is ${result} is seen, even an idle one, and nothing is taken ever after`, async (t) => {
      const scene = await liveScene(t, era);
      const { double, deps } = scene;
      const mail = double.postMail(MAIL);
      // Nothing of it is due, so that the run has nothing else to do.
      double.post(
        era === '2023'
          ? waiting(mail, 'b@example.com').replace('retry|300\n', '')
          : waiting(mail, 'b@example.com'),
      );
      const queue = await openLive(scene, settingsOf(era));
      await queue.scan();
      deps.clock.advance(60_000);
      const mailed = cQueueRun(double, era, NOW + 60, result);
      assert.ok(
        mailed.every((address) => address.endsWith('@spoolroom.invalid')),
        mailed.join(),
      );
      deps.clock.advance(100_000);
      await assert.rejects(
        queue.scan(),
        /Something else works on the queue.*remove the file .*\.spoolroom\/trial/,
      );
      await queue.close();
      const next = await openLive(scene, settingsOf(era));
      deps.clock.advance(1_000_000);
      await assert.rejects(next.scan(), /Something else works on the queue/, 'cron starts a new process');
      await next.close();
      assert.equal(Object.keys(listsIn(double)).length, 1, 'the job of a user is as it was');
    });
  }

  test(`${era}: beside a queue run that delivers all the time, cron takes nothing`, async (t) => {
    const scene = await liveScene(t, era);
    const { double, deps } = scene;
    const taken: string[] = [];
    for (let minute = 0; minute < 8; minute++) {
      double.post(newList(double.postMail(MAIL), `minute${minute}@example.com`));
      const queue = await openLive(scene, settingsOf(era));
      const { jobs } = await queue.scan().catch(() => ({ jobs: [] }));
      taken.push(...jobs.map(({ job }) => job.recipients[0]?.address ?? ''));
      await queue.close();
      deps.clock.advance(60_000);
      cQueueRun(double, era, NOW + 60 * (minute + 1), 'accepted');
    }
    assert.deepEqual(taken, []);
  });
}

test('the flag: who removes it, as the server does with old messages, makes the wait begin again', async (t) => {
  for (const isBetween of [false, true]) {
    const scene = await liveScene(t);
    const { double, deps } = scene;
    double.post(newList(double.postMail(MAIL), 'b@example.com'));
    const first = await openProven(scene);
    if (isBetween) await first.close();
    double.messages.delete(103);
    const queue = isBetween ? await openLive(scene) : first;
    assert.deepEqual((await queue.scan()).jobs, []);
    assert.match(deps.warnings.at(-1) ?? '', /The flag was removed.*The messages 105 \(flag\) and 106 /);
    deps.clock.advance(149_000);
    assert.deepEqual((await queue.scan()).jobs, []);
    deps.clock.advance(1000);
    assert.equal((await queue.scan()).jobs.length, 1);
    assert.deepEqual(probesIn(double), [105]);
    await queue.close();
  }
});

/** A room with one job that a queue run has touched, which was seen. */
async function alarmed(t: TestContext): Promise<{ readonly scene: LiveScene; readonly queue: Queue }> {
  const scene = await liveScene(t);
  const { double } = scene;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openLive(scene);
  await queue.scan();
  cQueueRun(double, '2012', NOW + 60, 'later');
  await assert.rejects(queue.scan(), /Something else works on the queue/);
  return { scene, queue };
}

test('an alarm ends when its file is removed, without a new process', async (t) => {
  const { scene, queue } = await alarmed(t);
  const { double, deps } = scene;
  cQueueRun(double, '2012', NOW + 1200, 'later');
  await assert.rejects(queue.scan(), /Something else works on the queue/);
  fs.rmSync(`${scene.options.state}/.spoolroom/trial`);
  assert.deepEqual((await queue.scan()).jobs, []);
  deps.clock.advance(150_000);
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
});

test('an alarm that the disk does not take ends the process all the same, and the next one finds it out again (R239)', async (t) => {
  const scene = await liveScene(t);
  const { double } = scene;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openLive(scene);
  await queue.scan();
  cQueueRun(double, '2012', NOW + 60, 'later');
  const file = `${scene.options.state}/.spoolroom/trial`;
  fs.renameSync(file, `${file}.kept`);
  // Nothing can be put in the place of a directory.
  fs.mkdirSync(file);
  await assert.rejects(queue.scan(), {
    constructor: ConcurrentRunnerError,
    message: /^Something else works on the queue .* This could not be written to .*trial: .*The next process/,
  });
  await queue.close();
  fs.rmdirSync(file);
  fs.renameSync(`${file}.kept`, file);
  await assert.rejects(
    (await openLive(scene)).scan(),
    /Something else works on the queue.*next run begins the probe period again\.$/,
  );
});

test('a damaged state of the probe period counts as an alarm', async (t) => {
  const { scene, queue } = await alarmed(t);
  await queue.close();
  const file = `${scene.options.state}/.spoolroom/trial`;
  for (const damaged of [
    '',
    '{"flag":103,',
    '{"flag":103.5,"probe":null,"waited":0,"looked":0,"alarm":null}',
  ]) {
    fs.writeFileSync(file, damaged);
    const before = [...scene.double.messages.keys()];
    await assert.rejects(openLive(scene), {
      name: 'Error',
      message: /trial is damaged.*then remove the file/,
    });
    assert.deepEqual([...scene.double.messages.keys()], before);
  }
  fs.rmSync(file);
  const next = await openProven(scene);
  assert.equal((await next.scan()).jobs.length, 1);
  await next.close();
});

test('what a queue run did until it was switched off is not evidence in the probe period that begins then', async (t) => {
  const { scene, queue } = await alarmed(t);
  const { double, deps } = scene;
  await queue.close();
  cQueueRun(double, '2012', NOW + 1200, 'later');
  fs.rmSync(`${scene.options.state}/.spoolroom/trial`);
  const next = await openLive(scene);
  assert.deepEqual((await next.scan()).jobs, []);
  deps.clock.advance(150_000);
  assert.equal((await next.scan()).jobs.length, 1);
  await next.close();
});

/** What something else does to the control message of a mail. */
function rewriteAside(double: CitadelDouble, control: number, mail: number): void {
  double.messages.delete(control);
  double.post(`${newList(mail, 'b@example.com')}retry|300\nattempted|${NOW + 300}\n`);
}

async function withOneJob(t: TestContext) {
  const scene = await liveScene(t);
  const mail = scene.double.postMail(MAIL);
  const control = scene.double.post(newList(mail, 'b@example.com'));
  const queue = await openProven(scene);
  return { scene, ...scene, mail, control, queue };
}

test('a control message that something replaced stops everything, also in the next process', async (t) => {
  const { scene, double, mail, control, queue } = await withOneJob(t);
  rewriteAside(double, control, mail);
  await assert.rejects(queue.scan(), new RegExp(`replaced the control message for message ${mail}`));
  await queue.close();
  const next = await openLive(scene);
  await assert.rejects(next.scan(), new RegExp(`replaced the control message for message ${mail}`));
  await next.close();
});

test('a replacement is noticed even when a scan comes between deletion and posting', async (t) => {
  const { double, mail, control, queue } = await withOneJob(t);
  double.messages.delete(control);
  assert.deepEqual((await queue.scan()).jobs, []);
  double.post(newList(mail, 'b@example.com'));
  await assert.rejects(queue.scan(), /replaced the control message/);
  await queue.close();
});

/** We and a queue run deliver the same job; ours is finished before anybody scans. */
async function bothAtOnce(t: TestContext, result: DeliveryResult) {
  const scene = await liveScene(t);
  const { double } = scene;
  const queue = await openProven(scene);
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  await queue.scan();
  assert.deepEqual(cQueueRun(double, '2012', NOW + 60, result), ['b@example.com']);
  await queue.record(control, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(control);
  await queue.flush();
  double.post(newList(double.postMail(MAIL), 'c@example.com'));
  return { ...scene, queue };
}

test('a queue run that takes the job we are delivering is noticed, and the probe period starts again', async (t) => {
  const { double, deps, queue } = await bothAtOnce(t, 'accepted');
  assert.deepEqual((await queue.scan()).jobs, []);
  assert.match(deps.warnings.at(-1) ?? '', /A control message was deleted, and not by us/);
  assert.equal(probesIn(double).length, 2, 'a new probe is there');
  await queue.close();
});

test('and when it puts the job back that is over for us, nobody gets it again', async (t) => {
  const { queue } = await bothAtOnce(t, 'later');
  await assert.rejects(queue.scan(), /replaced the control message/);
  await queue.close();
});

test('a replacement between two processes is seen', async (t) => {
  const { scene, double, mail, control, queue } = await withOneJob(t);
  await queue.close();
  rewriteAside(double, control, mail);
  const next = await openLive(scene);
  await assert.rejects(next.scan(), /replaced the control message/);
  await next.close();
});

async function waitsAgain(queue: Queue, { deps, double }: LiveScene, job: number): Promise<void> {
  assert.deepEqual((await queue.scan()).jobs, []);
  assert.match(deps.warnings.at(-1) ?? '', /A control message was deleted, and not by us/);
  assert.equal(probesIn(double).length, 2, 'a new probe is there');
  deps.clock.advance(149_000);
  assert.deepEqual((await queue.scan()).jobs, []);
  deps.clock.advance(1000);
  assert.deepEqual(
    (await queue.scan()).jobs.map(({ control }) => control),
    [job],
  );
}

test('after a control message vanished the wait begins again', async (t) => {
  const { scene, double, mail, control, queue } = await withOneJob(t);
  const other = double.post(newList(double.postMail(MAIL), 'c@example.com'));
  double.messages.delete(control);
  double.messages.delete(mail);
  await waitsAgain(queue, scene, other);
  await queue.close();
});

test('and when it vanished between two processes', async (t) => {
  const { scene, double, mail, control, queue } = await withOneJob(t);
  const other = double.post(newList(double.postMail(MAIL), 'c@example.com'));
  await queue.close();
  double.messages.delete(control);
  double.messages.delete(mail);
  const next = await openLive(scene);
  await waitsAgain(next, scene, other);
  await next.close();
});

test('what we did ourselves is no evidence, nor is what a killed process had left before', async (t) => {
  const { scene, double, deps, control, queue } = await withOneJob(t);
  await queue.close();
  const second = await openLive(scene);
  await second.scan();
  await second.record(control, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await second.finish(control);
  await second.flush();
  // Killed here: it never says what it leaves.
  const third = await openLive(scene);
  const warnings = deps.warnings.length;
  await third.scan();
  assert.equal(deps.warnings.length, warnings);
  assert.deepEqual(probesIn(double).length, 1);
  await third.close();
});

test('a clock that is set proves nothing', async (t) => {
  for (const jump of [3_600_000, -3_600_000]) {
    const scene = await liveScene(t);
    scene.double.post(newList(scene.double.postMail(MAIL), 'b@example.com'));
    const queue = await openLive(scene);
    await queue.scan();
    scene.deps.clock.step(jump);
    assert.deepEqual((await queue.scan()).jobs, [], 'the probe period begins again');
    await queue.close();
    const next = await openLive(scene);
    scene.deps.clock.step(jump);
    assert.deepEqual((await next.scan()).jobs, [], 'a minute at most between two processes');
    scene.deps.clock.advance(150_000);
    assert.equal((await next.scan()).jobs.length, 1);
    await next.close();
  }
});

test('the time in which the server is away proves nothing', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openLive(scene);
  await queue.scan();
  double.fault = () => 'lost-before';
  for (let minute = 0; minute < 10; minute++) {
    deps.clock.advance(60_000);
    await assert.rejects(queue.scan(), /is lost/);
  }
  double.fault = () => null;
  assert.deepEqual((await queue.scan()).jobs, [], 'its first queue run comes within a minute');
  deps.clock.advance(90_000);
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
});

test('cron takes mail after a few runs, though none of them stays', async (t) => {
  const scene = await liveScene(t);
  scene.double.post(newList(scene.double.postMail(MAIL), 'b@example.com'));
  const taken: number[] = [];
  for (let minute = 0; minute < 5; minute++) {
    const queue = await openLive(scene);
    taken.push((await queue.scan()).jobs.length);
    await queue.close();
    scene.deps.clock.advance(60_000);
  }
  assert.deepEqual(taken, [0, 0, 0, 1, 1]);
});

test('a second spoolroom with another state directory takes nothing, and the first one goes on', async (t) => {
  const first = await liveScene(t);
  const { double } = first;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openProven(first);
  const second = neighbour(first);
  const other = await openLive(second);
  await assert.rejects(
    other.scan(),
    /Another spoolroom, with another state directory.*its flag is the message 103.*delete the message 103/,
  );
  assert.deepEqual(probesIn(double), [103], 'it puts nothing there');
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
  // The first one is gone for good, and its flag is deleted by hand.
  double.messages.delete(103);
  assert.deepEqual((await other.scan()).jobs, []);
  second.deps.clock.advance(150_000);
  assert.equal((await other.scan()).jobs.length, 1);
  await other.close();
});

test('two that begin at the same time: one takes nothing', async (t) => {
  const first = await liveScene(t);
  const { double } = first;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const second = neighbour(first);
  const rooms = await Promise.all([openLive(first), openLive(second)]);
  await Promise.all(rooms.map((queue) => queue.scan().catch(() => {})));
  for (const { deps } of [first, second]) deps.clock.advance(150_000);
  const taken = await Promise.all(
    rooms.map((queue) =>
      queue.scan().then(
        ({ jobs }) => jobs.length,
        () => 0,
      ),
    ),
  );
  assert.deepEqual([...taken].sort(), [0, 1]);
  for (const queue of rooms) await queue.close();
});

test('a message to an address like those of the probe is a normal message', async (t) => {
  const scene = await liveScene(t);
  const { double } = scene;
  const control = double.post(
    newList(
      double.postMail(MAIL),
      'flag.ab@spoolroom.invalid',
      'probe.ab@spoolroom.invalid',
      'b@example.com',
    ),
  );
  const queue = await openProven(scene);
  assert.deepEqual(
    (await shown(queue)).map(([number]) => number),
    [control, control, control],
  );
  await queue.close();
});

test('a probe that is not shown for a short time is not an alarm', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  double.post(newList(double.postMail(MAIL), 'b@example.com'));
  await (await openProven(scene)).close();
  double.fault = (line) => (line === 'MSG0 103|1' ? { answer: '552 busy, try again\n' } : null);
  const queue = await openLive(scene);
  assert.deepEqual((await queue.scan()).jobs, []);
  assert.match(deps.warnings.at(-1) ?? '', /does not show the message 103, which is the flag or the probe/);
  double.fault = () => null;
  assert.equal((await queue.scan()).jobs.length, 1);
  await queue.close();
});

test('messages of an earlier probe period are removed when its state is gone', async (t) => {
  const scene = await liveScene(t);
  await (await openProven(scene)).close();
  fs.rmSync(`${scene.options.state}/.spoolroom/trial`);
  const queue = await openProven(scene);
  await queue.close();
  assert.deepEqual(probesIn(scene.double), [103]);
});

test('after an alarm an administrator begins anew, and what the queue run left of the probe goes', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openLive(scene);
  await queue.scan();
  double.messages.delete(control);
  cQueueRun(double, '2012', NOW + 60, 'later');
  await assert.rejects(queue.scan(), /tried to deliver the probe/);
  await queue.close();
  fs.rmSync(`${scene.options.state}/.spoolroom/trial`);
  double.post(newList(double.postMail(MAIL), 'c@example.com'));
  const next = await openLive(scene);
  assert.deepEqual((await next.scan()).jobs, []);
  deps.clock.advance(150_000);
  assert.deepEqual(
    (await shown(next)).map(([, address]) => address),
    ['c@example.com'],
  );
  assert.equal(probesIn(double).length, 1);
  await next.close();
});

test('the state of the probe period is read as it was written; anything else is not one', () => {
  const stored = { flag: 3, probe: null, waited: 150_000, looked: 7, alarm: 'x' } as const;
  for (const state of [stored, { ...stored, waited: 60_000.284_517, looked: 7.5 }])
    assert.deepEqual(parseProbeState(encodeProbeState(state)), state);
  for (const text of [
    '',
    'message 3 posted 7\n',
    '{}',
    'null',
    encodeProbeState(stored).replace('"x"', '5'),
    '{"flag":3,"probe":"4"}',
  ])
    assert.equal(parseProbeState(text), null, text);
  const left = [[5, 4]] as const;
  assert.deepEqual(parseShutdownSnapshot(encodeProbeState(left)), left);
  for (const text of ['', '{}', '[[5]]', '[["5",4]]', '[5'])
    assert.deepEqual(parseShutdownSnapshot(text), [], text);
});

test('a kept state with one byte less, or another, holds its alarm or is damaged; a wait below zero would never end (R299)', () => {
  const state = {
    flag: 3,
    probe: 4,
    waited: 60_000.25,
    looked: 1_795_880_000_000.5,
    alarm: 'removed the probe',
  };
  const text = JSON.stringify(state);
  for (let at = 0; at < text.length; at++) {
    for (const put of ['', '\0', '"', '}', '-', '9'])
      assert.notEqual(
        parseProbeState(text.slice(0, at) + put + text.slice(at + 1))?.alarm,
        null,
        `${put} at ${at}`,
      );
    assert.equal(parseProbeState(text.slice(0, at)), null);
  }
  assert.equal(parseProbeState(JSON.stringify({ ...state, waited: -1 })), null);
});
