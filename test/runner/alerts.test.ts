import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Alerts, readAlerts } from '../../src/runner/alerts.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { temporaryDirectory } from '../support/spool.ts';

function begun(t: TestContext) {
  const layout = layoutOf(temporaryDirectory(t));
  fs.mkdirSync(layout.state);
  const told: string[] = [];
  const clock = { now: 1000 };
  /** as each process makes them */
  const open = (): Alerts => {
    const alerts = new Alerts(
      nodeDisk,
      layout,
      () => clock.now,
      (text) => told.push(text),
    );
    alerts.hold();
    return alerts;
  };
  return { layout, told, clock, open };
}

test('a problem is told once, whichever process meets it again, and again after it was over', (t) => {
  const { told, open } = begun(t);
  const first = open();
  first.raise('a', 'A is wrong.');
  first.raise('a', 'A is wrong.');
  open().raise('a', 'A is still wrong.');
  assert.deepEqual(told, ['A is wrong.']);
  const third = open();
  third.clear((key) => key === 'a');
  third.raise('a', 'A is wrong again.');
  assert.deepEqual(told, ['A is wrong.', 'A is wrong again.']);
});

test('a problem that may pass is told when it has lasted', (t) => {
  const { told, clock, layout, open } = begun(t);
  open().raise('a', 'A is away.', 3600);
  clock.now += 3599;
  open().raise('a', 'A is away.', 3600);
  assert.deepEqual(told, []);
  clock.now += 1;
  open().raise('a', 'A is away, and says so.', 3600);
  open().raise('a', 'A is away.', 3600);
  assert.deepEqual(told, ['A is away, and says so.']);
  assert.deepEqual(
    [...readAlerts(nodeDisk, layout)],
    [['a', { since: 1000, text: 'A is away, and says so.', told: 4600, met: 4600 }]],
  );
});

test('a damaged file, and one that cannot be written, stop nothing', (t) => {
  const { told, layout, open } = begun(t);
  for (const text of ['{"a":', 'null', '[3]', '{"a":{"since":"x"}}']) {
    fs.writeFileSync(layout.alerts, text);
    assert.deepEqual([...readAlerts(nodeDisk, layout)], [], text);
  }
  fs.mkdirSync(`${layout.alerts}~`);
  const alerts = open();
  for (const key of ['a', 'b']) alerts.raise(key, `${key} is wrong.`);
  assert.match(
    told.join(' '),
    /^[^ ]* cannot be written, so warnings may be repeated: [^.]*\. a is wrong\. b is wrong\.$/,
  );
});

const DAY = 86_400;

test('what is still there is told again after a day (R222)', (t) => {
  const { told, clock, open } = begun(t);
  for (let minute = 0; minute <= 2 * 1440; minute++) {
    open().raise('a', 'A is wrong.');
    clock.now += 60;
  }
  assert.equal(told.length, 3);
});

test('a warning that comes with every run is news once, when it changes, and after a day (R222)', (t) => {
  const { clock, open } = begun(t);
  const news = (text: string): boolean => open().isNews(text);
  assert.deepEqual(
    [news('x'), news('x'), news('y'), news('x'), news('y')],
    [true, false, true, false, false],
  );
  clock.now += DAY - 1;
  assert.equal(news('x'), false);
  clock.now += 1;
  assert.deepEqual([news('x'), news('x')], [true, false]);
  clock.now -= 10 * DAY;
  assert.equal(news('x'), true, 'the clock was wrong');
});

test('only the holder of the queue writes, and knows what others wrote before (R222)', (t) => {
  const { told, layout, clock, open } = begun(t);
  const waiting = new Alerts(
    nodeDisk,
    layout,
    () => clock.now,
    (text) => told.push(text),
  );
  assert.equal(waiting.isNews('x'), true);
  assert.equal(waiting.isNews('x'), false);
  assert.equal(fs.existsSync(layout.alerts), false);
  open().raise('a', 'A is wrong.');
  waiting.hold();
  waiting.raise('a', 'A is wrong.');
  assert.deepEqual(told, ['A is wrong.']);
  assert.deepEqual([...readAlerts(nodeDisk, layout).keys()], ['a', 'warning: x']);
});

test('who waited for the queue takes over what is there, not what was there (R222)', (t) => {
  const { told, layout, clock, open } = begun(t);
  const other = open();
  other.raise('a', 'A is wrong.');
  const waiting = new Alerts(
    nodeDisk,
    layout,
    () => clock.now,
    (text) => told.push(text),
  );
  other.clear(() => true);
  waiting.hold();
  assert.deepEqual([...readAlerts(nodeDisk, layout)], []);
  waiting.raise('a', 'A is wrong.');
  assert.equal(told.length, 2);
});

test('the file stays small, and what nobody meets any more is forgotten (R222)', (t) => {
  const { layout, clock, open } = begun(t);
  const alerts = open();
  for (let at = 0; at < 1200; at++) alerts.isNews(`${at} ${'x'.repeat(at < 900 ? 50 : 5000)}`);
  alerts.raise('relay r:25 login', 'It rejects our login.');
  assert.equal(readAlerts(nodeDisk, layout).size, 1000);
  assert.ok(fs.statSync(layout.alerts).size < 1024 * 1024);
  clock.now += 2 * DAY + 1;
  open().isNews('another');
  assert.deepEqual([...readAlerts(nodeDisk, layout).keys()], ['relay r:25 login', 'warning: another']);
});

test('what is told elsewhere is kept with the time of now, and begins anew when it was over for a while (R231)', (t) => {
  const { told, layout, clock, open } = begun(t);
  const kept = () => readAlerts(nodeDisk, layout).get('silent hosts');
  const alerts = open();
  for (const text of ['One.', 'Two.']) {
    alerts.note('silent hosts', text);
    clock.now += 900;
  }
  assert.deepEqual([kept()?.since, kept()?.text, kept()?.met], [1000, 'Two.', 1900]);
  clock.now += 1;
  alerts.note('silent hosts', 'Three.');
  assert.deepEqual([kept()?.since, kept()?.text, kept()?.met], [2801, 'Three.', 2801]);
  assert.deepEqual(told, []);
});
