"""The style sheet of the HTML report: phone to desktop, light and dark, no fonts to fetch."""

COLORS = """
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --panel: #ffffff; --ink: #1c1b1a; --soft: #66635f; --rule: #e3e0db;
  --float32: #64748b; --float16: #2777c9; --int8: #d9541e; --int8x16: #b3267a;
  --other: #7a5cc0; --decode: #c9b37a; --tile: #7a5cc0; --convert: #2b9c87; --infer: #d9541e;
  --encode: #9c8f6a; --zoom: 3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #151517; --panel: #1e1e21; --ink: #ecebe9; --soft: #a09d98; --rule: #35343a;
    --float32: #9aa8bb; --float16: #5aa5f0; --int8: #ff8a4c; --int8x16: #f06db5;
    --other: #ab93ea; --decode: #8c7a45; --tile: #ab93ea; --convert: #4cc2ab; --infer: #ff8a4c;
    --encode: #6e6442;
  }
}
"""

DRAWINGS = """
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
svg .int8x16 { fill: var(--int8x16); } svg .whisker.int8x16 { stroke: var(--int8x16); }
svg .other { fill: var(--other); } svg .whisker.other { stroke: var(--other); }
svg .shape { fill: none; stroke: var(--soft); }
svg .front { fill: none; stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 2 4;
             stroke-linecap: round; }
svg .bar { fill: var(--soft); opacity: .55; }
svg .percentile { stroke: var(--int8); stroke-width: 1.5; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .curve.float32 { stroke: var(--float32); } svg .curve.float16 { stroke: var(--float16); }
svg .curve.int8 { stroke: var(--int8); } svg .curve.int8x16 { stroke: var(--int8x16); }
svg .curve.other { stroke: var(--other); }
"""
"""Of plots, which are SVG."""

