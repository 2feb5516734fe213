import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import type { StatusChange } from '../../../src/delivery-list/job.ts';
import { connect } from '../../../src/net-stream-utils/index.ts';
import { citadelServer } from '../../../src/queue/citadel/client/server.ts';
import { readCitadelConfig } from '../../../src/queue/citadel/client/server-config.ts';
import { openLiveQueue } from '../../../src/queue/citadel/open.ts';
import { type Disk, nodeDisk } from '../../../src/storage/disk.ts';
import { fillableDisk } from '../../support/faulty-disk.ts';
import {
  allDead,
  LOGIN,
  listsIn,
  liveScene,
  MAIL,
  newList,
  openLive,
  openProven,
  shown,
} from '../../support/live-room.ts';
import { bench, NOW, SETTINGS_2012, SETTINGS_2017 } from '../../support/spool.ts';

function outcome(index: number, address: string, status: 2 | 4 | 5, text = 'said so'): StatusChange {
  return { index, address, status, text };
}

test('outcomes are posted first and the old message deleted then; indices stay those of the scan', async (t) => {
  const place = await liveScene(t);
  const { double } = place;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com', 'c@example.com', 'd@example.com'));
  const queue = await openProven(place);
  await queue.scan();
  double.commands.length = 0;
  await queue.record(control, [outcome(0, 'b@example.com', 2, 'ok\r\nremote|x@y|0||')], NOW);
  assert.deepEqual(double.commands, [], 'the journal has it, the server not yet');
  await queue.flush();
  assert.deepEqual(double.commands, ['MSGS ALL', 'ENT0 1||0|4|QMSG||1', `DELE ${control}`, 'MSGS ALL']);
  await queue.record(control, [outcome(2, 'd@example.com', 4)], NOW);
  await queue.flush();
  const head = `msgid|${mail}\nsubmitted|${NOW}\nbounceto|a@citref.example\nretry|300\nattempted|${NOW + 300}\n`;
  assert.deepEqual(listsIn(double), {
    106: `${head}remote|b@example.com|2|ok  remote x@y 0  \nremote|c@example.com|0|\nremote|d@example.com|4|said so\n`,
  });
  const [job] = (await queue.scan()).jobs;
  assert.deepEqual([job?.control, job?.job.retry], [106, 600], 'read as the next reader will');
  await queue.close();
});

test("everybody's socket will do as well, with an admin's login", async (t) => {
  const place = await liveScene(t, '2016', false);
  const { double } = place;
  const mail = double.postMail(MAIL, 'only for citadel-admin.socket');
  const control = double.post(newList(mail, 'b@example.com'));
  const queue = await openProven(place);
  await queue.scan();
  const read = await queue.readPayload(mail);
  assert.equal(read.kind === 'found' && read.message.bytes?.toString('latin1'), MAIL);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  await queue.finish(control);
  await queue.close();
  assert.deepEqual([...double.messages.keys()], [103]);
});

test('a second attempt in the same second with the same outcome does not delete the list', async (t) => {
  const place = await liveScene(t, '2023');
  const { double } = place;
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const queue = await openProven(place, SETTINGS_2017);
  await queue.record(control, [outcome(0, 'b@example.com', 4, '421 ()')], NOW);
  await queue.flush();
  const [again] = (await queue.scan()).jobs;
  await queue.record(again?.control ?? 0, [outcome(0, 'b@example.com', 4, '421 ()')], NOW);
  // Killed here, before the flush.
  const next = await openLive(place, SETTINGS_2017);
  assert.equal((await next.scan()).jobs.length, 1);
  await next.close();
  assert.equal(Object.keys(listsIn(double)).length, 1);
});

test('a list without a line of submission is recognised after a crash', async (t) => {
  const place = await liveScene(t, '2023');
  const { double } = place;
  const mail = double.postMail(MAIL);
  const control = double.post(`msgid|${mail}\nremote|b@example.com|0||\nremote|c@example.com|0||\n`);
  const queue = await openProven(place, SETTINGS_2017);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  double.fault = (line) => (line.startsWith('DELE') ? 'lost-before' : null);
  await assert.rejects(queue.flush());
  double.fault = () => null;
  // Killed here, between the two lists.
  const next = await openLive(place, SETTINGS_2017);
  assert.deepEqual(await shown(next), [[105, 'c@example.com', 0]]);
  await next.close();
});

