/**
 * The result of a replay as one HTML page: the timeline as a drawing, the dialogue, the outcomes and the list. Light and dark,
 * printable, without scripts; it loads nothing from other files or hosts.
 */
import type { Timeline } from '../../replay/timeline.ts';
import {
  endOf,
  outcomeWords,
  type ReplayReport,
  STATUS_WORDS,
  untouchedWords,
} from '../replay/replay-report.ts';
import { escapeHtml } from './escape.ts';
import { PARTS_STYLE, THEME_STYLE } from './style.ts';
import { timelineDrawing } from './timeline.ts';

export function htmlPage(report: ReplayReport, timeline: Timeline): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(report.title)}</title>
<style>${THEME_STYLE}${PAGE_STYLE}${PARTS_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHtml(report.title)}</h1>
${report.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join('\n')}
${outcomeList(report)}
</header>
<section class="wide"><h2>Timeline</h2>${timelineWithLegend(timeline)}</section>
<main>
<section><h2>Dialogue</h2>${dialogue(report)}</section>
<div>
${hosts(report)}
${reports(report)}
<section><h2>Control message</h2>${difference(report)}</section>
<section><h2>Delivery list</h2>${fields(report)}</section>
</div>
</main>
</body>
</html>
`;
}

/** A recorded delivery for a page of another kind: timeline, outcomes and dialogue. */
export function deliveryParts(report: ReplayReport, timeline: Timeline): string {
  return `<section class="panel wide"><h2>Timeline</h2>${timelineWithLegend(timeline)}${outcomeList(report)}</section>
<section class="panel"><h2>Dialogue</h2>${dialogue(report)}</section>`;
}

function timelineWithLegend(timeline: Timeline): string {
  return `${timelineDrawing(timeline)}
<p class="legend">${LEGEND}</p>
<p class="legend">Long spans are drawn shorter than they were; the times stand above and in the bars.</p>`;
}

const LEGEND = [
  ['dns', 'lookup'],
  ['net', 'connecting'],
  ['talk', 'waiting for a reply'],
  ['tls', 'TLS'],
  ['body', 'the message'],
  ['silence', 'no reply'],
  ['bad', 'failure'],
]
  .map(
    ([kind, text]) =>
      `<svg viewBox="0 0 14 14"><rect class="${kind}" width="14" height="14" rx="3"/></svg> ${text}`,
  )
  .join(' ');

function outcomeList({ outcomes, untouched, untried, unknown }: ReplayReport): string {
  const items = outcomes.map((each) => {
    const over = each.tls === null ? '' : ` (${each.tls})`;
    const row = each.row === null ? '' : ` <code>${escapeHtml(each.row)}</code>`;
    const badge = each.stopped ? 'accepted' : STATUS_WORDS[each.status];
    return (
      `<li><span class="badge s${each.status}">${badge}</span> <b>${escapeHtml(each.recipient)}</b> ` +
      `${escapeHtml(outcomeWords(each) + over)}${row}</li>`
    );
  });
  const kept = untouched.map(
    (each) => `<li><b>${escapeHtml(each.recipient)}</b> ${escapeHtml(untouchedWords(each))}</li>`,
  );
  const notes = [untried, unknown === null ? null : `The recording does not say ${unknown}.`].flatMap(
    (note) => (note === null ? [] : [`<li class="note">${escapeHtml(note)}</li>`]),
  );
  return `<ul class="outcomes">${[...items, ...kept, ...notes].join('\n')}</ul>`;
}

function reports({ reports: all }: ReplayReport): string {
  if (all === null || all.length === 0) return '';
  const items = all.map(({ text }) => `<li>${escapeHtml(text)}</li>`).join('\n');
  return `<section><h2>Reports to the sender</h2><ul>${items}</ul></section>`;
}

function dialogue({ dialogue: all }: ReplayReport): string {
  let before = Number.NaN;
  const lines = all.map(({ at, who, text }) => {
    const time = at === before ? '' : (at / 1000).toFixed(3);
    before = at;
    return `<tr class="${who}"><td>${time}</td><td>${escapeHtml(text)}</td></tr>`;
  });
  return `<table class="dialogue">${lines.join('\n')}</table>`;
}

function hosts({ routes, due }: ReplayReport): string {
  const parts = routes.map(
    ({ destination, why, hosts: list }) =>
      `<h3>${escapeHtml(destination)}</h3><p>${escapeHtml(why.join('; '))}</p>` +
      `<ol>${list.map(({ name, why: reason, contacted }) => `<li><b>${escapeHtml(name)}</b> ${escapeHtml(reason + (contacted ? '' : ', not contacted'))}</li>`).join('')}</ol>`,
  );
  return `<section><h2>Schedule and route</h2><p>${escapeHtml(due)}</p>${parts.join('\n')}</section>`;
}

const MARKS = { '+': 'added', '-': 'removed', ' ': 'same' } as const;

function difference({ diff, ends, would }: ReplayReport): string {
  if (ends) return `<p>${endOf(would)}</p>`;
  const lines = diff.map(({ mark, text }) => `<div class="${MARKS[mark]}">${mark} ${escapeHtml(text)}</div>`);
  return `<div class="diff">${lines.join('\n')}</div>`;
}

function fields({ fields: all, warnings }: ReplayReport): string {
  const rows = all.map(
    ({ name, value, meaning }) =>
      `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td><td>${escapeHtml(meaning)}</td></tr>`,
  );
  const notes = warnings.map((warning) => `<p class="note">${escapeHtml(warning)}</p>`).join('\n');
  return `<table class="fields">${rows.join('\n')}</table>${notes}`;
}

/** Where the parts stand on a page of their own. */
const PAGE_STYLE = `
body { margin: 0 auto; max-width: 1280px; padding: 24px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 8px; overflow-wrap: anywhere; } h2 { font-size: 15px; margin: 0 0 10px; color: var(--soft); font-weight: 600; }
p { margin: 4px 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin-top: 16px; }
main { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 16px; align-items: start; }
@media (max-width: 900px) { main { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 700px) { body { padding: 12px; } section { padding: 12px; } }
`;
