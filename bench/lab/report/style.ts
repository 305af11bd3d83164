// The report's style sheet: light and dark by the reader's setting, one column on a phone, visible focus for the keyboard.

export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --text: #1c1e21; --quiet: #5b6168; --line: #d8dce1; --panel: #f5f6f8; --accent: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #15181c; --text: #e8eaed; --quiet: #a3abb5; --line: #363c45; --panel: #1f242b; --accent: #56b4e9; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 62rem; padding: 1rem;
  background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; border-top: 1px solid var(--line); padding-top: 1rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.25rem; }
p { margin: 0.4rem 0; max-width: 46rem; }
.answer { font-size: 1.1rem; font-weight: 600; }
.quiet, figcaption { color: var(--quiet); font-size: 0.875rem; }
pre, code { font-family: ui-monospace, monospace; font-size: 0.85rem; }
pre { background: var(--panel); padding: 0.6rem 0.8rem; border-radius: 6px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--ground); padding-right: 1rem; }
td small { display: block; color: var(--quiet); white-space: nowrap; }
td { white-space: nowrap; }
figure { margin: 0.5rem 0 1rem; position: relative; }
figure > div { overflow-x: auto; }
.zoom { position: absolute; right: 0; top: -2rem; margin: 0; }
.zoom button { font: inherit; width: 2rem; background: var(--panel); color: var(--text); border: 1px solid var(--line); border-radius: 4px; cursor: pointer; }
.values { position: absolute; z-index: 1; pointer-events: none; white-space: pre; padding: 0.3rem 0.5rem; font-size: 0.8rem; background: var(--panel); border: 1px solid var(--line); border-radius: 4px; }
.values[hidden] { display: none; }
table + table, .scroll + .scroll { margin-top: 1rem; }
svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
@media screen and (max-width: 48rem) {
  .wide { display: none; } .narrow { display: block; } body { padding: 0.75rem; }
  .figures thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .figures, .figures tbody, .figures tr, .figures th, .figures td { display: block; border: 0; padding: 0; position: static; }
  .figures tr { border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
  .figures td { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 0.75rem; white-space: normal; }
  .figures td::before { content: attr(data-name); text-align: left; color: var(--quiet); }
  .figures td small { grid-column: 1 / -1; white-space: normal; }
}
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; padding: 0; margin: 0.25rem 0; list-style: none; font-size: 0.875rem; }
.legend i { display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 2px; margin-right: 0.4rem; vertical-align: -0.05rem; }
.legend .sample { display: inline-block; margin-right: 0.4rem; vertical-align: 0.1rem; }
dl { overflow-wrap: anywhere; } dd { margin: 0 0 0.5rem 1rem; }
details { margin: 0.5rem 0; } summary { cursor: pointer; padding: 0.25rem 0; font-weight: 600; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media print {
  details > * { display: block; } details::details-content { content-visibility: visible; block-size: auto; }
  .scroll { overflow: visible; } td, td small { white-space: normal; }
  .zoom, .values { display: none; } tr, figure { break-inside: avoid; } svg { width: auto !important; max-width: 100% !important; }
}
`;
