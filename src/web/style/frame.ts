/** Style of the frame: page, head, navigation, forms, buttons. */
export const FRAME_STYLE = `
body { margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
a { color: var(--link); text-underline-offset: 2px; text-decoration-thickness: 1px; text-decoration-color: color-mix(in srgb, currentColor 40%, transparent); }
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
main:focus { outline: none; }
.skip { position: absolute; left: 8px; top: -60px; padding: 8px 12px; background: var(--card); border: 1px solid var(--line); border-radius: 6px; z-index: 2; }
.skip:focus { top: 8px; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0; }
.top { display: flex; align-items: center; gap: 0 24px; padding: 0 24px; background: var(--card); border-bottom: 1px solid var(--line); }
.brand { margin: 0; padding: 10px 0; font-weight: 650; white-space: nowrap; min-width: 104px; flex: 0 1 auto; overflow: hidden; text-overflow: ellipsis; }
.brand a { color: inherit; text-decoration: none; }
.where { color: var(--soft); font-weight: 400; font-size: 13px; margin-left: 8px; }
.top nav { flex: 1 0 auto; }
.top nav ul { display: flex; margin: 0; padding: 0; list-style: none; gap: 2px; }
.top nav a { display: block; padding: 11px 10px 9px; color: var(--soft); text-decoration: none; border-bottom: 2px solid transparent; white-space: nowrap; }
.top nav a:hover { color: var(--ink); }
.top nav a[aria-current] { color: var(--ink); border-color: var(--link); font-weight: 550; }
.leave { display: flex; align-items: center; gap: 10px; color: var(--soft); font-size: 13px; }
main { padding: 18px 24px 48px; max-width: 1720px; margin: 0 auto; }
h1 { font-size: 20px; line-height: 1.25; font-weight: 650; margin: 0 0 12px; overflow-wrap: anywhere; letter-spacing: -0.01em; }
h2 { font-size: 15px; font-weight: 600; margin: 26px 0 8px; color: var(--ink); }
p { margin: 4px 0; }
.outcomes .tag { min-width: 76px; text-align: center; }
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 32px; margin-bottom: 12px; }
.head h1 { margin: 0; }
.notice, .problem, .warning { padding: 9px 14px; border-radius: 6px; border: 1px solid var(--line); border-left: 3px solid var(--ok); background: var(--card); margin: 0 0 14px; overflow-wrap: anywhere; }
.problem { border-left-color: var(--bad); }
.warning { border-left-color: var(--later); }
.empty { padding: 40px 16px; text-align: center; color: var(--soft); background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
input, select, button, .button { font: inherit; color: inherit; border: 1px solid var(--edge); border-radius: 6px; background: var(--field); padding: 5px 9px; min-height: 32px; box-sizing: border-box; }
input::placeholder { color: var(--faint); opacity: 1; }
select { padding-right: 4px; }
button, .button { display: inline-block; background: var(--card); cursor: pointer; text-decoration: none; font-weight: 500; white-space: nowrap; }
button:hover, .button:hover { border-color: var(--soft); background: var(--raised); }
.quiet { border-color: transparent; background: transparent; color: var(--soft); font-weight: 400; }
.quiet:hover { color: var(--ink); border-color: var(--line); }
.main { background: var(--strong); border-color: var(--strong); color: #fff; }
.main:hover { background: var(--strong); border-color: var(--ink); }
.grave { color: var(--badtext); }
.main.grave { background: var(--badfill); border-color: var(--badfill); color: #fff; }
.buttons { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.field { display: flex; flex-direction: column; gap: 2px; min-width: 0; }
.field label { font-size: 12px; color: var(--soft); }
.field input, .field select { width: 100%; }
.filter .buttons { flex-wrap: nowrap; }
.filter { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 8px 10px; align-items: end; padding: 10px 12px 12px; margin-bottom: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.filter.short { grid-template-columns: max-content max-content; }
.foot { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: end; gap: 12px 24px; margin-top: 12px; }
@media (min-width: 761px) { form > .foot { position: sticky; bottom: 0; padding: 10px 0; margin-top: 0; background: var(--paper); } }
.actions { display: flex; flex-wrap: wrap; align-items: end; gap: 8px; border: 0; margin: 0; padding: 0; min-width: 0; }
.pager { display: flex; align-items: center; gap: 4px; }
.pager p { margin: 0 8px 0 0; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.refresh { display: flex; align-items: end; gap: 4px; margin-top: 20px; }
.refresh .field { flex-direction: row; align-items: center; gap: 8px; }
.bare { display: grid; place-items: center; min-height: 100vh; padding: 16px; box-sizing: border-box; }
.bare .card { max-width: 420px; width: 100%; box-sizing: border-box; margin: 0; padding: 28px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.login form { display: grid; gap: 4px; }
.login input { min-height: 38px; margin-bottom: 10px; }
.login button { min-height: 38px; margin-top: 6px; }
.login label { font-size: 13px; color: var(--soft); }
.question { margin: 0 0 20px; }
.toggle, .toggle + label { display: none; }
@media (max-width: 760px) {
  .toggle { display: block; position: absolute; opacity: 0; width: 1px; height: 1px; min-height: 0; padding: 0; }
  .toggle + label { display: inline-block; margin-bottom: 12px; }
  .toggle:focus-visible + label { outline: 2px solid var(--focus); outline-offset: 2px; }
  .toggle:not(:checked) ~ .filter { display: none; }
  .top { flex-wrap: wrap; padding: 0 12px; gap: 0 12px; }
  .top nav { order: 3; flex-basis: 100%; overflow-x: auto; margin: 0 -12px; padding: 0 8px; }
  .brand { flex: 1; overflow: hidden; text-overflow: ellipsis; }
  .top nav a { padding: 8px 8px 7px; }
  main { padding: 14px 12px 40px; }
  .filter { grid-template-columns: repeat(2, minmax(0, 1fr)); padding: 10px; }
  input, select, button, .button { min-height: 38px; font-size: 16px; }
  input[type=checkbox] { min-height: 0; }
  .leave button { font-size: 14px; }
}
@media print { .top nav, .leave, .filter, .foot, .refresh { display: none; } }
`;
