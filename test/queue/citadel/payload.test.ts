/** Payloads of a live room: in the form the server gives, whole, fetched once, and kept no longer than they are needed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { connect } from '../../../src/net-stream-utils/index.ts';
import { openLiveQueue } from '../../../src/queue/citadel/open.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { fromNative } from '../../support/citadel-message.ts';
import { fillableDisk } from '../../support/faulty-disk.ts';
import { type LiveScene, liveScene, MAIL, newList, openProven } from '../../support/live-room.ts';
import { NOW, SETTINGS_2017 } from '../../support/spool.ts';

const LARGE = `Subject: large\r\n\r\n${'A line of it, and 000 in it.\r\n'.repeat(20_000)}`;

async function bytesOf(queue: Queue, payload: number): Promise<string> {
  const read = await queue.readPayload(payload);
  if (read.kind !== 'found') throw new Error(read.reason);
  const pieces: Buffer[] = [];
  for await (const piece of read.message.stream()) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  assert.equal(bytes.length, read.message.size);
  return bytes.toString('latin1');
}

function filesOf({ options }: LiveScene): string[] {
  return fs.readdirSync(`${options.state}/.spoolroom/tmp`);
}

test('payloads come as the server stores them, or as it renders them', async (t) => {
  const native = '\xffA\x01I1@citref\0Palice\0T1\0MHello.\nlast\0';
  const older = await liveScene(t, '2016');
  const stored = older.double.postMail('rendered', native);
  older.double.post(newList(stored, 'b@example.com'));
  const queue = await openProven(older);
  await queue.scan();
  assert.equal(await bytesOf(queue, stored), native);
  assert.equal((await queue.readPayload(99)).kind, 'missing');
  older.double.commands.length = 0;
  older.double.deleted.set(77, fromNative(native));
  assert.equal((await queue.readPayload(77)).kind, 'missing', 'a deleted one is not sent');
  assert.deepEqual(older.double.commands, []);
  await queue.close();

  const newer = await liveScene(t, '2023');
  const body = `before\r\n000\r\nafter\r\n${'x'.repeat(10_000)}\r\n`;
  const rendered = newer.double.postMail(`Subject: zeros\r\n\r\n${body}`);
  newer.double.post(newList(rendered, 'b@example.com'));
  const second = newer.double.postMail(LARGE);
  newer.double.post(newList(second, 'b@example.com'));
  const other = await openProven(newer, SETTINGS_2017);
  await other.scan();
  assert.equal(await bytesOf(other, rendered), `Subject: zeros\r\n\r\n${body}`);
  assert.equal(await bytesOf(other, second), LARGE);
  newer.double.commands.length = 0;
  assert.equal(await bytesOf(other, second), LARGE, 'a second time');
  assert.deepEqual(newer.double.commands, []);
  await other.close();
  assert.deepEqual(fs.readdirSync(`${newer.options.state}/.spoolroom/tmp`), []);
});

test('a connection lost in the middle of a payload gives it whole all the same', async (t) => {
  const place = await liveScene(t, '2023');
  const mail = place.double.postMail(MAIL);
  place.double.post(newList(mail, 'b@example.com'));
  const queue = await openProven(place, SETTINGS_2017);
  await queue.scan();
  let broken = 0;
  place.double.fault = (line) => (line.startsWith('MSG2') && broken++ === 0 ? 'lost-after' : null);
  assert.equal(await bytesOf(queue, mail), MAIL);
  await queue.close();
});

test('a file that cannot be made a second time is not closed a second time', async (t) => {
  const { double, deps, ...place } = await liveScene(t, '2023');
  const mail = double.postMail(MAIL);
  double.post(newList(mail, 'b@example.com'));
  await (await openProven({ double, deps, ...place }, SETTINGS_2017)).close();
  const full = fillableDisk();
  const opened = await openLiveQueue(place.options, { ...deps, disk: full.disk, connect }, SETTINGS_2017);
  assert.ok(opened.kind === 'open');
  const { queue } = opened;
  await queue.scan();
  double.fault = (line) => {
    full.isFull ||= line.startsWith('MSG2');
    return full.isFull ? 'lost-before' : null;
  };
  const read = await queue.readPayload(mail);
  assert.match(
    read.kind === 'unavailable' ? read.reason : '',
    /no space is left/,
    'and not a bad descriptor',
  );
  full.isFull = false;
  double.fault = () => null;
  await queue.close();
});

test('while the server restarts, messages are unavailable and none is unreadable, and that is said once', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  const mails = Array.from({ length: 5 }, () => double.postMail(MAIL));
  for (const mail of mails) double.post(newList(mail, 'b@example.com'));
  const queue = await openProven(scene);
  const kinds = async (): Promise<readonly string[]> =>
    Promise.all(mails.map(async (mail) => (await queue.readPayload(mail)).kind));
  const before = deps.warnings.length;
  double.fault = () => 'lost-before';
  assert.deepEqual(new Set(await kinds()), new Set(['unavailable']));
  double.greeting = '551 Too many sessions\n';
  assert.deepEqual(new Set(await kinds()), new Set(['unavailable']));
  assert.equal(deps.warnings.length, before + 2, deps.warnings.join('\n'));
  double.greeting = null;
  double.fault = (line) => (line.startsWith('MSG') ? { answer: '552 Busy\n' } : null);
  assert.deepEqual(new Set(await kinds()), new Set(['unavailable']));
  double.fault = () => null;
  await queue.scan();
  assert.deepEqual(new Set(await kinds()), new Set(['found']));
  await queue.close();
});

test('a message that breaks the connection whenever it is fetched is unreadable at the third scan', async (t) => {
  const scene = await liveScene(t, '2023');
  const { double } = scene;
  const mail = double.postMail(MAIL);
  const good = double.postMail(MAIL);
  for (const each of [mail, good]) double.post(newList(each, 'b@example.com'));
  const queue = await openProven(scene, SETTINGS_2017);
  double.fault = (line) => (line === `MSG2 ${mail}` ? 'lost-before' : null);
  const kinds: string[] = [];
  for (let scan = 0; scan < 3; scan++) {
    await queue.scan();
    // Each of its destinations asks.
    for (const number of [mail, mail, good]) kinds.push((await queue.readPayload(number)).kind);
  }
  const wait = ['unavailable', 'unavailable', 'found'];
  assert.deepEqual(kinds, [...wait, ...wait, 'unreadable', 'unavailable', 'found']);
  await queue.close();
});

test('a message of a user whose type is that of a delivery list can never be sent', async (t) => {
  for (const era of ['2012', '2016', '2023'] as const) {
    const scene = await liveScene(t, era);
    const { double } = scene;
    const text =
      'Content-type: application/x-citadel-delivery-list\r\n\r\nmsgid|1\r\nremote|x@example.com|0||\r\n';
    const mail = double.postMail(text);
    const control = double.post(newList(mail, 'b@example.com'));
    const queue = await openProven(scene, era === '2023' ? SETTINGS_2017 : undefined);
    assert.deepEqual(
      (await queue.scan()).jobs.map((job) => job.control),
      [control],
    );
    assert.equal((await queue.readPayload(mail)).kind, 'rejected');
    assert.equal(
      (await queue.readPayload(control)).kind,
      'unreadable',
      'a control message is no message of a user',
    );
    await queue.close();
  }
});

test('a mail for several destinations that ask at the same time is fetched once', async (t) => {
  const scene = await liveScene(t, '2023');
  const { double } = scene;
  const mail = double.postMail(LARGE);
  double.post(newList(mail, 'b@one.example', 'c@two.example'));
  const queue = await openProven(scene);
  double.commands.length = 0;
  const texts = await Promise.all([1, 2, 3, 4].map(() => bytesOf(queue, mail)));
  assert.ok(texts.every((text) => text === LARGE));
  assert.deepEqual(
    double.commands.filter((line) => line.startsWith('MSG2')),
    [`MSG2 ${mail}`],
  );
  assert.equal(filesOf(scene).length, 1);
  await queue.close();
  assert.deepEqual(filesOf(scene), []);
});

test('a payload that is being delivered stays on our disk; one that waits, or is gone, does not', async (t) => {
  const scene = await liveScene(t, '2023');
  const { double } = scene;
  const mail = double.postMail(LARGE);
  const control = double.post(newList(mail, 'b@one.example'));
  const gone = double.postMail(LARGE);
  const removed = double.post(newList(gone, 'c@one.example'));
  const queue = await openProven(scene);
  await queue.readPayload(mail);
  await queue.readPayload(gone);
  await queue.scan(new Set([mail, gone]));
  assert.equal(filesOf(scene).length, 2);
  await queue.record(control, [{ index: 0, address: 'b@one.example', status: 4, text: 'later' }], NOW);
  double.messages.delete(removed);
  double.messages.delete(gone);
  await queue.scan(new Set());
  assert.deepEqual(filesOf(scene), []);
  assert.equal(await bytesOf(queue, mail), LARGE, 'it is fetched again for its next try');
  await queue.close();
});

for (const era of ['2012', '2016', '2023'] as const) {
  for (const ending of ['no line end', '000', 'a\r\n000\r\n', 'x\n000\n']) {
    test(`${era}: a mail that ends in ${JSON.stringify(ending)} comes whole, at everybody’s socket`, async (t) => {
      const scene = await liveScene(t, era, false);
      const { double } = scene;
      const text = `Subject: x\r\n\r\n${ending}`;
      const mail = double.postMail(text);
      double.post(newList(mail, 'b@example.com'));
      const queue = await openProven(scene);
      assert.equal(await bytesOf(queue, mail), text);
      assert.equal((await queue.scan()).jobs.length, 1, 'the session is in step');
      await queue.close();
    });
  }
}
