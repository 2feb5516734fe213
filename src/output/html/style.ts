/** Style that the page of a replay and the web view share: colours, and the parts of a replay. */

/** Light and dark. What is pale carries text of the same name. */
export const THEME_STYLE = `
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --raised: #f5f3ed; --field: #fff; --ink: #22252a; --soft: #5f646c; --faint: #757a82;
  --line: #d9d6cd; --hair: #ebe8e0; --edge: #bdb9ae; --link: #24636f; --focus: #24636f; --strong: #2a6b78; --mark: #eaf3f4;
  --dns: #7b6fd0; --net: #4d87c7; --talk: #8fa3b5; --tls: #3f9c8f; --body: #c79a2e; --bad: #c4473a; --ok: #2f8f4e; --later: #c2811b;
  --okpale: #e2f1e6; --oktext: #1d6a38; --laterpale: #f8ebd2; --latertext: #7c500a; --badpale: #f9e2df; --badtext: #a2332a;
  --okfill: #27803f; --laterfill: #976312; --badfill: #b53c31; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --card: #1d2024; --raised: #24282d; --field: #191c20; --ink: #e3e4e6; --soft: #a0a6ae; --faint: #7f868f;
  --line: #353a41; --hair: #2a2e34; --edge: #474d56; --link: #86c5d0; --focus: #86c5d0; --strong: #2f7684; --mark: #1f2f33;
  --dns: #8d82dd; --net: #5a97da; --talk: #5f7386; --tls: #46ad9f; --body: #b98d26; --bad: #d65a4c; --ok: #43ab64; --later: #d3942f;
  --okpale: #1c3324; --oktext: #84d39c; --laterpale: #3a2d15; --latertext: #e6b765; --badpale: #402320; --badtext: #f0938a;
  --okfill: #27803f; --laterfill: #976312; --badfill: #b8443a; } }
* { box-sizing: border-box; }
`;

/** Outcomes, timeline, dialogue, delivery list and what changed in it. */
export const PARTS_STYLE = `
h3 { font-size: inherit; margin: 12px 0 0; }
.narrow { display: none !important; }
.note { color: var(--latertext); } .outcomes { list-style: none; padding: 0; margin: 12px 0 0; } .outcomes li { margin: 4px 0; overflow-wrap: anywhere; }
.badge { display: inline-block; border-radius: 10px; padding: 0 10px; color: #fff; font-size: 13px; }
.s0, .s2 { background: var(--okfill); } .s4 { background: var(--laterfill); } .s5 { background: var(--badfill); }
code, .dialogue, .diff { font: 13px/1.55 ui-monospace, "DejaVu Sans Mono", monospace; } code { color: var(--soft); }
.dialogue, .fields { border-collapse: collapse; width: 100%; }
.dialogue td, .fields td, .fields th { text-align: left; vertical-align: top; padding: 1px 10px 1px 0; overflow-wrap: anywhere; }
.dialogue td:first-child { color: var(--soft); text-align: right; white-space: nowrap; width: 84px; font-variant-numeric: tabular-nums; }
.us td + td { color: var(--net); } .us td + td::before { content: "C  "; white-space: pre; } .them td + td::before { content: "S  "; white-space: pre; }
.dns td + td { color: var(--dns); } .net td + td { color: var(--soft); } .outcome td + td { font-weight: 700; }
.fields { table-layout: fixed; } .fields th { font-weight: 600; white-space: nowrap; width: 16ch; } .fields td:first-of-type { width: 46%; } .fields td:last-child { color: var(--soft); }
.diff div { white-space: pre-wrap; overflow-wrap: anywhere; padding: 0 6px; border-left: 3px solid transparent; }
.added { border-color: var(--ok) !important; color: var(--oktext); } .removed { border-color: var(--bad) !important; color: var(--badtext); } .same { color: var(--soft); }
.wide > svg { width: 100%; max-width: 1200px; height: auto; display: block; } .wide svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
.wide svg .time { fill: var(--soft); text-anchor: start; } .wide svg .on { fill: #fff; pointer-events: none; }
.wide svg .tick, .wide svg .base { stroke: var(--line); } .wide svg .tick { stroke-dasharray: 2 4; }
rect.dns { fill: var(--dns); } rect.net { fill: var(--net); } rect.talk { fill: var(--talk); } rect.tls { fill: var(--tls); } rect.body { fill: var(--body); }
rect.silence { fill: var(--later); } rect.bad, circle.refused { fill: var(--bad); } circle.ok { fill: var(--ok); } circle.later { fill: var(--later); }
circle { stroke: var(--card); stroke-width: 2; }
.legend { color: var(--soft); font-size: 13px; } .legend svg { width: 12px; height: 12px; margin-left: 12px; vertical-align: -1px; }
@media (max-width: 900px) { .broad { display: none !important; } .wide > .narrow { display: block !important; max-width: 460px; } }
@media (max-width: 700px) {
  .fields, .fields tbody, .fields tr, .fields th, .fields td { display: block; width: auto !important; min-width: 0 !important; } .fields tr { margin-bottom: 8px; }
  .dialogue td:first-child { width: 62px; } }
`;
