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
  const open = (): Alerts =>
    new Alerts(
      nodeDisk,
      layout,
      () => clock.now,
      (text) => told.push(text),
    );
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
    [['a', { since: 1000, text: 'A is away, and says so.', told: true }]],
  );
});

test('a damaged file, and one that cannot be written, stop nothing', (t) => {
  const { told, layout, open } = begun(t);
  for (const text of ['{"a":', 'null', '[3]', '{"a":{"since":"x"}}']) {
    fs.writeFileSync(layout.alerts, text);
    assert.deepEqual([...readAlerts(nodeDisk, layout)], [], text);
  }
  fs.mkdirSync(`${layout.alerts}.new`);
  open().raise('a', 'A is wrong.');
  assert.match(told.join(' '), /^A is wrong\. .* cannot be written, so warnings may be repeated: /);
});
