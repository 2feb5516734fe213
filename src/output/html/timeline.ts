/**
 * A timeline as an SVG drawing: one row for the lookups and connections of each delivery, one for each session, waiting times as
 * bars, outcomes as dots. A dialogue of milliseconds and a silence of minutes fit on one page: each interval has some width, and
 * a longer one is clearly wider. Drawn twice, for wide and for narrow windows; the style shows one of them.
 */
import type { Timeline, TimelineEvent } from '../../replay/timeline.ts';
import { STATES } from '../../smtp/machine/states.ts';
import { duration } from '../text.ts';
import { escapeHtml } from './escape.ts';

/** The CSS class of a bar. */
type Kind = 'dns' | 'net' | 'talk' | 'tls' | 'body' | 'silence' | 'bad';

interface Bar {
  readonly row: string;
  readonly from: number;
  readonly to: number;
  readonly kind: Kind;
  readonly label: string;
}

interface Dot {
  readonly row: string;
  readonly at: number;
  readonly status: 'ok' | 'later' | 'refused';
  readonly label: string;
}

interface Drawing {
  readonly bars: readonly Bar[];
  readonly dots: readonly Dot[];
}

/** Lengths in the units of the drawing, which are pixels at the size it is made for. */
interface Layout {
  readonly name: string;
  /** where bars begin */
  readonly left: number;
  readonly width: number;
  /** from one row to the next */
  readonly row: number;
  /** of the first bar */
  readonly top: number;
  /** names stand above the bars, not beside them */
  readonly namesAbove: boolean;
  /** characters of a name */
  readonly longest: number;
}

const LAYOUTS: readonly Layout[] = [
  { name: 'broad', left: 230, width: 1000, row: 30, top: 34, namesAbove: false, longest: 36 },
  { name: 'narrow', left: 0, width: 320, row: 48, top: 48, namesAbove: true, longest: 46 },
];

export function timelineDrawing(timeline: Timeline): string {
  const drawing = drawingOf(timeline);
  return LAYOUTS.map((layout) => drawn(drawing, layout)).join('\n');
}

function drawn({ bars, dots }: Drawing, layout: Layout): string {
  const { left, width, row: rowHeight, top, namesAbove, longest } = layout;
  const rows = [...new Set([...bars.map(({ row }) => row), ...dots.map(({ row }) => row)])];
  if (rows.length === 0) return '';
  const x = scale([...bars.flatMap(({ from, to }) => [from, to]), ...dots.map(({ at }) => at)], layout);
  const y = (row: string): number => top + rows.indexOf(row) * rowHeight;
  const height = top + rows.length * rowHeight + 12 - (namesAbove ? 16 : 0);
  const parts = [
    ...ticks(x, layout).map(
      ({ at, text }) =>
        `<line class="tick" x1="${at}" x2="${at}" y1="20" y2="${height - 8}"/>` +
        `<text class="time" x="${at}" y="14">${text}</text>`,
    ),
    ...rows.map((row) => {
      const place = namesAbove
        ? `x="0" y="${y(row) - 6}"`
        : `text-anchor="end" x="${left - 12}" y="${y(row) + 15}"`;
      return (
        `<text class="row" ${place}>${escapeHtml(cut(row, longest))}</text>` +
        `<line class="base" x1="${left}" x2="${width}" y1="${y(row) + 11}" y2="${y(row) + 11}"/>`
      );
    }),
    ...bars.map((bar) => barDrawn(bar, x, y(bar.row))),
    ...sideBySide(dots).map(
      ({ row, at, status, label, before, together }) =>
        `<circle class="${status}" cx="${Math.min(width - 7 - DOT * (together - 1), x.of(at)) + DOT * before}" cy="${y(row) + 22}" r="6"><title>${escapeHtml(label)}</title></circle>`,
    ),
  ];
  return `<svg class="${layout.name}" viewBox="0 0 ${width + (namesAbove ? 0 : 16)} ${height}" role="img" aria-label="Timeline of the delivery">${parts.join('\n')}</svg>`;
}

