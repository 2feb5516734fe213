/** What a message of the queue room is: a control message, or a payload that only resembles one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isControl } from '../../../src/queue/citadel/room-message.ts';
import { transcript } from '../../support/citadel-transcript.ts';
import { listsIn, liveScene, MAIL, newList, openLive, openProven, shown } from '../../support/live-room.ts';
import { NOW } from '../../support/spool.ts';

const LIST_PART = 'part=||1||application/x-citadel-delivery-list|81||\n';
const SERVERS = `type=4\nmsgn=x@citref\npath=Citadel\ntime=1\nfrom=Citadel\nroom=__CitadelSMTPspoolout__\njrnl=do not journal\nsubj=QMSG\n`;

test('control messages and payloads are distinguished by their fields', () => {
  const rows: readonly (readonly [what: string, listing: string, control: boolean])[] = [
    ['made by the server', SERVERS + LIST_PART, true],
    ['rewritten since 2017: no author, no subject', `type=4\npath=unknown\ntime=1\n${LIST_PART}`, true],
    ['a mail of that type', `type=4\nfrom=mallory\nroom=Mail\nrcpt=x@example.com\n${LIST_PART}`, false],
    ['posted to a mailing list', `type=4\nfrom=mallory\nroom=Announce\n${LIST_PART}`, false],
    ['for Bcc recipients', `${SERVERS}nvto=x@example.com\n${LIST_PART}`, false],
    ['for Cc recipients', `${SERVERS}cccc=x@example.com\n${LIST_PART}`, false],
    ['by an author, in no room', `type=4\nfrom=mallory\n${LIST_PART}`, false],
    [
      'with a subject that says the room',
      `type=4\nfrom=m\nroom=Mail\nroom=__CitadelSMTPspoolout__\n${LIST_PART}`,
      false,
    ],
    ['part of a multipart', `${SERVERS}pref=|1\n${LIST_PART}`, false],
    ['the first of two parts', `${SERVERS}${LIST_PART}part=||2||text/plain|5||\n`, false],
    ['another part', SERVERS + LIST_PART.replace('||1||', '||1.1||'), false],
    ['another type', SERVERS + LIST_PART.replace('delivery-list', 'x'), false],
    ['no part', SERVERS, false],
  ];
  for (const [what, listing, control] of rows) assert.equal(isControl(listing), control, what);
});

test('every control message of the recorded servers is recognised, and no payload is taken for one', () => {
  let lists = 0;
  let payloads = 0;
  for (const era of ['2012', '2016', '2023'])
    for (const name of ['queue-view', 'replace'])
      for (const { said, answer } of transcript(`${era}-${name}`)) {
        if (!said.startsWith('MSG0 ') || !answer.startsWith('100')) continue;
        const isList = answer.includes(LIST_PART.slice(0, LIST_PART.indexOf('81')));
        assert.equal(isControl(answer), isList, `${era} ${said}`);
        if (isList) lists++;
        else payloads++;
      }
  assert.deepEqual([lists, payloads], [32, 19]);
});

/** By its content type alone, the part of such a message that DLAT gives is a delivery list. */
function injected(victim: number): string {
  return `msgid|${victim}\nsubmitted|${NOW}\nbounceto|\nremote|spy@evil.example|0||\nremote|boss@example.com|2|ok|\n`;
}

for (const [what, head] of [
  ['itself', (text: string) => `Content-type: application/x-citadel-delivery-list\n\n${text}`],
  [
    'in its first part',
    (text: string) =>
      `Content-type: multipart/mixed; boundary=b\n\n--b\nContent-type: application/x-citadel-delivery-list\n\n${text}\n--b--\n`,
  ],
] as const) {
  test(`a payload that is a delivery list ${what} is not a control message, listed or not`, async (t) => {
    const scene = await liveScene(t, '2016');
    const { double } = scene;
    const queue = await openProven(scene);
    const victim = double.postMail('Subject: secret\r\n\r\nfor the boss only\r\n');
    const boss = double.post(newList(victim, 'boss@example.com'));
    const fields = { A: 'mallory', F: 'mallory@citref.example', O: 'Mail', R: 'x@example.com' };
    const attack = double.put({ anonymous: 'A', format: 4, fields, text: head(injected(victim)) });
    assert.deepEqual(await shown(queue), [[boss, 'boss@example.com', 0]]);
    const control = double.post(newList(attack, 'x@example.com'));
    assert.deepEqual(await shown(queue), [
      [boss, 'boss@example.com', 0],
      [control, 'x@example.com', 0],
    ]);
    await queue.record(control, [{ index: 0, address: 'x@example.com', status: 2, text: 'ok' }], NOW);
    await queue.finish(control);
    await queue.close();
    const next = await openLive(scene);
    assert.deepEqual(await shown(next), [[boss, 'boss@example.com', 0]]);
    await next.close();
  });
}