test('what the server refuses for one job holds up no other, and is done when it takes it', async (t) => {
  const place = await liveScene(t);
  const { double, deps } = place;
  const refused = double.post(newList(double.postMail(MAIL), 'b@example.com', 'c@example.com'));
  const queue = await openProven(place);
  await queue.record(refused, [outcome(0, 'b@example.com', 4)], NOW);
  const done = double.post(newList(double.postMail(MAIL), 'd@example.com'));
  double.post(newList(double.postMail(MAIL), 'x@example.com'));
  double.fault = (line) => (line.startsWith('ENT0') ? { answer: '511 Message too large.\n' } : null);
  assert.deepEqual(
    (await shown(queue)).map(([, address]) => address),
    ['d@example.com', 'x@example.com'],
  );
  assert.match(deps.warnings.at(-1) ?? '', /did not accept a control message: 511 Message too large/);
  await queue.record(done, [outcome(0, 'd@example.com', 2)], NOW);
  await queue.finish(done);
  await assert.rejects(queue.flush(), /511 Message too large/);
  assert.equal(double.messages.has(done), false, 'what is over goes all the same');
  double.fault = () => null;
  await queue.close();
  assert.match(Object.values(listsIn(double)).join(), /remote\|b@example\.com\|4\|said so/);
});

test('a damaged record in the middle of the journal is reported', async (t) => {
  const place = await liveScene(t);
  const { double, deps } = place;
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com', 'c@example.com'));
  const queue = await openProven(place);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  await queue.record(control, [outcome(1, 'c@example.com', 2)], NOW);
  const path = `${place.options.state}/.spoolroom/journal`;
  fs.writeFileSync(path, fs.readFileSync(path, 'latin1').replace('b@example', 'X@example'), 'latin1');
  const next = await openLive(place);
  assert.match(
    deps.warnings.at(-1) ?? '',
    /Damaged lines in .*journal were ignored: 1\..*may be sent a second time/,
  );
  await next.close();
});

test('the journal of a killed run is made durable before it is applied', async (t) => {
  const place = await liveScene(t);
  const { double } = place;
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com', 'c@example.com'));
  const queue = await openProven(place);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  const done: string[] = [];
  const disk: Disk = {
    ...nodeDisk,
    rename(from, to) {
      nodeDisk.rename(from, to);
      done.push(to.slice(to.lastIndexOf('/') + 1));
    },
  };
  double.fault = (line) => {
    if (/^(?:ENT0|DELE)/.test(line)) done.push(line.slice(0, 4));
    return null;
  };
  const next = await openLive({ ...place, deps: bench({ processes: allDead, disk }) });
  assert.deepEqual(done.slice(0, 3), ['journal', 'ENT0', 'DELE']);
  await next.close();
});

for (const hidden of ['the control message', 'what took its place'] as const) {
  test(`what a killed run knew is not dropped while ${hidden} is not shown`, async (t) => {
    const place = await liveScene(t);
    const { double, deps } = place;
    const mail = double.postMail(MAIL);
    const control = double.post(newList(mail, 'b@example.com', 'c@example.com'));
    const killed = await openProven(place);
    await killed.record(control, [outcome(0, 'b@example.com', 2)], NOW);
    if (hidden === 'what took its place') {
      double.fault = (line) => (line.startsWith('DELE') ? { answer: '550 not now\n' } : null);
      await assert.rejects(killed.flush());
      await killed.record(control, [outcome(1, 'c@example.com', 2)], NOW);
    }
    const number = hidden === 'the control message' ? control : Math.max(...double.messages.keys());
    double.fault = (line) => (line === `MSG0 ${number}|1` ? { answer: '510 not now\n' } : null);
    const queue = await openLive(place);
    assert.match(deps.warnings.at(-1) ?? '', /The journal of an interrupted run may mention it/);
    await assert.rejects(queue.scan(), new RegExp(`did not show the message ${number}`));
    double.fault = () => null;
    const statuses = (await shown(queue)).map(([, address, status]) => [address, status]);
    const late = hidden === 'what took its place' ? 2 : 0;
    assert.deepEqual(statuses, [
      ['b@example.com', 2],
      ['c@example.com', late],
    ]);
    await queue.close();
  });
}

