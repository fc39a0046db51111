"""The style sheet of the HTML report: phone to desktop, light and dark, no fonts to fetch."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --panel: #ffffff; --ink: #1c1b1a; --soft: #66635f; --rule: #e3e0db;
  --float32: #64748b; --float16: #2777c9; --int8: #d9541e; --other: #7a5cc0;
  --zoom: 3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #151517; --panel: #1e1e21; --ink: #ecebe9; --soft: #a09d98; --rule: #35343a;
    --float32: #9aa8bb; --float16: #5aa5f0; --int8: #ff8a4c; --other: #ab93ea;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1280px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: clamp(1.45rem, 1rem + 2vw, 2.1rem); line-height: 1.2; margin: 6px 0 24px;
     max-width: 33em; letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.3rem; margin: 56px 0 4px; letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 16px; }
.soft, figcaption, small { color: var(--soft); }
.lead { color: var(--soft); max-width: 44em; margin-bottom: 20px; }
.eyebrow { color: var(--soft); font-size: .875rem; margin: 0; }
a { color: inherit; }

.tiles { display: flex; flex-wrap: wrap; gap: 12px 40px; list-style: none; margin: 0; padding: 0; }
.tiles b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 600; }
.tiles b small { font-size: 1rem; font-weight: 400; }
.tiles span { color: var(--soft); font-size: .875rem; }

.crop { display: grid; grid-template-columns: 200px 1fr; gap: 20px; padding: 20px 0;
        border-top: 1px solid var(--rule); margin: 0; }
.whole { display: grid; grid-template-columns: max-content max-content; gap: 0 14px;
         font-size: .85rem; margin: 2px 0 0; }
.whole dt:first-child { grid-column: 1 / 3; }
.whole dd { text-align: right; }
.where { position: relative; display: block; margin-bottom: 10px; width: fit-content; }
.where img { display: block; max-width: 200px; max-height: 200px; border-radius: 3px; }
.where i { position: absolute; border: 2px solid #fff; outline: 1px solid #000a;
           box-shadow: 0 0 0 1px #0006 inset; }
.panels { display: grid; gap: 12px 10px; justify-content: start;
          grid-template-columns: repeat(var(--count), calc(var(--side) * var(--zoom) * 1px)); }
.panels figure { margin: 0; }
.panels img { display: block; image-rendering: pixelated; border-radius: 2px;
              width: calc(var(--width) * var(--zoom) * 1px);
              height: calc(var(--height) * var(--zoom) * 1px); }
.panels figcaption { display: flex; font-size: .85rem; margin-top: 4px; gap: 8px;
                     white-space: nowrap; }
.panels figcaption b { font-weight: 600; color: var(--ink); }

.plot { margin: 0 0 24px; }
.plot svg { display: block; max-width: 100%; height: auto; overflow: visible; }
.plot .medium, .plot .narrow { display: none; }
.plot figcaption { font-size: .875rem; margin-top: 8px; }
svg text { font-size: 12px; fill: var(--ink); }
svg .axis { fill: var(--soft); }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .whisker { stroke-width: 2; opacity: .45; }
svg .mark { stroke: var(--page); stroke-width: 1.5; }
svg .float32 { fill: var(--float32); } svg .whisker.float32 { stroke: var(--float32); }
svg .float16 { fill: var(--float16); } svg .whisker.float16 { stroke: var(--float16); }
svg .int8 { fill: var(--int8); } svg .whisker.int8 { stroke: var(--int8); }
svg .other { fill: var(--other); } svg .whisker.other { stroke: var(--other); }
svg .shape { fill: none; stroke: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: .85rem; margin: 0 0 8px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.legend svg { width: 16px; height: 16px; }

.scroll { overflow-x: auto; margin: 12px 0 0; border-radius: 6px; background: var(--panel);
          border: 1px solid var(--rule); }
table { border-collapse: collapse; width: 100%; font-size: .84rem; }
th:first-child { padding-left: 14px; } td:last-child, th:last-child { padding-right: 14px; }
th, td { padding: 8px 7px; text-align: right; white-space: nowrap; font-weight: 400; }
thead th { color: var(--soft); font-size: .78rem; line-height: 1.3; vertical-align: bottom; }
thead tr:first-child th { padding-bottom: 0; }
thead tr:last-child th { border-bottom: 1px solid var(--rule); }
thead th.group { text-align: center; color: var(--ink); }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--panel); }
tbody th { font-weight: 600; white-space: normal; min-width: 15.5em; }
tbody th small { display: block; font-size: .75rem; font-weight: 400; line-height: 1.35; }
.word { white-space: nowrap; }
.word:not(:last-child)::after { content: " · "; white-space: normal; }
td:nth-of-type(5), td:nth-of-type(9), td:nth-of-type(13) { padding-left: 16px; }
td.why { text-align: center; color: var(--soft); white-space: normal; min-width: 16em; }
tr.failed td.why { color: var(--int8); text-align: left; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 8px 24px; margin: 12px 0 0;
         font-size: .9rem; max-width: 64em; }
dt { color: var(--soft); } dd { margin: 0; }

@media (max-width: 1279px) {
  :root { --zoom: 2; }
  .crop { grid-template-columns: 160px 1fr; }
  .where img { max-width: 120px; max-height: 120px; }
  .plot .wide { display: none; } .plot .medium { display: block; }
}
@media (max-width: 900px) {
  .crop { grid-template-columns: 1fr; gap: 12px; }
  .crop header { display: flex; gap: 16px; align-items: flex-start; }
}
@media (max-width: 720px) {
  main { padding: 24px 16px 48px; }
  h2 { margin-top: 44px; }
  .panels { grid-template-columns: repeat(2, calc(var(--side) * var(--zoom) * 1px)); }
  .plot .medium { display: none; } .plot .narrow { display: block; }
  .tiles { gap: 14px 24px; }
  tbody th { min-width: 9em; }
  .word:not(:last-child) { display: none; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 10px; }
}
"""
