import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, it, type TestContext, test } from 'node:test';
import { counterStore, intakeFile, replaceTextFile, timedDisk } from '../../src/metrics/files.ts';
import { RunningMetrics } from '../../src/metrics/running.ts';
import { METRICS, type Metric, REASONS, seriesOf } from '../../src/metrics/table.ts';
import { CONTENT_TYPES, formatFor, Metrics } from '../../src/metrics/values.ts';
import { warningEvent } from '../../src/output/log/process-events.ts';
import { Alerts } from '../../src/runner/alerts.ts';
import { readSettings } from '../../src/settings/read.ts';
import { STATES } from '../../src/smtp/machine/states.ts';
import { nodeDisk, type OpenFile } from '../../src/storage/disk.ts';
import { layoutOf } from '../../src/storage/layout.ts';
import { HandClock, NOW, temporaryDirectory } from '../support/spool.ts';

const WARNING = warningEvent('Something is wrong.');

const read = readSettings({});
assert.ok(read.ok);
const { settings } = read;

const ROWS: readonly [string, Metric][] = Object.entries(METRICS);

/** Null where it is missing. */
export function promtool(input: string): { readonly status: number | null; readonly said: string } | null {
  if (spawnSync('promtool', ['--version']).error !== undefined) return null;
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

function filled(): Metrics {
  const metrics = new Metrics();
  metrics.add('spoolroom_smtp_status', { status: 'delivered' }, 3);
  metrics.add('spoolroom_smtp_failures', { status: 'refused', reason: 'recipient' });
  for (const seconds of [0.0001, 0.004, 0.004, 7])
    metrics.histogram('spoolroom_journal_sync_duration_seconds', {})(seconds);
  for (const [status, jobs] of [
    ['new', 1],
    ['deferred', 2],
    ['held', 0],
  ] as const)
    metrics.set('spoolroom_queue_jobs', jobs, { status });
  metrics.set('spoolroom_queue_oldest_age_seconds', 61, {});
  return metrics;
}

describe('the table of metrics', () => {
  it('has names as Prometheus wants them, with the unit at the end', () => {
    for (const [name, { type, unit, help, labels = {}, buckets }] of ROWS) {
      assert.match(name, /^spoolroom_[a-z_]+[a-z]$/);
      assert.doesNotMatch(name, /_(?:total|count|sum|bucket|created|info)$/);
      if (unit !== undefined) assert.ok(name.endsWith(`_${unit}`), name);
      assert.match(help, /^[A-Z][^\\\n]*\.$/);
      for (const label of Object.keys(labels)) assert.match(label, /^(?!le$)[a-z]+$/);
      assert.equal(buckets !== undefined, type === 'histogram', name);
      assert.deepEqual(buckets, buckets && [...buckets].sort((a, b) => a - b));
    }
  });

  it('is small, whatever happens', () => {
    const series = ROWS.flatMap(([, metric]) => seriesOf(metric));
    assert.ok(series.length < 100, String(series.length));
  });

  it('has a reason for every stage of a delivery', () => {
    const { reason: names } = METRICS.spoolroom_smtp_failures.labels;
    for (const state of Object.keys(STATES)) assert.ok(state in REASONS, state);
    assert.deepEqual(
      [...new Set(Object.values(REASONS))].filter((each) => !names.includes(each)),
      [],
    );
  });
});

describe('the text of metrics', () => {
  it('is OpenMetrics: counters have _total in samples alone, units are said, the end is marked', () => {
    const text = filled().text(['queue'], 'openmetrics');
    assert.match(
      text,
      /^# HELP spoolroom_smtp_status .*\n# TYPE spoolroom_smtp_status counter\nspoolroom_smtp_status_total\{status="delivered"\} 3\n/m,
    );
    assert.match(
      text,
      /^# TYPE spoolroom_queue_oldest_age_seconds gauge\n# UNIT spoolroom_queue_oldest_age_seconds seconds\nspoolroom_queue_oldest_age_seconds 61\n/m,
    );
    assert.match(text, /\n# EOF\n$/);
    assert.match(CONTENT_TYPES.openmetrics, /version=1\.0\.0/);
    assert.equal(formatFor('application/openmetrics-text;version=1.0.0,text/plain;q=0.5'), 'openmetrics');
    assert.equal(formatFor(undefined), 'prometheus');
  });

  it('is the older format for files: the type of a counter is said of its sample', () => {
    const text = filled().text(['queue'], 'prometheus');
    assert.match(
      text,
      /^# TYPE spoolroom_smtp_status_total counter\nspoolroom_smtp_status_total\{status="delivered"\} 3\n/m,
    );
    assert.doesNotMatch(text, /# (?:UNIT|EOF)/);
  });

  it('has buckets that include those below them', () => {
    const lines = filled().text(['queue'], 'openmetrics').split('\n');
    const of = (name: string) =>
      lines.filter((line) => line.startsWith(`spoolroom_journal_sync_duration_seconds_${name}`));
    assert.deepEqual(
      of('bucket').map((line) => line.replace(/^.*le=/, '')),
      [
        '"0.0005"} 1',
        '"0.001"} 1',
        '"0.0025"} 1',
        '"0.005"} 3',
        '"0.01"} 3',
        '"0.025"} 3',
        '"0.05"} 3',
      ].concat(['"0.1"} 3', '"0.25"} 3', '"0.5"} 3', '"1.0"} 3', '"2.5"} 3', '"+Inf"} 4']),
    );
    assert.deepEqual(of('count'), ['spoolroom_journal_sync_duration_seconds_count 4']);
    assert.match(of('sum').join(), / 7\.008/);
  });

  it('begins with 0 for every counter, so that the first event is an increase', () => {
    const text = new Metrics().text(['intake'], 'prometheus');
    assert.match(text, /^spoolroom_smtpd_sasl_authentication_failures_total 0$/m);
    assert.match(text, /^spoolroom_smtpd_messages_rejected_total\{code="4xx"\} 0$/m);
    assert.doesNotMatch(text, /timestamp|spoolroom_smtp_/);
  });

  it('is what promtool takes', (t) => {
    const checked = promtool(filled().text(['queue', 'intake'], 'prometheus'));
    if (checked === null) t.skip('promtool is not installed (Debian: prometheus)');
    else assert.deepEqual(checked, { status: 0, said: '' });
  });

  it('is what the reference parser of OpenMetrics takes', (t) => {
    const parse =
      'import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as f\nlist(f(sys.stdin.read()))';
    const found = spawnSync('python3', ['-c', 'import prometheus_client']);
    if (found.status !== 0) {
      t.skip('the Python package prometheus_client is not installed');
      return;
    }
    execFileSync('python3', ['-c', parse], { input: filled().text(['queue', 'intake'], 'openmetrics') });
  });
});

function begun(t: TestContext) {
  const home = temporaryDirectory(t);
  fs.mkdirSync(layoutOf(home).state);
  const clock = new HandClock();
  const told: string[] = [];
  const open = (file: string | null = null, parts: readonly ('queue' | 'intake')[] = ['queue']) => {
    const metrics = new RunningMetrics({
      ...{ home, disk: nodeDisk, clock, parts, file, settings, isSpool: true },
      warn: (text) => told.push(text),
      quarantined: () => 0,
    });
    metrics.hold(null);
    return metrics;
  };
  return { home, clock, told, open, file: `${home}/spoolroom.prom` };
}

describe('counters', () => {
  it('go on from process to process, and begin anew where the file is lost, which they say', (t) => {
    const { home, clock, open, file } = begun(t);
    const first = open(file);
    first.counted({ write: () => {}, reopen: async () => {}, close: async () => {} }).write(WARNING);
    first.succeeded();
    first.close();
    clock.advance(60_000);
    const second = open(file);
    second.close();
    const text = fs.readFileSync(file, 'utf8');
    assert.match(text, /^spoolroom_log_messages_total\{level="warn"\} 1$/m);
    assert.match(text, new RegExp(`^spoolroom_counters_start_timestamp_seconds ${NOW}$`, 'm'));
    assert.match(text, new RegExp(`^spoolroom_run_last_success_timestamp_seconds ${NOW}$`, 'm'));
    fs.writeFileSync(layoutOf(home).metrics, '{"spoolroom_log_mess');
    const third = open().text('prometheus');
    assert.match(third, /^spoolroom_log_messages_total\{level="warn"\} 0$/m);
    assert.match(third, new RegExp(`^spoolroom_counters_start_timestamp_seconds ${NOW + 60}$`, 'm'));
  });

  it('of a process that waited for the queue are added to those of the one before it', (t) => {
    const { home, clock, open } = begun(t);
    const deps = {
      home,
      disk: nodeDisk,
      clock,
      parts: ['queue'],
      file: null,
      settings,
      isSpool: true,
    } as const;
    const waiting = new RunningMetrics({ ...deps, warn: () => {}, quarantined: () => 0 });
    const log = { write: () => {}, reopen: async () => {}, close: async () => {} };
    waiting.counted(log).write(WARNING);
    const before = open();
    before.counted(log).write(WARNING);
    before.close();
    waiting.hold(null);
    assert.match(waiting.text('prometheus'), /^spoolroom_log_messages_total\{level="warn"\} 2$/m);
  });

  it('that the file should not have are left out', (t) => {
    const { home, open } = begun(t);
    const stored = { spoolroom_smtp_attempts_total: 7, 'evil{a="b"}': 1, spoolroom_queue_size_bytes: 3 };
    fs.writeFileSync(
      layoutOf(home).metrics,
      JSON.stringify({ ...stored, spoolroom_smtp_throttled_total: -1 }),
    );
    const text = open().text('prometheus');
    assert.match(text, /^spoolroom_smtp_attempts_total 7$/m);
    assert.match(text, /^spoolroom_smtp_throttled_total 0$/m);
    assert.doesNotMatch(text, /evil|size_bytes/);
  });

  it('of queue and intake have files of their own', (t) => {
    const { home, open } = begun(t);
    open(null, ['queue', 'intake']).close();
    const kept = (part: 'queue' | 'intake') => [...counterStore(nodeDisk, home, part).read().keys()];
    assert.deepEqual(kept('queue'), ['spoolroom_counters_start_timestamp_seconds']);
    assert.deepEqual(kept('intake'), ['spoolroom_smtpd_counters_start_timestamp_seconds']);
  });
});

describe('the file for node_exporter', () => {
  it('is written once in a minute, and readable for others, whatever the umask', (t) => {
    const { clock, open, file } = begun(t);
    const before = process.umask(0o077);
    t.after(() => process.umask(before));
    const metrics = open(file);
    metrics.start();
    assert.ok(!fs.existsSync(file));
    clock.advance(60_000);
    const first = fs.statSync(file);
    assert.equal(first.mode & 0o777, 0o644);
    clock.advance(60_000);
    assert.notEqual(fs.statSync(file).ino, first.ino);
    metrics.close();
    assert.equal(clock.pending, 0);
  });

  it('is replaced in one step, whatever lies at the name on the way', (t) => {
    const { home, file } = begun(t);
    fs.writeFileSync(`${home}/other`, 'other');
    fs.symlinkSync(`${home}/other`, `${file}.new`);
    replaceTextFile(file, 'text\n');
    assert.equal(fs.readFileSync(file, 'utf8'), 'text\n');
    assert.equal(fs.readFileSync(`${home}/other`, 'utf8'), 'other');
    assert.deepEqual(
      fs.readdirSync(home).filter((name) => name.endsWith('.new')),
      [],
    );
  });

  it('that cannot be written is told once, and stops nothing', (t) => {
    const { home, told, open } = begun(t);
    const metrics = open(`${home}/nowhere/spoolroom.prom`);
    metrics.save();
    metrics.save();
    assert.equal(told.length, 1);
    assert.match(told.join(), /nowhere\/spoolroom\.prom: .*\. Mail is delivered nevertheless\.$/);
  });

  it('of the intake beside has another name', () => {
    assert.equal(intakeFile('/a.b/spoolroom.prom'), '/a.b/spoolroom-intake.prom');
    assert.equal(intakeFile('/a.b/spoolroom'), '/a.b/spoolroom-intake');
  });
});

test('syncs of the journal are timed', async (t) => {
  const { home, clock } = begun(t);
  const took: number[] = [];
  const disk = timedDisk(
    nodeDisk,
    () => clock.monotonic(),
    (milliseconds) => took.push(milliseconds),
  );
  const file = disk.create(`${home}/journal`, {
    mode: 0o600,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  });
  file.write(Buffer.from('line\n'));
  await file.sync();
  file.close();
  assert.deepEqual(took, [1 / 1024]);
  assert.equal(fs.readFileSync(`${home}/journal`, 'utf8'), 'line\n');
});

test('a sync that is timed goes on meanwhile as one that is not (R313)', async () => {
  const asked: unknown[] = [];
  const file: OpenFile = { write: () => {}, close: () => {}, sync: async (how) => void asked.push(how) };
  const disk = timedDisk(
    { ...nodeDisk, create: () => file },
    () => 0,
    () => {},
  );
  const timed = disk.create('journal', { mode: 0o600, uid: 0, gid: 0 });
  await timed.sync('meanwhile');
  await timed.sync();
  assert.deepEqual(asked, ['meanwhile', undefined]);
});

test('what is too much is told once in a minute while a process runs, and not when it is stopping', (t) => {
  const { home, clock } = begun(t);
  const read = readSettings({ 'alert.queue-size': '1' });
  assert.ok(read.ok);
  const told: string[] = [];
  const seconds = () => Math.floor(clock.now() / 1000);
  const open = (): RunningMetrics => {
    const alerts = new Alerts(nodeDisk, layoutOf(home), seconds, (text) => told.push(text));
    alerts.hold();
    const metrics = new RunningMetrics({
      ...{
        home,
        disk: nodeDisk,
        clock,
        parts: ['queue'],
        file: null,
        settings: read.settings,
        isSpool: true,
      },
      ...{ warn: () => {}, quarantined: () => 0 },
    });
    metrics.hold(alerts);
    const numbers = [1, 3];
    const payloads = { length: 2, at: (at: number) => numbers[at] ?? Number.NaN, has: () => false };
    metrics.scanned({ jobs: [], orphans: [], quarantined: [], waiting: { payloads, earliest: null } });
    return metrics;
  };
  open().close(true);
  assert.deepEqual(told, []);
  const metrics = open();
  metrics.start();
  clock.advance(60_000);
  assert.deepEqual(told, [
    `${home} has 2 jobs (alert.queue-size 1). \`spoolroom queue --summary\` shows for which destinations.`,
  ]);
  metrics.close();
  assert.equal(told.length, 1);
});

test('no counter is written into a directory that took the place of the one that was opened', (t) => {
  const { home, open } = begun(t);
  const metrics = open();
  fs.renameSync(home, `${home}.old`);
  t.after(() => fs.rmSync(`${home}.old`, { recursive: true }));
  fs.mkdirSync(`${home}/.spoolroom`, { recursive: true });
  metrics.close();
  assert.deepEqual(fs.readdirSync(home), ['.spoolroom']);
  assert.deepEqual(fs.readdirSync(`${home}/.spoolroom`), []);
});