/** Dots at the same position are drawn side by side, at most MOST_DOTS of them. */
function sideBySide(
  dots: readonly Dot[],
): readonly (Dot & { readonly before: number; readonly together: number })[] {
  const groups = new Map<string, Dot[]>();
  for (const dot of dots) {
    const position = `${dot.at} ${dot.row}`;
    groups.set(position, [...(groups.get(position) ?? []), dot].slice(0, MOST_DOTS));
  }
  return [...groups.values()].flatMap((group) =>
    group.map((dot, before) => ({ ...dot, before, together: group.length })),
  );
}
const MOST_DOTS = 8;
/** From one to the next. */
const DOT = 13;

function barDrawn({ from, to, kind, label }: Bar, x: Scale, y: number): string {
  const left = x.of(from);
  const width = Math.max(3, x.of(to) - left);
  const title = `${label}, ${duration(to - from)}`;
  const letters = Math.floor((width - 6) / 7);
  const shown = [title, duration(to - from), cut(label, letters)].find(({ length }) => length <= letters);
  const text =
    letters >= 4 ? `<text class="on" x="${left + 4}" y="${y + 15}">${escapeHtml(shown ?? '')}</text>` : '';
  return `<g><title>${escapeHtml(title)}</title><rect class="${kind}" x="${left}" y="${y}" width="${width}" height="22" rx="3"/>${text}</g>`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** The part of the width that all intervals share alike, so that none vanishes. */
const SHARED = 0.3;
/** Below 1, long intervals are drawn shorter than they were: 40 s are seven times as wide as 3 s. */
const EXPONENT = 0.75;

/** From milliseconds to x positions. */
interface Scale {
  readonly times: readonly number[];
  of(at: number): number;
}

function scale(all: readonly number[], { left, width }: Layout): Scale {
  const times = [...new Set(all)].sort((a, b) => a - b);
  const lengths = times.slice(1).map((time, index) => (time - (times[index] ?? time)) ** EXPONENT);
  const total = lengths.reduce((sum, length) => sum + length, 0) || 1;
  const positions = new Map<number, number>();
  let position = left;
  for (const [index, time] of times.entries()) {
    positions.set(time, Math.round(position * 10) / 10);
    const share = SHARED / lengths.length + ((1 - SHARED) * (lengths[index] ?? 0)) / total;
    position += share * (width - left);
  }
  return { times, of: (at) => positions.get(at) ?? left };
}

function ticks(x: Scale, { width }: Layout): readonly { readonly at: number; readonly text: string }[] {
  const shown: { at: number; text: string }[] = [];
  for (const time of x.times) {
    const at = x.of(time);
    const last = shown.at(-1);
    if ((last === undefined || at - last.at >= 70) && at < width - 50) {
      shown.push({ at, text: `${(time / 1000).toFixed(3)} s` });
    }
  }
  return shown;
}

/** The drawing so far, and what is known for the next event. */
interface Sketch {
  readonly bars: Bar[];
  readonly dots: Dot[];
  /** when each delivery last did something */
  readonly lastEvent: Map<number, number>;
  readonly sessions: Map<number, { row: string; at: number; waiting: string; kind: Kind }>;
  /** the row for the outcomes of each delivery */
  readonly rowOf: Map<number, string>;
}

function drawingOf({ events, deliveries }: Timeline): Drawing {
  const sketch: Sketch = { bars: [], dots: [], lastEvent: new Map(), sessions: new Map(), rowOf: new Map() };
  for (const entry of events) {
    const [delivery = -1] = entry.deliveries;
    const name = deliveries[delivery]?.destination.name ?? '';
    step(sketch, entry, delivery, name);
  }
  return sketch;
}

function step(sketch: Sketch, entry: TimelineEvent, delivery: number, name: string): void {
  const { at } = entry;
  switch (entry.what) {
    case 'lookup': {
      const label = `${entry.question.toUpperCase()} ${entry.name}`;
      const { answer } = entry;
      const isFailure = answer.kind === 'failed' && answer.fault !== 'no-data';
      noteLookup(sketch, {
        ...{ row: name, from: sketch.lastEvent.get(delivery) ?? at, to: at },
        kind: isFailure ? 'bad' : 'dns',
        label,
      });
      return;
    }
    case 'delivery':
      noteDelivery(sketch, entry, delivery, name);
      sketch.lastEvent.set(delivery, at);
      return;
    case 'connected': {
      const from = sketch.lastEvent.get(delivery) ?? at;
      // A session that was there before the delivery began took nothing of its time.
      if (from <= at)
        sketch.bars.push({ row: name, from, to: at, kind: 'net', label: `connect ${entry.address}` });
      const row = `session ${entry.session} [${entry.address}]`;
      sketch.sessions.set(entry.session, { row, at, waiting: STATES.greeting.phrase, kind: 'talk' });
      return;
    }
    case 'session-state': {
      const { peer, state } = entry.value;
      const row = `session ${entry.session} [${peer.address ?? peer.host}]`;
      // Written when the delivery meets the session: what it waits for began with the connection.
      const since = Math.max(at, sketch.sessions.get(entry.session)?.at ?? at);
      sketch.sessions.set(entry.session, { row, at: since, waiting: STATES[state].phrase, kind: 'talk' });
      return;
    }
    case 'session':
      noteSession(sketch, entry);
      return;
    case 'outcome': {
      const { outcome } = entry;
      const status = outcome.kind === 'delivered' ? 'ok' : outcome.permanent ? 'refused' : 'later';
      sketch.dots.push({ row: sketch.rowOf.get(delivery) ?? name, at, status, label: outcome.text });
      return;
    }
    case 'body':
    case 'digest':
      return;
  }
}

/** The two address lookups of a host run at once, and share a bar. */
function noteLookup({ bars }: Sketch, bar: Bar): void {
  const last = bars.at(-1);
  const together = last?.row === bar.row && last.from === bar.from && last.kind === bar.kind;
  if (last === undefined || !together) bars.push(bar);
  else bars.splice(-1, 1, { ...bar, label: `${last.label.split(' ')[0]}, ${bar.label}` });
}

function noteDelivery(
  sketch: Sketch,
  { at, event }: Extract<TimelineEvent, { what: 'delivery' }>,
  delivery: number,
  row: string,
): void {
  if (event.type !== 'host-failed' || event.remembered === true) return;
  if (!['connect', 'network'].includes(event.failure.stage)) return;
  const from = sketch.lastEvent.get(delivery) ?? at;
  sketch.bars.push({
    row,
    from,
    to: at,
    kind: 'bad',
    label: `${event.failure.peer?.address ?? ''} ${event.failure.text}`,
  });
}

const KINDS: { readonly [state: string]: Kind } = {
  handshake: 'tls',
  starttls: 'tls',
  body: 'body',
  dot: 'body',
};
const BAD: ReadonlySet<string> = new Set([
  'timeout',
  'connection-lost',
  'protocol-error',
  'early-talker',
  'tls-failed',
  'payload-error',
]);

function noteSession(
  sketch: Sketch,
  { at, session, event, state, deliveries }: Extract<TimelineEvent, { what: 'session' }>,
): void {
  const known = sketch.sessions.get(session);
  if (known === undefined) return;
  for (const delivery of deliveries) sketch.rowOf.set(delivery, known.row);
  const code = event.type === 'reply' ? ` ${event.reply.code}` : '';
  const kind = BAD.has(event.type) ? (event.type === 'timeout' ? 'silence' : 'bad') : known.kind;
  const label = `${known.waiting.replace(/^waiting for the (?:answer to )?/, '')}${code}`;
  if (at > known.at) sketch.bars.push({ row: known.row, from: known.at, to: at, kind, label });
  const { phrase } = STATES[state];
  sketch.sessions.set(session, { row: known.row, at, waiting: phrase, kind: KINDS[state] ?? 'talk' });
}
