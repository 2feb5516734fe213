import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext, test } from 'node:test';
import { monitoringFindings } from '../../src/cli/check/monitoring.ts';
import { alertMail } from '../../src/metrics/alert-message.ts';
import { COMMAND_TIME, Notifier, type NotifierDeps } from '../../src/metrics/notifier.ts';
import { queueState } from '../../src/metrics/queue-state.ts';
import { Recent } from '../../src/metrics/recent.ts';
import { forgetThresholds, judge, type Seen } from '../../src/metrics/thresholds.ts';
import { type AlertChange, Alerts } from '../../src/runner/alerts.ts';
import { readSettings } from '../../src/settings/read.ts';
import { nodeDisk } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { emptyJob } from '../support/jobs.ts';
import { HandClock, NOW, temporaryDirectory } from '../support/spool.ts';

function settingsOf(given: object) {
  const read = readSettings({ ...given });
  assert.ok(read.ok, JSON.stringify(read));
  return read.settings;
}

const IDLE: Seen = {
  home: '/spool',
  state: { new: 0, deferred: 0, held: 0, oldest: 0, bytes: 0 },
  share: { refused: 0, ended: 0 },
};
const withJobs = (deferred: number): Seen => ({
  ...IDLE,
  state: { new: 0, deferred, held: 0, oldest: 0, bytes: 0 },
});
const withShare = (refused: number, ended: number): Seen => ({ ...IDLE, share: { refused, ended } });

/** Alerts as each process opens them, and what was told of them. */
function begun(t: TestContext) {
  const layout = layoutOf(temporaryDirectory(t));
  fs.mkdirSync(layout.state);
  const told: string[] = [];
  const clock = { now: NOW };
  const open = (): Alerts => {
    const alerts = new Alerts(
      nodeDisk,
      layout,
      () => clock.now,
      () => {},
    );
    alerts.hold();
    alerts.listen(({ has, key }) => told.push(`${has}: ${key}`));
    return alerts;
  };
  return { told, clock, open };
}

describe('thresholds', () => {
  it('are told once when they begin and once when they have ended, whichever process sees it', (t) => {
    const { told, clock, open } = begun(t);
    const settings = settingsOf({ 'alert.queue-size': '10' });
    for (const jobs of [10, 11, 11, 500, 11]) judge(settings, withJobs(jobs), open());
    assert.deepEqual(told, ['begun: threshold queue-size']);
    clock.now += 2 * 86_400;
    judge(settings, withJobs(11), open());
    assert.deepEqual(told, ['begun: threshold queue-size']);
    for (const jobs of [3, 0]) judge(settings, withJobs(jobs), open());
    assert.deepEqual(told, ['begun: threshold queue-size', 'ended: threshold queue-size']);
    judge(settings, withJobs(11), open());
    assert.equal(told.length, 3);
  });

  it('end a little below their limit, so that a number around it is told once', (t) => {
    const { told, open } = begun(t);
    const settings = settingsOf({ 'alert.queue-size': '10' });
    for (const jobs of [11, 10, 11, 9, 11, 8]) judge(settings, withJobs(jobs), open());
    assert.deepEqual(told, ['begun: threshold queue-size']);
    judge(settings, withJobs(7), open());
    assert.equal(told.length, 2);
  });

  it('look at the age of the oldest job, and do not end while the queue cannot be read', (t) => {
    const { told, open } = begun(t);
    const settings = settingsOf({ 'alert.queue-age': '1h' });
    const aged = (oldest: number): Seen => ({
      ...IDLE,
      state: { new: 1, deferred: 0, held: 0, oldest, bytes: 1 },
    });
    for (const seen of [aged(3600), aged(3601), { ...IDLE, state: null }]) judge(settings, seen, open());
    assert.deepEqual(told, ['begun: threshold queue-age']);
    judge(settings, aged(3599), open());
    assert.deepEqual(told, ['begun: threshold queue-age', 'ended: threshold queue-age']);
  });

  it('look at the share of refused recipients where there are enough of them', (t) => {
    const { told, open } = begun(t);
    const settings = settingsOf({ 'alert.refused': '50' });
    for (const seen of [withShare(19, 19), withShare(10, 20)]) judge(settings, seen, open());
    assert.deepEqual(told, []);
    for (const seen of [withShare(11, 20), withShare(9, 20), withShare(0, 0)]) judge(settings, seen, open());
    assert.deepEqual(told, ['begun: threshold refused', 'ended: threshold refused']);
  });

  it('say what is wrong and what to look at', (t) => {
    const { open } = begun(t);
    const alerts = open();
    const texts: string[] = [];
    alerts.listen(({ text }) => texts.push(text));
    judge(settingsOf({ 'alert.queue-size': '10' }), withJobs(11), alerts);
    judge(settingsOf({ 'alert.refused': '50' }), withShare(15, 20), alerts);
    assert.deepEqual(texts, [
      '/spool has 11 jobs (alert.queue-size 10). `spoolroom queue --summary` shows for which destinations.',
      '15 of 20 recipients were refused within 60 min (alert.refused 50 %). `spoolroom history --status refused` shows the answers.',
    ]);
  });

  it('that a setting no longer wants are forgotten', (t) => {
    const { told, open } = begun(t);
    judge(settingsOf({ 'alert.queue-size': '10' }), withJobs(11), open());
    forgetThresholds(settingsOf({ 'alert.queue-size': '20' }), open());
    assert.equal(told.length, 1);
    forgetThresholds(settingsOf({}), open());
    assert.equal(told.length, 2);
    assert.ok(!open().has('threshold queue-size'));
  });
});

