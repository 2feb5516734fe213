/** The dashboard and the rules name nothing but metrics of the table, and what Prometheus understands. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { METRICS, type Metric } from '../../src/metrics/table.ts';
import { temporaryDirectory } from '../support/spool.ts';

const EXAMPLES = new URL('../../techdoc/examples/', import.meta.url);
const DASHBOARD = 'grafana-dashboard.json';
const RULES = 'prometheus-rules.yml';

function example(name: string): string {
  return fs.readFileSync(new URL(name, EXAMPLES), 'utf8');
}

/** The names of samples, with the labels of each and their values. */
const SAMPLES = new Map<string, { readonly [label: string]: readonly string[] }>(
  Object.entries(METRICS).flatMap(([name, { type, labels = {}, buckets }]: [string, Metric]) => {
    if (type === 'counter') return [[`${name}_total`, labels] as const];
    if (type === 'gauge') return [[name, labels] as const];
    const bounds = { ...labels, le: (buckets ?? []).map(String) };
    return [
      [`${name}_bucket`, bounds] as const,
      [`${name}_sum`, labels] as const,
      [`${name}_count`, labels] as const,
    ];
  }),
);

interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

const { panels } = JSON.parse(example(DASHBOARD)) as { readonly panels: readonly Panel[] };
const TARGETS = panels.flatMap(({ targets = [] }) => targets);
const RULE_EXPRESSIONS = [...example(RULES).matchAll(/^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/gm)].map(
  ([, block, line]) => block ?? line ?? '',
);

for (const [file, expressions] of [
  [DASHBOARD, TARGETS.map(({ expr }) => expr)],
  [RULES, RULE_EXPRESSIONS],
] as const) {
  test(`${file} names metrics of the table, with labels and values that they have`, () => {
    assert.ok(expressions.length > 10);
    const text = example(file);
    for (const [name] of text.matchAll(/\bspoolroom_\w+/g)) assert.ok(SAMPLES.has(name), name);
    for (const expression of expressions)
      for (const [, name = '', selector = ''] of expression.matchAll(/(spoolroom_\w+)(?:\{([^}]*)\})?/g)) {
        const labels = SAMPLES.get(name) ?? {};
        for (const [, label = '', values = ''] of selector.matchAll(/(\w+)(?:=~|=|!=)"([^"]*)"/g)) {
          if (label === 'instance') continue;
          for (const value of values.split('|'))
            assert.ok(labels[label]?.includes(value), `${name} ${label} ${value}`);
        }
      }
  });
}

test('sums by a label and legends name labels that the metric has', () => {
  for (const { expr, legendFormat = '' } of TARGETS) {
    const labels = [...expr.matchAll(/spoolroom_\w+/g)].flatMap(([name]) =>
      Object.keys(SAMPLES.get(name) ?? {}),
    );
    const by = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/,\s*/));
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name);
    for (const name of by) assert.ok(name === 'instance' || labels.includes(name), `${expr}: ${name}`);
    for (const name of shown) assert.ok(by.includes(name), `${expr}: ${name}`);
  }
});

test('every metric but times that rules use is shown', () => {
  const shown = new Set(TARGETS.flatMap(({ expr }) => expr.match(/spoolroom_\w+/g) ?? []));
  const samples = (name: string) => [name, `${name}_total`, `${name}_bucket`];
  const missing = Object.keys(METRICS).filter((name) => !samples(name).some((each) => shown.has(each)));
  assert.deepEqual(missing, [
    'spoolroom_queue_quarantined',
    'spoolroom_run_duration_seconds',
    'spoolroom_counters_start_timestamp_seconds',
    'spoolroom_smtpd_counters_start_timestamp_seconds',
  ]);
});

test('panels have numbers of their own, and do not lie on each other', () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x} ${y}`), title);
        taken.add(`${x} ${y}`);
      }
});

/** Null, and the test is skipped, where it is missing. */
function promtool(t: TestContext, ...words: readonly string[]): string | null {
  const { error, status, stdout, stderr } = spawnSync('promtool', words, { encoding: 'utf8' });
  if (error !== undefined) {
    t.skip('promtool is not installed (Debian: prometheus)');
    return null;
  }
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}

test('promtool takes the rules', (t) => {
  promtool(t, 'check', 'rules', new URL(RULES, EXAMPLES).pathname);
});

test('promtool takes the expressions of the dashboard', (t) => {
  const file = path.join(temporaryDirectory(t), 'rules.yml');
  const rules = TARGETS.map(({ expr }, at) => {
    const plain = expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*');
    return `      - record: dashboard:${at}\n        expr: '${plain.replaceAll("'", "''")}'\n`;
  });
  fs.writeFileSync(
    file,
    `groups:\n  - name: dashboard\n    rules:\n${rules.join('')}`.replaceAll(
      /dashboard:(\d+)/g,
      'dashboard:n$1',
    ),
  );
  promtool(t, 'check', 'rules', file);
});

test('the rules fire when they should, and a counter that begins anew is no reason', (t) => {
  const file = path.join(temporaryDirectory(t), 'test.yml');
  const series = (name: string, values: string): string =>
    `      - series: '${name}'\n        values: '${values}'\n`;
  const alerts = (name: string, at: string, fires: boolean): string =>
    `      - eval_time: ${at}\n        alertname: ${name}\n        exp_alerts: ${fires ? '[{exp_labels: {severity: warning, instance: a}}]' : '[]'}\n`;
  const plain = example(RULES).replaceAll(/ {8}annotations:\n(?: {10}.*\n)+/g, '');
  const rules = path.join(path.dirname(file), 'rules.yml');
  fs.writeFileSync(rules, plain);
  fs.writeFileSync(
    file,
    `rule_files: [${rules}]\ntests:\n  - interval: 1m\n    input_series:\n` +
      series('spoolroom_smtp_status_total{instance="a",status="delivered"}', '0+1x60') +
      series('spoolroom_smtp_status_total{instance="a",status="refused"}', '0+2x60') +
      series('spoolroom_smtp_status_total{instance="b",status="delivered"}', '0+2x30 0+2x30') +
      series('spoolroom_smtp_status_total{instance="b",status="refused"}', '900x30 0x30') +
      series('spoolroom_queue_oldest_age_seconds{instance="a"}', '86000x10 86401x60') +
      series('spoolroom_queue_oldest_age_seconds{instance="b"}', '86399x60') +
      series('spoolroom_smtpd_sasl_authentication_failures_total{instance="a"}', '0x10 0+10x50') +
      `    alert_rule_test:\n` +
      alerts('SpoolroomManyRefused', '60m', true) +
      alerts('SpoolroomQueueIsOld', '20m', false) +
      alerts('SpoolroomQueueIsOld', '30m', true) +
      alerts('SpoolroomPasswordsAreGuessed', '10m', false) +
      alerts('SpoolroomPasswordsAreGuessed', '40m', true),
  );
  promtool(t, 'test', 'rules', file);
});
