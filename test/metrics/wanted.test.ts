/** Whether there is anything to count, and where it goes. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type TestContext, test } from 'node:test';
import { metricsFor } from '../../src/metrics/wanted.ts';
import { readSettings } from '../../src/settings/read.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { HandClock, temporaryDirectory } from '../support/spool.ts';

function wanted(t: TestContext, given: object, parts: readonly ('queue' | 'intake')[], isShown = false) {
  const home = temporaryDirectory(t);
  fs.mkdirSync(layoutOf(home).state);
  fs.writeFileSync(`${home}/1`, 'A message.');
  const read = readSettings({ ...given });
  assert.ok(read.ok, JSON.stringify(read));
  const deps = { clock: new HandClock(), warn: () => {}, quarantined: () => 0 };
  return metricsFor(home, read.settings, { parts, isShown }, deps);
}

const FOUND = {
  ...{ jobs: [], orphans: [], quarantined: [] },
  waiting: {
    payloads: { length: 1, at: (at: number) => (at === 0 ? 1 : Number.NaN), has: () => true },
    earliest: null,
  },
};

test('nothing is counted unless somebody wants to know', async (t) => {
  assert.equal(await wanted(t, {}, ['queue']), null);
  assert.equal(await wanted(t, { 'alert.mail': 'a@example.org' }, ['queue']), null);
  assert.notEqual(await wanted(t, {}, ['queue'], true), null);
  for (const given of [{ 'metrics-file': '/x.prom' }, { 'alert.queue-size': '1' }, { 'alert.refused': '1' }])
    assert.notEqual(await wanted(t, given, ['queue']), null, JSON.stringify(given));
});

test('sizes of messages are those of files, where messages are files', async (t) => {
  const stateOf = async (given: object) => {
    const metrics = await wanted(t, given, ['queue'], true);
    metrics?.scanned(FOUND);
    return metrics?.queueState()?.bytes;
  };
  assert.equal(await stateOf({}), 10);
  assert.equal(await stateOf({ state: '/var/lib/spoolroom', citadel: '/run/citadel.socket' }), null);
  assert.equal(await stateOf({ postgres: 'postgres://localhost/mail' }), null);
});

test('an intake that runs beside has a file of its own', async (t) => {
  const folder = temporaryDirectory(t);
  for (const parts of [['queue', 'intake'], ['intake']] as const) {
    const metrics = await wanted(t, { 'metrics-file': `${folder}/a.prom` }, parts);
    metrics?.hold(null);
    metrics?.close();
  }
  assert.deepEqual(fs.readdirSync(folder).sort(), ['a-intake.prom', 'a.prom']);
  const names = (file: string) =>
    new Set(fs.readFileSync(`${folder}/${file}`, 'utf8').match(/^spoolroom_smtpd?(?=_)/gm));
  assert.deepEqual([...names('a-intake.prom')], ['spoolroom_smtpd']);
  assert.deepEqual([...names('a.prom')].sort(), ['spoolroom_smtp', 'spoolroom_smtpd']);
});