test('the share of refused recipients is that of the window, over processes', () => {
  const first = new Recent(3600);
  for (let at = 0; at < 5; at++) first.add(true, NOW);
  const second = new Recent(3600);
  second.restore(new Map([...first.entries(), ['recent x refused', 7], ['other', 1]]));
  second.add(false, NOW + 3000);
  assert.deepEqual(second.share(NOW + 3000), { refused: 5, ended: 6 });
  assert.deepEqual(second.share(NOW + 3901), { refused: 0, ended: 1 });
  assert.deepEqual([...second.entries()].length, 2);
  // The clock was set back.
  assert.deepEqual(second.share(NOW), { refused: 0, ended: 0 });
});

describe('the state of the queue', () => {
  const queued = (control: number, msgid: number, change: object = {}, request?: 'hold') => ({
    control,
    job: {
      ...emptyJob('2012'),
      ...{ msgid, submitted: NOW - 100 * control },
      recipients: [{ address: 'a@example.org', status: 0, text: '' }],
      ...change,
    },
    warnings: [],
    ...(request === undefined ? {} : { request }),
  });
  const files = {
    sizeOf: (payload: number) => (payload > 90 ? 0 : 1000 + payload),
    timeOf: (payload: number) => NOW - 50 * payload,
  };

  it('counts jobs by what they wait for, and each message once', () => {
    const jobs = [
      queued(2, 1),
      queued(3, 1),
      queued(5, 4, { attempted: NOW - 5 }),
      queued(7, 6, {}, 'hold'),
      queued(9, 8, { recipients: [{ address: 'a@example.org', status: 2, text: '' }] }),
      queued(99, 98),
    ];
    assert.deepEqual(queueState({ jobs }, NOW, files), {
      ...{ new: 3, deferred: 1, held: 1, oldest: 9900 },
      bytes: 1001 + 1004 + 1006 + 1008,
    });
    assert.equal(queueState({ jobs }, NOW, null).bytes, null);
  });

  it('takes the age of jobs that wait for their time from the oldest of their files', () => {
    const numbers = [10, 10, 12];
    const payloads = { length: 3, at: (at: number) => numbers[at] ?? Number.NaN, has: () => false };
    const scan = { jobs: [], waiting: { payloads, earliest: NOW + 60 } };
    assert.deepEqual(queueState(scan, NOW, files), {
      ...{ new: 0, deferred: 3, held: 0, oldest: 500, bytes: 1010 + 1012 },
    });
    assert.equal(queueState({ jobs: [] }, NOW, files).oldest, 0);
  });
});

const CHANGE: AlertChange = {
  has: 'begun',
  key: 'threshold queue-size',
  text: 'There are 11 jobs; "$(id)" is one.',
  since: NOW - 60,
};

function notifierOver(t: TestContext, deps: Partial<NotifierDeps>) {
  const warned: string[] = [];
  const clock = new HandClock();
  const notifier = new Notifier({
    ...{ command: [], mail: null, home: '/spool', clock },
    environment: { PATH: process.env.PATH, SPOOLROOM_SMARTHOST: 'me:secret@relay' },
    warn: (text) => warned.push(text),
    ...deps,
  });
  return { notifier, warned, clock, folder: temporaryDirectory(t) };
}

function script(folder: string, text: string): string {
  const file = path.join(folder, 'told');
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o700 });
  return file;
}