test('a message that the server does not show now is read again later, and delays no other', async (t) => {
  const scene = await liveScene(t);
  const { double, deps } = scene;
  const queue = await openProven(scene);
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com'));
  const other = double.post(newList(double.postMail(MAIL), 'c@example.com'));
  for (const command of [`MSG0 ${control}|1`, `DLAT ${control}|1`]) {
    double.fault = (line) => (line === command ? { answer: '552 busy, try again\n' } : null);
    assert.deepEqual(await shown(queue), [[other, 'c@example.com', 0]], command);
    assert.match(deps.warnings.at(-1) ?? '', /did not show the message \d+: 552 busy/);
  }
  double.fault = (line) => (line === `MSG0 ${mail}|1` ? { answer: '552 busy\n' } : null);
  assert.deepEqual(
    (await shown(queue)).map(([number]) => number),
    [control, other],
  );
  double.fault = () => null;
  assert.deepEqual(
    (await shown(queue)).map(([number]) => number),
    [control, other],
  );
  await queue.close();
});

test('a job waits while its payload has not been shown yet, and a payload stays while a list may name it', async (t) => {
  const scene = await liveScene(t);
  const { double } = scene;
  const queue = await openProven(scene);
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com'));
  double.fault = (line) => (line === `MSG0 ${mail}|1` ? { answer: '552 busy\n' } : null);
  assert.deepEqual(await shown(queue), []);
  const second = double.post(newList(mail, 'c@example.com'));
  double.fault = (line) => (line === `MSG0 ${second}|1` ? { answer: '552 busy\n' } : null);
  assert.deepEqual(await shown(queue), [[control, 'b@example.com', 0]]);
  await queue.record(control, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(control);
  await queue.flush();
  double.fault = () => null;
  assert.ok(double.messages.has(mail), 'the other list may have named it');
  assert.deepEqual(await shown(queue), [[second, 'c@example.com', 0]]);
  double.fault = (line) => (line === `MSG0 ${foreign}|1` ? { answer: '552 busy\n' } : null);
  const foreign = double.post(newList(1, 'd@example.com'));
  await queue.record(second, [{ index: 0, address: 'c@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(second);
  await queue.flush();
  assert.ok(double.messages.has(mail));
  double.fault = () => null;
  await queue.close();
  assert.ok(!double.messages.has(mail), 'it named another one');
});

test('a control message that another one names as its payload is neither hidden nor deleted with it', async (t) => {
  const scene = await liveScene(t);
  const { double } = scene;
  const good = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const odd = double.post(newList(good, 'c@example.com'));
  const queue = await openProven(scene);
  assert.deepEqual(await shown(queue), [
    [good, 'b@example.com', 0],
    [odd, 'c@example.com', 0],
  ]);
  assert.equal((await queue.readPayload(good)).kind, 'unreadable');
  await queue.record(odd, [{ index: 0, address: 'c@example.com', status: 5, text: 'no' }], NOW);
  await queue.finish(odd);
  await queue.close();
  assert.deepEqual(Object.keys(listsIn(double)), [String(good)]);
});

test('a payload that an unreadable control message names is not deleted with another job', async (t) => {
  const scene = await liveScene(t);
  const { double } = scene;
  const mail = double.postMail(MAIL);
  const good = double.post(newList(mail, 'b@example.com'));
  const cut = double.post(newList(mail, 'c@example.com').slice(0, -1));
  const queue = await openProven(scene);
  await queue.record(good, [{ index: 0, address: 'b@example.com', status: 2, text: 'ok' }], NOW);
  await queue.finish(good);
  await queue.close();
  assert.deepEqual([double.messages.has(mail), double.messages.has(cut)], [true, true]);
});
