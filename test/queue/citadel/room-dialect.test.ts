/** A live room writes the dialect of its server, whatever the settings say, and tells of a setting that says otherwise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dialect } from '../../../src/delivery-list/job.ts';
import { connect } from '../../../src/net-stream-utils/index.ts';
import { openLiveQueue } from '../../../src/queue/citadel/open.ts';
import type { Era } from '../../support/citadel-server.ts';
import { listsIn, liveScene, MAIL, newList, openLive, openProven } from '../../support/live-room.ts';
import { NOW, SETTINGS_2012, SETTINGS_2017 } from '../../support/spool.ts';

const CASES: readonly (readonly [Era, written: Dialect, setting: Dialect | null, warning: RegExp | null])[] =
  [
    ['2012', '2012', null, null],
    ['2012', '2012', '2012', null],
    ['2012', '2012', '2017', /The setting dialect is 2017, but .* one of 2012 and reads 2012\./],
    ['2016', '2012', null, null],
    ['2016', '2012', '2017', /The setting dialect is 2017, but .* one of 2016 and reads 2012\./],
    ['2023', '2017', null, null],
    ['2023', '2017', '2017', null],
    [
      '2023',
      '2017',
      '2012',
      /The setting dialect is 2012, but .* one of 2023 and reads 2017\..* remove the setting\./,
    ],
  ];

for (const [era, written, setting, warning] of CASES) {
  test(`a server of ${era} gets lists of ${written} when the setting says ${setting ?? 'nothing'}`, async (t) => {
    const { double, deps, options } = await liveScene(t, era);
    await (
      await openProven({ double, deps, options }, written === '2012' ? SETTINGS_2012 : SETTINGS_2017)
    ).close();
    const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
    const before = deps.warnings.length;
    // Busy at first: the server is asked again.
    double.fault = (line) => (line.startsWith('CONF') ? { answer: '552 busy\n' } : null);
    const settings = { dialect: setting, spans: SETTINGS_2012.spans };
    const opened = await openLiveQueue(options, { ...deps, connect }, settings);
    assert.ok(opened.kind === 'open');
    double.fault = () => null;
    const { queue } = opened;
    assert.equal((await queue.scan()).jobs[0]?.job.dialect, written);
    await queue.record(
      control,
      [{ index: 0, address: 'b@example.com', status: 4, text: '450 (later)' }],
      NOW,
    );
    await queue.close();
    const [list = ''] = Object.values(listsIn(double));
    assert.match(list, written === '2012' ? /^msgid(?:.*\n)*retry\|/ : /^\nmsgid(?:.*\n)*attempted\|\d+\n$/);
    const [busy = '', ...others] = deps.warnings.slice(before);
    assert.match(busy, /is busy: 552 busy/);
    if (warning === null) assert.deepEqual(others, []);
    else assert.match(others.join('\n'), warning);
  });
}

test('a server between March 2017 and 2018, which answers like one of 2016, gets what is set', async (t) => {
  const { double, deps, options } = await liveScene(t, '2016');
  double.fault = (line) =>
    line === 'SMTP' ? { answer: '530 Unrecognized or unsupported command.\n' } : null;
  const queue = await openProven({ double, deps, options }, SETTINGS_2017);
  const control = double.post(newList(double.postMail(MAIL), 'b@example.com'));
  await queue.scan();
  await queue.record(control, [{ index: 0, address: 'b@example.com', status: 4, text: '450 (later)' }], NOW);
  await queue.close();
  assert.match(Object.values(listsIn(double)).join(), /^\nmsgid(?:.*\n)*attempted\|\d+\n$/);
  assert.match(
    deps.warnings.join('\n'),
    /as since March 2017\. Delivery lists are written in the dialect 2017, as set\./,
  );
});

test('a server of 2016 gets pending recipients first, also from the process after a crash; nobody is mixed up', async (t) => {
  const scene = await liveScene(t, '2016');
  const { double } = scene;
  const addresses = [1, 2, 3, 4, 5].map((number) => `x${number}@example.com`);
  const statuses = [2, 4, 5, 4, 2] as const;
  const control = double.post(newList(double.postMail(MAIL), ...addresses));
  const queue = await openProven(scene);
  await queue.scan();
  const changes = addresses.map((address, index) => ({
    index,
    address,
    status: statuses[index] ?? 4,
    text: 'so',
  }));
  await queue.record(control, changes.slice(0, 3), NOW);
  await queue.flush();
  await queue.record(control, changes.slice(3), NOW);
  // Killed here, with two outcomes in the journal only.
  const next = await openLive(scene);
  const [job] = (await next.scan()).jobs;
  const order = [2, 4, 5, 1, 3];
  assert.deepEqual(
    job?.job.recipients.map(({ address, status }) => [address, status]),
    order.map((number) => [`x${number}@example.com`, statuses[number - 1]]),
  );
  // The other pending one is delivered now, under its new position.
  await next.record(job?.control ?? 0, [{ index: 1, address: 'x4@example.com', status: 2, text: 'so' }], NOW);
  await next.close();
  assert.match(
    Object.values(listsIn(double)).join(),
    /\nremote\|x2@example\.com\|4\|so\nremote\|x4@example\.com\|2\|so\nremote\|x5@/,
  );
});
