/**
 * The timeline of a story as an SVG drawing: one row for what each delivery asked the DNS and connected to, one for
 * each session, waits as bars, outcomes as dots. Called by page.ts. Time is stretched where much happens and
 * shortened where nothing does, so that a dialogue of milliseconds and a silence of minutes fit on one page.
 */
import type { Timeline, TimelineEvent } from '../../replay/timeline.ts';
import { STATES } from '../../smtp/machine/states.ts';
import { duration } from '../text.ts';
import { escapeHtml } from './escape.ts';

/** What a bar is drawn as; the classes of page.ts. */
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

const LEFT = 230;
const WIDTH = 1000;
const ROW = 30;
const TOP = 34;

export function timelineDrawing(story: Timeline): string {
  const { bars, dots } = drawingOf(story);
  const rows = [...new Set([...bars.map(({ row }) => row), ...dots.map(({ row }) => row)])];
  if (rows.length === 0) return '';
  const x = scale([...bars.flatMap(({ from, to }) => [from, to]), ...dots.map(({ at }) => at)]);
  const y = (row: string): number => TOP + rows.indexOf(row) * ROW;
  const height = TOP + rows.length * ROW + 12;
  const parts = [
    ...ticks(x).map(
      ({ at, text }) =>
        `<line class="tick" x1="${at}" x2="${at}" y1="${TOP - 10}" y2="${height - 8}"/>` +
        `<text class="time" x="${at}" y="${TOP - 16}">${text}</text>`,
    ),
    ...rows.map(
      (row) =>
        `<text class="row" x="${LEFT - 12}" y="${y(row) + 15}">${escapeHtml(shortened(row))}</text>` +
        `<line class="base" x1="${LEFT}" x2="${WIDTH}" y1="${y(row) + 11}" y2="${y(row) + 11}"/>`,
    ),
    ...bars.map((bar) => barDrawn(bar, x, y(bar.row))),
    ...sideBySide(dots).map(
      ({ row, at, status, label, before }) =>
        `<circle class="${status}" cx="${x.of(at) + 13 * before}" cy="${y(row) + 11}" r="6"><title>${escapeHtml(label)}</title></circle>`,
    ),
  ];
  return `<svg viewBox="0 0 ${WIDTH + 16} ${height}" role="img" aria-label="Timeline of the delivery">${parts.join('\n')}</svg>`;
}

/** Dots of one place stand beside each other; of very many, some are enough. */
function sideBySide(dots: readonly Dot[]): readonly (Dot & { readonly before: number })[] {
  const counts = new Map<string, number>();
  return dots.flatMap((dot) => {
    const place = `${dot.at} ${dot.row}`;
    const before = counts.get(place) ?? 0;
    counts.set(place, before + 1);
    return before < MOST_DOTS ? [{ ...dot, before }] : [];
  });
}
const MOST_DOTS = 8;