test('what came while a list was posted without an answer is not dropped with the old list', async (t) => {
  const place = await liveScene(t);
  const { double } = place;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com', 'c@example.com'));
  const killed = await openProven(place);
  await killed.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  double.fault = (line) => (line === '(text)' ? 'lost-after' : null);
  await assert.rejects(killed.flush());
  await killed.record(control, [outcome(1, 'c@example.com', 2)], NOW);
  // The next text is not taken; the old list goes all the same.
  double.fault = (line) => (line.startsWith('ENT0') ? { answer: '552 busy\n' } : null);
  await assert.rejects(killed.flush());
  assert.ok(!double.messages.has(control));
  double.fault = () => null;
  const queue = await openLive(place);
  assert.deepEqual(
    (await shown(queue)).map(([, address, status]) => [address, status]),
    [
      ['b@example.com', 2],
      ['c@example.com', 2],
    ],
  );
  await queue.close();
});

test('2017: an outcome that neither journal nor control message can hold is not recorded', async (t) => {
  const place = await liveScene(t, '2023');
  const { double, deps, options } = place;
  await (await openProven(place, SETTINGS_2017)).close();
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  const full = fillableDisk();
  const opened = await openLiveQueue(options, { ...deps, disk: full.disk, connect }, SETTINGS_2017);
  assert.ok(opened.kind === 'open');
  const { queue } = opened;
  await queue.scan();
  full.isFull = true;
  await assert.rejects(queue.record(control, [outcome(0, 'b@example.com', 2)], NOW), /could not be written/);
  await assert.rejects(queue.flush(), 'nothing more is sent');
  full.isFull = false;
  await queue.flush();
  // Killed here.
  const next = await openLive(place, SETTINGS_2017);
  assert.deepEqual(await shown(next), [[control, 'b@example.com', 2]]);
  await next.close();
});

test('a text that the server takes after we gave it up is no second job', async (t) => {
  const place = await liveScene(t);
  const { double, deps } = place;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com', 'c@example.com'));
  const queue = await openProven(place);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  let goOn = (): void => {};
  const hanging = new Promise<void>((resolve) => {
    double.fault = async (line) => {
      if (line !== '(text)') return null;
      double.fault = () => null;
      resolve();
      await new Promise<void>((over) => {
        goOn = over;
      });
      return null;
    };
  });
  const settled = assert.rejects(queue.flush(), /sent nothing for 60 seconds/);
  await hanging;
  deps.clock.advance(60_000);
  await settled;
  await queue.flush();
  goOn();
  await queue.record(control, [outcome(1, 'c@example.com', 2)], NOW);
  await queue.finish(control);
  await queue.flush();
  assert.deepEqual(await shown(queue), [], 'nobody is tried again');
  await queue.close();
  assert.deepEqual([...double.messages.keys()], [103], 'the flag alone is left');
});

test('a connection that breaks is made anew; what was posted without an answer is found', async (t) => {
  const place = await liveScene(t);
  const { double } = place;
  const mail = double.postMail(MAIL);
  const control = double.post(newList(mail, 'b@example.com', 'c@example.com'));
  const queue = await openProven(place);
  await queue.scan();
  let broken = 0;
  double.fault = (line) => (line === 'MSGS ALL' && broken++ === 0 ? 'lost-before' : null);
  assert.equal((await queue.scan()).jobs.length, 1, 'a reading command is said again');
  let lost = 0;
  double.fault = (line) => (line === '(text)' && lost++ === 0 ? 'lost-after' : null);
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  await assert.rejects(
    queue.flush(),
    /The connection to the Citadel server at .* is lost: it closed the connection/,
  );
  await queue.flush();
  assert.equal(lost, 1, 'it was not posted a second time');
  assert.deepEqual(Object.keys(listsIn(double)), ['105']);
  await queue.close();
});