describe('the command of an alert', () => {
  it('gets what happened as arguments that no shell has seen, in its environment and on its input', async (t) => {
    const folder = temporaryDirectory(t);
    const file = script(
      folder,
      `{ echo "$#" "$1"; env | grep -v '^_=\\|PWD\\|SHLVL' | sort; cat; } >> ${folder}/out`,
    );
    const { notifier, warned } = notifierOver(t, { command: [file, '$(id); `id`'] });
    notifier.tell(CHANGE);
    notifier.tell({ ...CHANGE, has: 'ended' });
    await notifier.done();
    assert.deepEqual(warned, []);
    const variables = (event: string): string =>
      `1 $(id); \`id\`\nALERT_EVENT=${event}\nALERT_NAME=threshold queue-size\nALERT_SINCE=${NOW - 60}\n` +
      `ALERT_SPOOL=/spool\nALERT_TEXT=${CHANGE.text}\nPATH=${process.env.PATH}\n`;
    assert.equal(
      fs.readFileSync(`${folder}/out`, 'utf8'),
      `${variables('begin')}${CHANGE.text}\n${variables('end')}` +
        `This has ended, 2012-07-14T00:00:00Z. It was so since 2012-07-13T23:59:00Z:\n${CHANGE.text}\n`,
    );
  });

  it('that fails, that is missing, or that does not read is told, and stops nothing', async (t) => {
    const folder = temporaryDirectory(t);
    const failing = script(folder, 'echo "no network" >&2; exit 3');
    for (const [command, change, why] of [
      [failing, CHANGE, 'it ended with status 3 and said: no network'],
      [`${folder}/missing`, CHANGE, 'it does not exist (ENOENT)'],
      ['true', { ...CHANGE, text: 'x'.repeat(500_000) }, /too long|E2BIG/i],
      ['true', { ...CHANGE, text: 'x\0y' }, /null bytes/i],
    ] as const) {
      const { notifier, warned } = notifierOver(t, { command: [command] });
      notifier.tell(change);
      await notifier.done();
      assert.equal(warned.length, 1);
      const text = warned[0] ?? '';
      assert.ok(typeof why === 'string' ? text.includes(why) : why.test(text), text);
      assert.match(
        text,
        /^The alert "threshold queue-size" could not be told by .*\. Correct the setting alert\.command\.$/s,
      );
    }
  });

  it('that does not end is killed', async (t) => {
    const { notifier, warned, clock } = notifierOver(t, { command: ['sleep', '1000'] });
    notifier.tell(CHANGE);
    while (clock.pending === 0) await new Promise((turn) => setImmediate(turn));
    clock.advance(COMMAND_TIME);
    await notifier.done();
    assert.match(warned.join(), /sleep: it did not end within 30 s\./);
  });

  it('does not stand in the way of the message, nor the message in its', async (t) => {
    const mailed: AlertChange[] = [];
    const mail = async (change: AlertChange): Promise<string | null> => {
      mailed.push(change);
      return 'no server takes it';
    };
    const { notifier, warned } = notifierOver(t, { command: ['false'], mail });
    notifier.tell(CHANGE);
    await notifier.done();
    assert.deepEqual(mailed, [CHANGE]);
    assert.equal(warned.length, 2);
    assert.equal(warned[1], 'The alert "threshold queue-size" could not be mailed: no server takes it.');
  });
});

test('the message of an alert is one that no program answers, whatever its text', () => {
  const text = 'The relay mail.exämple refuses us:\r\nBcc: eve@example.org\r\n.\r\n';
  const stamp = {
    ...{ from: 'postmaster@a.example', to: 'admin@a.example', hostname: 'a.example', home: '/spool' },
    ...{ now: NOW, unique: 'x-1' },
  };
  const mail = alertMail({ ...CHANGE, key: 'relay ä\r\nBcc: x', text }, stamp).toString('latin1');
  const [head = '', body = ''] = mail.split('\r\n\r\n');
  assert.deepEqual(head.split('\r\n'), [
    'From: postmaster@a.example',
    'To: admin@a.example',
    'Date: Sat, 14 Jul 2012 00:00:00 +0000',
    'Subject: spoolroom on a.example: relay ???Bcc: x',
    'Message-ID: <alert.x-1@a.example>',
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
  ]);
  assert.match(body, /^[A-Za-z0-9+/=\r\n]*$/);
  assert.equal(Buffer.from(body, 'base64').toString('utf8'), `${text}\n\n/spool on a.example\n`);
});

describe('check', () => {
  const gradesOf = (given: object) =>
    monitoringFindings(settingsOf(given), '/nowhere:/bin').map(
      ({ check, grade, seen }) => `${grade} ${check}: ${seen}`,
    );

  it('says whether metrics can be written where node_exporter reads them', (t) => {
    const folder = temporaryDirectory(t);
    assert.deepEqual(gradesOf({}), []);
    assert.deepEqual(gradesOf({ 'metrics-file': `${folder}/a.prom` }), [`ok metrics: ${folder}/a.prom`]);
    assert.deepEqual(gradesOf({ 'metrics-file': `${folder}/a.txt` }), [
      `warning metrics: ${folder}/a.txt does not end in .prom`,
    ]);
    assert.deepEqual(gradesOf({ 'metrics-file': `${folder}/no/a.prom` }), [
      `warning metrics: ${folder}/no is not a folder that this user can write to`,
    ]);
  });

  it('says whether anybody is told of alerts', (t) => {
    const folder = temporaryDirectory(t);
    fs.writeFileSync(`${folder}/tell`, '', { mode: 0o600 });
    assert.deepEqual(gradesOf({ 'alert.command': 'sh' }), ['ok alert: /bin/sh']);
    for (const program of ['no-such-program', `${folder}/tell`])
      assert.deepEqual(gradesOf({ 'alert.command': program }), [
        `warning alert: ${program} is not a program that this user can run`,
      ]);
    assert.deepEqual(gradesOf({ 'alert.queue-age': '1d' }), ['warning alert: nobody is told but the log']);
    assert.deepEqual(gradesOf({ 'alert.queue-age': '1d', 'alert.mail': 'a@example.org' }), []);
  });
});