STYLE = (
    COLORS
    + """* { box-sizing: border-box; }
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
.warning { color: var(--int8); font-weight: 600; }
.soft, figcaption, small { color: var(--soft); }
.lead { color: var(--soft); max-width: 44em; margin-bottom: 20px; }
.eyebrow { color: var(--soft); font-size: .875rem; margin: 0; }
a { color: inherit; }

.tiles { display: flex; flex-wrap: wrap; gap: 12px 40px; list-style: none; margin: 0; padding: 0; }
.tiles b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 600; }
.tiles b small { font-size: 1rem; font-weight: 400; }
.tiles span { color: var(--soft); font-size: .875rem; }

.crop { display: grid; grid-template-columns: 200px max-content 1fr; gap: 28px; padding: 24px 0;
        border-top: 1px solid var(--rule); margin: 0; }
.whole { display: grid; grid-template-columns: max-content max-content; gap: 0 14px;
         font-size: .85rem; margin: 2px 0 0; }
.whole dt:first-child { grid-column: 1 / 3; }
.whole dd { text-align: right; }
.whole.long { grid-template-columns: minmax(0, 1fr); }
.whole.long dt { color: var(--ink); } .whole.long dt:first-child { grid-column: 1; }
.whole.long dd { text-align: left; color: var(--soft); margin-bottom: 4px; }
.where { position: relative; display: block; margin-bottom: 10px; width: fit-content; }
.where img { display: block; max-width: 200px; max-height: 200px; border-radius: 3px; }
.where i { position: absolute; border: 2px solid #fff; outline: 1px solid #000a;
           box-shadow: 0 0 0 1px #0006 inset; }
.crop img { display: block; }
.slider, .panels figure { margin: 0; }
.slider { width: calc(var(--width) * var(--zoom) * 2px); max-width: 100%; }
.slider > div { position: relative; --cut: 50%; aspect-ratio: var(--width) / var(--height);
                border-radius: 4px; overflow: hidden; }
.slider img { position: absolute; width: 100%; height: 100%; image-rendering: pixelated; }
.slider img + img { clip-path: inset(0 calc(100% - var(--cut)) 0 0); }
.slider > div::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--cut);
                       width: 2px; margin-left: -1px; background: #fff; pointer-events: none;
                       box-shadow: 0 0 0 1px #0007; }
.slider > div::before { content: "‹ ›"; position: absolute; top: 50%; left: var(--cut); z-index: 1;
                        width: 34px; height: 34px; margin: -17px; border-radius: 50%;
                        background: #fffd; color: #222; font: 600 16px/31px system-ui, sans-serif;
                        text-align: center; pointer-events: none; box-shadow: 0 0 0 1px #0005; }
.slider > div:focus-within { outline: 3px solid var(--int8); outline-offset: 2px; }
.slider input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
                cursor: ew-resize; touch-action: pan-y; }
.slider figcaption { display: flex; justify-content: space-between; }
.crop figcaption { font-size: .85rem; margin-top: 4px; white-space: nowrap; }
.crop figcaption b { font-weight: 600; color: var(--ink); }
.panels { display: grid; gap: 12px 14px; align-content: start; justify-content: start;
          grid-template-columns: repeat(2, calc(var(--width) * var(--zoom) * 1px)); }
.panels img { image-rendering: pixelated; border-radius: 2px;
              width: calc(var(--width) * var(--zoom) * 1px);
              height: calc(var(--height) * var(--zoom) * 1px); }
.panels figcaption span { float: right; }

.plot { margin: 0 0 24px; }
.plot svg { display: block; max-width: 100%; height: auto; overflow: visible; }
.plot .medium, .plot .narrow { display: none; }
.plot figcaption { font-size: .875rem; margin-top: 8px; }
"""
    + DRAWINGS
    + """.histograms { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr));
              gap: 22px 36px; }
.histograms figure { margin: 0; }
.histograms figcaption { font-size: .85rem; color: var(--soft); }
.histograms figcaption b { font-weight: 600; color: var(--ink); }
.histograms svg { display: block; width: 100%; height: auto; }
.histograms figcaption span { white-space: nowrap; }
.histograms p { font-size: .8rem; margin: 0; }
.parts { display: grid; grid-template-columns: max-content 1fr; gap: 14px 24px; margin: 0;
         align-items: start; }
.parts dt { color: var(--ink); font-size: .85rem; font-weight: 600; max-width: 20em; }
.parts .bar { display: flex; height: 18px; border-radius: 3px; overflow: hidden; }
.parts small { display: block; font-size: .8rem; margin-top: 2px; }
.legend i { width: 12px; height: 12px; border-radius: 2px; }
i.decode { background: var(--decode); } i.tile { background: var(--tile); }
i.convert { background: var(--convert); } i.infer { background: var(--infer); }
i.encode { background: var(--encode); }
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
td.why { text-align: left; padding-left: 16px; color: var(--soft); white-space: normal;
         min-width: 16em; }
tr.failed td.why { color: var(--int8); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 8px 24px; margin: 12px 0 0;
         font-size: .9rem; max-width: 64em; }
dt { color: var(--soft); } dd { margin: 0; }

@media (max-width: 1279px) {
  :root { --zoom: 2; }
  .crop { grid-template-columns: 150px max-content 1fr; gap: 20px; }
  .where img { max-width: 150px; max-height: 150px; }
  .plot .wide { display: none; } .plot .medium { display: block; }
}
@media (max-width: 900px) {
  .crop { grid-template-columns: max-content 1fr; gap: 16px; }
  .crop header { display: flex; gap: 16px; align-items: flex-start; grid-column: 1 / 3; }
}
@media (max-width: 720px) {
  main { padding: 24px 16px 48px; }
  h2 { margin-top: 44px; }
  .crop { grid-template-columns: 1fr; }
  .crop header { grid-column: 1; }
  .plot .medium { display: none; } .plot .narrow { display: block; }
  .tiles { gap: 14px 24px; }
  .parts { grid-template-columns: 1fr; gap: 0; } .parts dd { margin: 4px 0 16px; }
  tbody th { min-width: 9em; }
  .word:not(:last-child) { display: none; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 10px; }
}
"""
)
