/**
 * The values of metrics, and their text as OpenMetrics 1.0 or in the older format of Prometheus, which is all that node_exporter
 * reads of files. Pure.
 */
import {
  type LabelsOf,
  METRICS,
  type Metric,
  type MetricName,
  type NameOf,
  type Part,
  seriesOf,
} from './table.ts';

export type Format = 'openmetrics' | 'prometheus';

export const CONTENT_TYPES: { readonly [format in Format]: string } = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

/** Of an HTTP request with this `Accept`, in which Prometheus names OpenMetrics first. */
export function formatFor(accept: string | undefined): Format {
  return accept?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'prometheus';
}

type Labels = { readonly [label: string]: string };

/** Counts and observations by series. A counter that was not counted is 0; a gauge that was not set is absent. */
export class Metrics {
  readonly #values = new Map<string, number>();

  /** Goes on with what `entries` gave of these parts. A gauge that was set since stays. */
  restore(parts: readonly Part[], values: ReadonlyMap<string, number>): void {
    for (const [name, type] of keptSeries(parts)) {
      const before = values.get(name);
      if (before === undefined || (type === 'gauge' && this.#values.has(name))) continue;
      this.#values.set(name, before + this.#value(name));
    }
  }

  add<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>, count = 1): void {
    this.#add(series(`${name}_total`, labels as Labels), count);
  }

  observe<N extends NameOf<'histogram'>>(name: N, value: number, labels: LabelsOf<N>): void {
    const { buckets } = METRICS[name];
    const bucket = buckets.find((bound) => value <= bound);
    this.#add(series(`${name}_bucket`, { ...(labels as Labels), le: boundOf(bucket) }), 1);
    this.#add(series(`${name}_sum`, labels as Labels), Math.max(0, value));
  }

  set<N extends NameOf<'gauge'>>(name: N, value: number, labels: LabelsOf<N>): void {
    this.#values.set(series(name, labels as Labels), value);
  }

  /** Whether the gauge has a value. */
  has(name: NameOf<'gauge'>): boolean {
    return this.#values.has(name);
  }

  /** What the next process goes on with of these parts. */
  entries(parts: readonly Part[]): ReadonlyMap<string, number> {
    const kept = keptSeries(parts);
    return new Map([...this.#values].filter(([name]) => kept.has(name)));
  }

  text(parts: readonly Part[], format: Format): string {
    const rows = Object.entries(METRICS) as [MetricName, Metric][];
    const families = rows
      .filter(([, { part }]) => parts.includes(part))
      .map(([name, metric]) => this.#family(name, metric, format));
    return `${families.join('')}${format === 'openmetrics' ? '# EOF\n' : ''}`;
  }

  #family(name: MetricName, metric: Metric, format: Format): string {
    const samples = seriesOf(metric).flatMap((labels) => this.#samples(name, metric, labels));
    if (samples.length === 0) return '';
    const { type, unit, help } = metric;
    const isCounter = type === 'counter' && format === 'prometheus';
    const family = isCounter ? `${name}_total` : name;
    const unitLine = unit === undefined || format === 'prometheus' ? [] : [`# UNIT ${family} ${unit}`];
    const lines = [`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`, ...unitLine, ...samples];
    return lines.map((line) => `${line}\n`).join('');
  }

  #samples(name: MetricName, { type, buckets = [] }: Metric, labels: Labels): readonly string[] {
    if (type === 'counter') {
      const counter = series(`${name}_total`, labels);
      return [`${counter} ${this.#value(counter)}`];
    }
    if (type === 'gauge') {
      const value = this.#values.get(series(name, labels));
      return value === undefined ? [] : [`${series(name, labels)} ${value}`];
    }
    let count = 0;
    const lines = [...buckets, undefined].map((bound) => {
      const bucket = series(`${name}_bucket`, { ...labels, le: boundOf(bound) });
      count += this.#value(bucket);
      return `${bucket} ${count}`;
    });
    const sum = series(`${name}_sum`, labels);
    return [...lines, `${sum} ${this.#value(sum)}`, `${series(`${name}_count`, labels)} ${count}`];
  }

  #value(name: string): number {
    return this.#values.get(name) ?? 0;
  }

  #add(name: string, count: number): void {
    this.#values.set(name, this.#value(name) + count);
  }
}

/** `name{label="value"}` */
function series(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

/** OpenMetrics wants bounds as floats. Undefined: beyond the last. */
function boundOf(bound: number | undefined): string {
  if (bound === undefined) return '+Inf';
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

/** What is kept from process to process: the type of each series. */
function keptSeries(parts: readonly Part[]): ReadonlyMap<string, Metric['type']> {
  const rows = Object.entries(METRICS) as [MetricName, Metric][];
  const kept = rows.filter(
    ([, { part, type, kept: isKept }]) => parts.includes(part) && (type !== 'gauge' || isKept === true),
  );
  return new Map(
    kept.flatMap(([name, metric]) => seriesNames(name, metric).map((each) => [each, metric.type] as const)),
  );
}

/** As their values are held: a histogram's buckets do not include those below them. */
function seriesNames(name: MetricName, metric: Metric): readonly string[] {
  return seriesOf(metric).flatMap((labels) => {
    if (metric.type === 'gauge') return [series(name, labels)];
    if (metric.type === 'counter') return [series(`${name}_total`, labels)];
    const bounds = [...(metric.buckets ?? []), undefined].map(boundOf);
    const buckets = bounds.map((le) => series(`${name}_bucket`, { ...labels, le }));
    return [...buckets, series(`${name}_sum`, labels)];
  });
}