test('a server without a free session is reported, and tried again at the next scan', async (t) => {
  const place = await liveScene(t);
  const { double, deps } = place;
  double.greeting = '551 Too many users are already online (maximum is 100)\n';
  const queue = await openLive(place);
  assert.match(deps.warnings.join(), /does not accept connections \(551 Too many users/);
  await assert.rejects(queue.scan(), /551 Too many users/);
  double.greeting = null;
  await queue.scan();
  double.greeting = '551 Too many users\n';
  let broken = 0;
  double.fault = () => (broken++ === 0 ? 'lost-before' : null);
  await assert.rejects(queue.scan(), /551 Too many users/);
  double.greeting = null;
  assert.deepEqual((await queue.scan()).jobs, []);
  await queue.close();
});

test('a wrong password and a user without rights are refused with a sentence', async (t) => {
  const place = await liveScene(t);
  for (const [login, expected] of [
    [{ user: 'admin', password: 'wrong' }, /refused the password of the user admin \(540/],
    [{ user: 'nobody', password: 'x' }, /does not know the user nobody \(570/],
    [{ user: 'alice', password: 'alicepass' }, /alice is not an admin/],
  ] as const) {
    const opened = await openLiveQueue(
      { ...place.options, login },
      { ...place.deps, connect },
      SETTINGS_2012,
    );
    assert.match(opened.kind === 'refused' ? opened.text : '', expected);
  }
  await (await openLive(place)).close();
});

test('two runners of one state directory: the second one is refused', async (t) => {
  const place = await liveScene(t);
  const deps = { ...bench(), connect };
  const first = await openLiveQueue(place.options, deps, SETTINGS_2012);
  const second = await openLiveQueue(place.options, deps, SETTINGS_2012);
  assert.equal(second.kind === 'refused' && second.why, 'busy');
  if (first.kind === 'open') await first.queue.close();
});

test('name and relays come from the server, by key or by position', async (t) => {
  for (const era of ['2012', '2016'] as const) {
    const { double, deps, options } = await liveScene(t, era);
    double.config =
      'citref.example|localhost\nmail.example:587|smarthost\nlast.example|fallbackhost\n[x|smarthost\n';
    const server = citadelServer(options.server, LOGIN, { ...deps, connect });
    const { fqdn, internet } = await readCitadelConfig(server);
    assert.equal(fqdn, 'citref.example');
    assert.deepEqual(
      internet.relays.map(({ kind, host, port }) => [kind, host, port]),
      [
        ['smarthost', 'mail.example', 587],
        ['fallbackhost', 'last.example', 25],
      ],
    );
    assert.equal(internet.problems.length, 1);
    await server.close();
  }
});

test('a finished job is deleted only when the journal durably says so', async (t) => {
  const place = await liveScene(t);
  const { double } = place;
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  await (await openProven(place)).close();
  const isDeletion = (line: string): boolean => line.startsWith('DELE');
  let isHeld = false;
  let release = (): void => {};
  const disk: Disk = {
    ...nodeDisk,
    create(path, owner) {
      const file = nodeDisk.create(path, owner);
      const sync = async (): Promise<void> => {
        if (isHeld)
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        await file.sync();
      };
      return { write: (bytes) => file.write(bytes), sync, close: () => file.close() };
    },
  };
  const queue = await openLive({ ...place, deps: bench({ processes: allDead, disk }) });
  await queue.scan();
  await queue.record(control, [outcome(0, 'b@example.com', 2)], NOW);
  await queue.flush();
  double.commands.length = 0;
  isHeld = true;
  const finished = queue.finish(control);
  const flushed = queue.flush();
  // The server answers within a few turns of the event loop; without the journal nothing more may be asked of it.
  while (!double.commands.includes('MSGS ALL')) await new Promise(setImmediate);
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  assert.deepEqual(double.commands.filter(isDeletion), []);
  isHeld = false;
  release();
  await finished;
  await flushed;
  await queue.close();
  assert.ok(double.commands.some(isDeletion));
  assert.deepEqual(listsIn(double), {});
});
