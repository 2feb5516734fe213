/** Style of tables and facts. */
export const LIST_STYLE = `
.counts { display: flex; flex-wrap: wrap; gap: 2px 22px; margin: 0; }
.counts div { display: flex; align-items: baseline; gap: 6px; }
.counts dt { order: 2; color: var(--soft); }
.counts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
.jobs, .rows { table-layout: fixed; background: var(--card); border: 1px solid var(--line); border-radius: 8px; border-spacing: 0; border-collapse: separate; overflow: hidden; }
.rows { table-layout: auto; }
.jobs caption, .rows caption { text-align: left; color: var(--soft); padding: 0 0 6px; }
.jobs th, .jobs td, .rows th, .rows td { text-align: left; font-weight: 400; padding: 5px 8px; border-bottom: 1px solid var(--hair); vertical-align: baseline; overflow: hidden; text-overflow: ellipsis; }
.jobs th, .jobs td { white-space: nowrap; }
.rows td, .rows th { overflow-wrap: break-word; }
.rows time { white-space: nowrap; }
.jobs tbody tr:last-child > *, .rows tbody tr:last-child > * { border-bottom: 0; }
.jobs thead th, .rows thead th { font-size: 12px; color: var(--soft); background: var(--raised); border-bottom: 1px solid var(--line); }
.jobs thead a { color: inherit; }
.jobs tbody tr:hover > * { background: var(--raised); }
.jobs tbody tr:has(:checked) > * { background: var(--mark); }
.jobs .pick { width: 34px; padding: 5px 4px 5px 12px; text-overflow: clip; }
.pick input { width: 16px; height: 16px; margin: 0; vertical-align: -3px; accent-color: var(--strong); padding: 0; min-height: 0; }
.jobs .job { width: 76px; font-variant-numeric: tabular-nums; }
.jobs .size { width: 80px; }
.jobs .age, .jobs .next { width: 104px; }
.jobs .age, .jobs .size, .jobs .next, .number { font-variant-numeric: tabular-nums; }
.jobs .sender { width: 19%; }
.jobs .recipient { width: 25%; }
.jobs td.why, .jobs td.age, .jobs td.size, .jobs td.sender { color: var(--soft); }
.jobs .below { display: none; }
.rows tbody th { min-width: 136px; overflow-wrap: anywhere; }
.rows .said { min-width: 220px; }
.rows .number { text-align: right; white-space: nowrap; }
.rows td.zero { color: var(--faint); }
.tag { display: inline-block; white-space: nowrap; padding: 0 7px; border-radius: 9px; font-size: 12px; line-height: 18px; background: var(--raised); color: var(--soft); }
.tag.ok { background: var(--okpale); color: var(--oktext); }
.tag.later { background: var(--laterpale); color: var(--latertext); }
.tag.bad { background: var(--badpale); color: var(--badtext); }
.soft { color: var(--soft); }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 18px; margin: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; margin: 0 0 14px; min-width: 0; overflow-wrap: anywhere; }
.panel > h2:first-child { margin-top: 0; }
.pair { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 0 14px; align-items: start; }
pre, code, .mono { font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border-radius: 8px; }
.scroll:focus-visible { outline-offset: -2px; }
.big { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 0 0 18px; }
.big div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; display: flex; flex-direction: column-reverse; }
.big dt { color: var(--soft); font-size: 13px; }
.big dd { margin: 0; font-size: 20px; line-height: 1.4; white-space: nowrap; font-weight: 600; font-variant-numeric: tabular-nums; }
.story { background: var(--card); border: 1px solid var(--line); border-bottom-width: 0; padding: 8px 14px; }
.story:last-of-type { border-radius: 0 0 8px 8px; border-bottom-width: 1px; }
.story summary, .stories { display: grid; grid-template-columns: 172px minmax(0, 1fr) minmax(0, 1.4fr) minmax(200px, 0.7fr); gap: 2px 14px; }
.stories { margin: 0; padding: 6px 15px; font-size: 12px; color: var(--soft); background: var(--raised); border: 1px solid var(--line); border-bottom: 0; border-radius: 8px 8px 0 0; }
.story summary { cursor: pointer; align-items: baseline; list-style: none; }
.story summary::-webkit-details-marker { display: none; }
.story summary > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.story summary time { color: var(--soft); font-variant-numeric: tabular-nums; }
.story summary time::before { content: "▸"; display: inline-block; width: 14px; color: var(--faint); }
.story[open] summary time::before { content: "▾"; }
.story .sender { color: var(--soft); }
.events { list-style: none; margin: 8px 0 4px 14px; padding: 8px 0 0; border-top: 1px solid var(--hair); }
.events li { display: grid; grid-template-columns: 152px 96px minmax(0, 1fr); gap: 2px 14px; padding: 2px 0; overflow-wrap: anywhere; }
.events time { color: var(--soft); font-variant-numeric: tabular-nums; }
.attempts { display: flex; flex-wrap: wrap; gap: 4px; padding: 0; margin: 0 0 10px; list-style: none; }
.attempts a { display: block; padding: 3px 9px; border: 1px solid var(--line); border-radius: 6px; text-decoration: none; font-size: 13px; font-variant-numeric: tabular-nums; }
.attempts a[aria-current] { border-color: var(--link); font-weight: 600; }
@media (max-width: 1240px) { .jobs .size, .jobs .sender { display: none; } .jobs .recipient { width: 34%; } }
@media (max-width: 1000px) { .pair { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 760px) {
  .jobs .why, .jobs .age { display: none; }
  .jobs .pick { width: 26px; padding: 8px 2px 8px 8px; }
  .jobs .job { width: 58px; }
  .jobs .next { width: 78px; }
  .jobs .recipient { width: auto; }
  .jobs th, .jobs td { padding: 8px 6px; }
  .jobs td.recipient { white-space: normal; overflow-wrap: anywhere; }
  .jobs .below { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; color: var(--soft); font-size: 13px; }
  .pick input { width: 18px; height: 18px; }
  .stories span:not(:first-child) { display: none; }
  .story summary, .stories { grid-template-columns: minmax(0, 1fr); }
  .story summary .recipient { grid-row: 2; }
  .story summary .sender { grid-row: 3; }
  .events { margin-left: 0; }
  .events li { grid-template-columns: minmax(0, 1fr) max-content; padding: 6px 0; }
  .events li > :last-child { grid-column: 1 / -1; }
  .facts { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .facts dd { margin-bottom: 8px; }
  .rows th, .rows td { padding: 6px; }
}
`;
