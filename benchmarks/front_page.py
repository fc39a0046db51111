"""The tables of docs/front.md and the figure docs/front.svg, from what ``front.py`` measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape
from typing import TYPE_CHECKING

from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.formats import Shape
from ailsr.runtime.imaging.protocol import PROTOCOL
from ailsr.runtime.report import scatter, style

if TYPE_CHECKING:
    from front import Row, Table

SIZE = (760, 560)
"""Width and height of the figure in pixels."""
KINDS: dict[str, tuple[str, Shape, str]] = {
    "research": ("images for research", "circle", "int8"),
    "free": ("images for commercial use", "square", "float16"),
    "CC0": ("images in the public domain", "diamond", "infer"),
    "peer": ("of others", "triangle", "other"),
    "": ("interpolation", "circle", "float32"),
}
"""By the training images: words, and the mark in the figure with its class."""


def text(tables: Sequence[Table], with_amx: bool) -> str:
    """What stands between the marks of the page, as Markdown."""
    amx = "with AMX where it has that" if with_amx else "without AMX"
    day, cpu = date.today().isoformat(), Host.here().cpu
    blocks = [f"Written by `make front`, {day}, on {cpu}, one thread, {amx}.\n", _choice(tables)]
    for table in tables:
        tests = list(table.rows[0].psnr)
        head = [
            "network", "trained on", "parameters", "MAC per pixel", "p50, ms",
            f"to {table.baseline}",
            *(f"{test}, dB" for test in tests), "on the front", "of free ones", "GMAC/s",
        ]  # fmt: skip
        lines = [head, ["---", "---", *["--:"] * (4 + len(tests)), "---", "---", "--:"]]
        lines += [_cells(row) for row in table.rows]
        front = ", ".join(_name(row) for row in table.rows if tests[0] in row.front)
        blocks.append(f"## ×{table.scale}\n\nThe front on {tests[0]}: {front}.\n")
        blocks.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
        if table.noise:
            blocks.append(f"Of the machine: {'; '.join(table.noise)}.\n")
        if table.left_out:
            reasons = "; ".join(f"{name} ({why})" for name, why in table.left_out.items())
            blocks.append(f"Left out: {reasons}.\n")
    return "\n".join(blocks)


def _choice(tables: Sequence[Table]) -> str:
    """The networks of the free front, with what they take and give."""
    test = next(iter(tables[0].rows[0].psnr))
    lines = [
        "Trained on images that may be used commercially, and each better than all such networks "
        f"that are faster (milliseconds, PSNR in dB on {test}):\n"
    ]
    for table in tables:
        found = ", ".join(
            f"{_name(row)} {milliseconds(row.p50_ms).strip()} ms {row.psnr[test]:.2f}"
            for row in table.rows
            if row.images and test in row.free_front
        )
        lines.append(f"- ×{table.scale}: {found or 'none'}")
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    return [
        _name(row),
        row.images or "–",
        "–" if row.parameters is None else f"{row.parameters / 1e3:.1f} K",
        "–" if row.multiplications is None else f"{row.multiplications:,.0f}",
        milliseconds(row.p50_ms).strip(),
        f"{row.ratio:.2f}",
        *(f"{psnr:.2f}" for psnr in row.psnr.values()),
        ", ".join(row.front),
        ", ".join(row.free_front),
        "–" if row.gmac_per_s is None else f"{row.gmac_per_s:.0f}",
    ]


def _name(row: Row) -> str:
    return f"`{row.name}`" if row.images not in ("", "peer") else row.name


def figure(table: Table) -> str:
    """PSNR on the first test set against latency, as an SVG file of its own."""
    test = next(iter(table.rows[0].psnr))
    points = [
        scatter.Point(
            x=row.p50_ms,
            x_high=row.p90_ms,
            y=row.psnr[test],
            y_text=f"{row.psnr[test]:.2f} dB",
            label=row.name,
            style=KINDS[row.images][2],
            shape=KINDS[row.images][1],
            on_front=test in row.front,
        )
        for row in table.rows
    ]
    width, height = SIZE
    drawing = scatter.scatter(
        points, "ms per image of 1280×720, one thread", f"PSNR in dB on {test} ({PROTOCOL})",
        width, height, logarithmic=True,
    )  # fmt: skip
    head, _, rest = drawing.partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    font = "svg { font-family: system-ui, sans-serif; } .page { fill: var(--page); }"
    infer = "svg .infer { fill: var(--convert); } svg .whisker.infer { stroke: var(--convert); }"
    sheet = escape(style.COLORS + style.DRAWINGS + font + infer, quote=False)
    background = f'<rect width="{width}" height="{height}" rx="6" class="page"/>'
    said = f"×{table.scale}, {Host.here().cpu}, {date.today().isoformat()}"
    origin = scatter.text(width - scatter.RIGHT, 12, said, "axis end")
    rest = rest.removesuffix("</svg>") + _legend(table)
    return f"{head}><style>{sheet}</style>{background}{origin}{rest}</svg>\n"


def _legend(table: Table) -> str:
    """What the marks stand for, in the lower right corner."""
    used = [kind for kind in KINDS if any(row.images == kind for row in table.rows)]
    left, top = SIZE[0] - 210, SIZE[1] - scatter.BOTTOM - 18 * len(used)
    parts = []
    for number, kind in enumerate(used):
        words, shape, css = KINDS[kind]
        y = top + 18 * number
        parts.append(scatter.mark(left, y, shape, css) + scatter.text(left + 14, y + 4, words, ""))
    return "".join(parts)