function barDrawn({ from, to, kind, label }: Bar, x: Scale, y: number): string {
  const left = x.of(from);
  const width = Math.max(3, x.of(to) - left);
  const title = `${label}, ${duration(to - from)}`;
  const room = Math.floor((width - 6) / 7);
  const text =
    room >= 4 ? `<text class="on" x="${left + 4}" y="${y + 15}">${escapeHtml(cut(label, room))}</text>` : '';
  return `<g><title>${escapeHtml(title)}</title><rect class="${kind}" x="${left}" y="${y}" width="${width}" height="22" rx="3"/>${text}</g>`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function shortened(row: string): string {
  return cut(row, 36);
}

/** From milliseconds to places on the page: each interval as wide as the logarithm of its length. */
interface Scale {
  readonly times: readonly number[];
  of(at: number): number;
}

function scale(all: readonly number[]): Scale {
  const times = [...new Set(all)].sort((a, b) => a - b);
  const weights = times.slice(1).map((time, index) => 1 + 3 * Math.log10(1 + time - (times[index] ?? time)));
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  const places = new Map<number, number>();
  let place = LEFT;
  for (const [index, time] of times.entries()) {
    places.set(time, Math.round(place * 10) / 10);
    place += ((weights[index] ?? 0) * (WIDTH - LEFT)) / total;
  }
  return { times, of: (at) => places.get(at) ?? LEFT };
}

function ticks(x: Scale): readonly { readonly at: number; readonly text: string }[] {
  const shown: { at: number; text: string }[] = [];
  for (const time of x.times) {
    const at = x.of(time);
    const last = shown.at(-1);
    if ((last === undefined || at - last.at >= 70) && at < WIDTH - 40) {
      shown.push({ at, text: `${((time - (x.times[0] ?? 0)) / 1000).toFixed(3)} s` });
    }
  }
  return shown;
}

/** What is known while the events are read in order. */
interface Walk {
  readonly bars: Bar[];
  readonly dots: Dot[];
  /** when each delivery last did something, and what it connects to */
  readonly asked: Map<number, number>;
  readonly sessions: Map<number, { row: string; at: number; waiting: string; kind: Kind }>;
  /** the row an outcome of a delivery belongs to */
  readonly rowOf: Map<number, string>;
}

function drawingOf({ events, deliveries }: Timeline): Drawing {
  const walk: Walk = { bars: [], dots: [], asked: new Map(), sessions: new Map(), rowOf: new Map() };
  for (const moment of events) {
    const [delivery = -1] = moment.deliveries;
    const name = deliveries[delivery]?.destination.name ?? '';
    step(walk, moment, delivery, name);
  }
  return walk;
}

function step(walk: Walk, moment: TimelineEvent, delivery: number, name: string): void {
  const { at } = moment;
  switch (moment.what) {
    case 'lookup': {
      const label = `${moment.question.toUpperCase()} ${moment.name}`;
      const { answer } = moment;
      const trouble = answer.kind === 'failed' && answer.fault !== 'no-data';
      noteLookup(walk, {
        ...{ row: name, from: walk.asked.get(delivery) ?? at, to: at },
        kind: trouble ? 'bad' : 'dns',
        label,
      });
      return;
    }
    case 'delivery':
      noteDelivery(walk, moment, delivery, name);
      walk.asked.set(delivery, at);
      return;
    case 'connected': {
      const from = walk.asked.get(delivery) ?? at;
      walk.bars.push({ row: name, from, to: at, kind: 'net', label: `connect ${moment.address}` });
      const row = `session ${moment.session} [${moment.address}]`;
      walk.sessions.set(moment.session, { row, at, waiting: STATES.greeting.phrase, kind: 'talk' });
      return;
    }
    case 'session-state': {
      const { peer, state } = moment.value;
      const row = `session ${moment.session} [${peer.address ?? peer.host}]`;
      walk.sessions.set(moment.session, { row, at, waiting: STATES[state].phrase, kind: 'talk' });
      return;
    }
    case 'session':
      noteSession(walk, moment);
      return;
    case 'outcome': {
      const { outcome } = moment;
      const status = outcome.kind === 'delivered' ? 'ok' : outcome.permanent ? 'refused' : 'later';
      walk.dots.push({ row: walk.rowOf.get(delivery) ?? name, at, status, label: outcome.text });
      return;
    }
    case 'body':
    case 'digest':
      return;
  }
}

/** Both address lookups of a host run at once: one bar with both names. */
function noteLookup({ bars }: Walk, bar: Bar): void {
  const last = bars.at(-1);
  const together = last?.row === bar.row && last.from === bar.from && last.kind === bar.kind;
  if (last === undefined || !together) bars.push(bar);
  else bars.splice(-1, 1, { ...bar, label: `${last.label.split(' ')[0]}, ${bar.label}` });
}

function noteDelivery(
  walk: Walk,
  { at, event }: Extract<TimelineEvent, { what: 'delivery' }>,
  delivery: number,
  row: string,
): void {
  if (event.type !== 'host-failed' || event.failure.stage !== 'connect') return;
  const from = walk.asked.get(delivery) ?? at;
  walk.bars.push({
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
  walk: Walk,
  { at, session, event, state, deliveries }: Extract<TimelineEvent, { what: 'session' }>,
): void {
  const known = walk.sessions.get(session);
  if (known === undefined) return;
  for (const delivery of deliveries) walk.rowOf.set(delivery, known.row);
  const code = event.type === 'reply' ? ` ${event.reply.code}` : '';
  const kind = BAD.has(event.type) ? (event.type === 'timeout' ? 'silence' : 'bad') : known.kind;
  const label = `${known.waiting.replace(/^waiting for the (?:answer to )?/, '')}${code}`;
  if (at > known.at) walk.bars.push({ row: known.row, from: known.at, to: at, kind, label });
  const { phrase } = STATES[state];
  walk.sessions.set(session, { row: known.row, at, waiting: phrase, kind: KINDS[state] ?? 'talk' });
}
