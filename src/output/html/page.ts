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
import { timelineDrawing } from './timeline.ts';

export function htmlPage(report: ReplayReport, timeline: Timeline): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(report.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHtml(report.title)}</h1>
${report.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join('\n')}
${outcomeList(report)}
</header>
<section class="wide"><h2>Timeline</h2>${timelineDrawing(timeline)}
<p class="legend">${LEGEND}</p>
<p class="legend">Long spans are drawn shorter than they were; the times stand above and in the bars.</p></section>
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

const STYLE = `
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #22252a; --soft: #62676f; --line: #d9d6cd;
  --dns: #7b6fd0; --net: #4d87c7; --talk: #8fa3b5; --tls: #3f9c8f; --body: #c79a2e; --bad: #c4473a; --ok: #2f8f4e; --later: #c2811b; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --card: #1e2126; --ink: #e3e4e6; --soft: #9aa0a8; --line: #363b43;
  --dns: #8d82dd; --net: #5a97da; --talk: #5f7386; --tls: #46ad9f; --body: #b98d26; --bad: #d65a4c; --ok: #43ab64; --later: #d3942f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 24px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 8px; overflow-wrap: anywhere; } h2 { font-size: 15px; margin: 0 0 10px; color: var(--soft); font-weight: 600; }
h3 { font-size: 15px; margin: 12px 0 0; } p { margin: 4px 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; margin-top: 16px; }
main { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 16px; align-items: start; }
.narrow { display: none !important; }
@media (max-width: 900px) { main { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 700px) { body { padding: 12px; } section { padding: 12px; } .broad { display: none !important; } .narrow { display: block !important; }
  .fields, .fields tbody, .fields tr, .fields th, .fields td { display: block; width: auto !important; min-width: 0 !important; } .fields tr { margin-bottom: 8px; }
  .dialogue td:first-child { width: 62px; } }
.note { color: var(--later); } .outcomes { list-style: none; padding: 0; margin: 12px 0 0; } .outcomes li { margin: 4px 0; overflow-wrap: anywhere; }
.badge { display: inline-block; border-radius: 10px; padding: 0 10px; color: #fff; font-size: 13px; }
.s0, .s2 { background: var(--ok); } .s4 { background: var(--later); } .s5 { background: var(--bad); }
code, .dialogue, .diff { font: 13px/1.55 ui-monospace, "DejaVu Sans Mono", monospace; } code { color: var(--soft); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: 1px 10px 1px 0; overflow-wrap: anywhere; }
.dialogue td:first-child { color: var(--soft); text-align: right; white-space: nowrap; width: 84px; font-variant-numeric: tabular-nums; }
.us td + td { color: var(--net); } .us td + td::before { content: "C  "; white-space: pre; } .them td + td::before { content: "S  "; white-space: pre; }
.dns td + td { color: var(--dns); } .net td + td { color: var(--soft); } .outcome td + td { font-weight: 700; }
.fields th { font-weight: 600; white-space: nowrap; } .fields td { min-width: 12ch; overflow-wrap: break-word; } .fields td:first-of-type { width: 46%; } .fields td:last-child { color: var(--soft); }
.diff div { white-space: pre-wrap; overflow-wrap: anywhere; padding: 0 6px; border-left: 3px solid transparent; }
.added { border-color: var(--ok) !important; color: var(--ok); } .removed { border-color: var(--bad) !important; color: var(--bad); } .same { color: var(--soft); }
.wide > svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
svg .time { fill: var(--soft); text-anchor: start; } svg .on { fill: #fff; pointer-events: none; }
svg .tick, svg .base { stroke: var(--line); } svg .tick { stroke-dasharray: 2 4; }
.dns { fill: var(--dns); } .net { fill: var(--net); } .talk { fill: var(--talk); } .tls { fill: var(--tls); } .body { fill: var(--body); }
.silence { fill: var(--later); } .bad, .refused { fill: var(--bad); } .ok { fill: var(--ok); } .later { fill: var(--later); }
circle { stroke: var(--card); stroke-width: 2; }
.legend { color: var(--soft); font-size: 13px; } .legend svg { width: 12px; height: 12px; margin-left: 12px; vertical-align: -1px; }
`;
