/**
 * The values of metrics, and their text as OpenMetrics 1.0 or in the older format of Prometheus, which is all that node_exporter
 * reads of files. Pure.
 */
import {
  joined,
  type LabelsOf,
  labelsText,
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

/** Counts and observations by series. A counter that was not counted is 0; a gauge that was not set is absent. */
export class Metrics {
  readonly #values = new Map<string, number>();

  /** Goes on with what `entries` gave of this part. A gauge that was set since stays. */
  restore(part: Part, values: ReadonlyMap<string, number>): void {
    for (const [name, type] of keptSeries(part)) {
      const before = values.get(name);
      if (before === undefined || (type === 'gauge' && this.#values.has(name))) continue;
      this.#values.set(name, before + this.#value(name));
    }
  }

  add<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>, count = 1): void {
    this.#add(counted(name, labels), count);
  }

  /** The same for what is counted with each message: its series is named once. */
  counter<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>): () => void {
    const own = counted(name, labels);
    return () => this.#add(own, 1);
  }

  /** Takes observations. */
  histogram<N extends NameOf<'histogram'>>(name: N, labels: LabelsOf<N>): (value: number) => void {
    const bounds: readonly number[] = METRICS[name].buckets;
    const text = labelsText(METRICS[name], labels);
    const last = bucket(name, text, undefined);
    const buckets = bounds.map((bound) => bucket(name, text, bound));
    const sum = series(`${name}_sum`, text);
    return (value) => {
      let at = 0;
      while (value > (bounds[at] ?? Number.POSITIVE_INFINITY)) at++;
      this.#add(buckets[at] ?? last, 1);
      this.#add(sum, Math.max(0, value));
    };
  }

  set<N extends NameOf<'gauge'>>(name: N, value: number, labels: LabelsOf<N>): void {
    this.#values.set(series(name, labelsText(METRICS[name], labels)), value);
  }

  /** Whether the gauge has a value. */
  has(name: NameOf<'gauge'>): boolean {
    return this.#values.has(name);
  }

  /** What the next process goes on with of this part. */
  entries(part: Part): ReadonlyMap<string, number> {
    const kept = keptSeries(part);
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

  #samples(name: MetricName, { type, buckets = [] }: Metric, labels: string): readonly string[] {
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
      const line = bucket(name, labels, bound);
      count += this.#value(line);
      return `${line} ${count}`;
    });
    const sum = series(`${name}_sum`, labels);
    return [...lines, `${sum} ${this.#value(sum)}`, `${series(`${name}_count`, labels)} ${count}`];
  }

  #value(name: string): number {
    return this.#values.get(name) ?? 0;
  }

  #add(name: string, count: number): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + count);
  }
}

/** The series of a counter. */
function counted<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>): string {
  return series(`${name}_total`, labelsText(METRICS[name], labels));
}

/** `name{label="value"}` */
function series(name: string, labels: string): string {
  return labels === '' ? name : `${name}{${labels}}`;
}

/** OpenMetrics wants bounds as floats. Undefined: beyond the last. */
function bucket(name: string, labels: string, bound: number | undefined): string {
  const le = bound === undefined ? '+Inf' : Number.isInteger(bound) ? `${bound}.0` : String(bound);
  return series(`${name}_bucket`, joined(labels, `le="${le}"`));
}

const KEPT = new Map<Part, ReadonlyMap<string, Metric['type']>>();

/** What is kept from process to process: the type of each series. */
function keptSeries(part: Part): ReadonlyMap<string, Metric['type']> {
  const known = KEPT.get(part);
  if (known !== undefined) return known;
  const kept = new Map<string, Metric['type']>();
  for (const [name, metric] of Object.entries(METRICS) as [MetricName, Metric][]) {
    const { type } = metric;
    if (metric.part !== part || (type === 'gauge' && metric.kept !== true)) continue;
    for (const labels of seriesOf(metric))
      for (const each of held(name, metric, labels)) kept.set(each, type);
  }
  KEPT.set(part, kept);
  return kept;
}

/** As the values of a series are held: a histogram's buckets do not include those below them. */
function held(name: MetricName, { type, buckets = [] }: Metric, labels: string): readonly string[] {
  if (type === 'gauge') return [series(name, labels)];
  if (type === 'counter') return [series(`${name}_total`, labels)];
  const lines = [...buckets, undefined].map((bound) => bucket(name, labels, bound));
  return [...lines, series(`${name}_sum`, labels)];
}
