"""The figures of README.md, drawn from a report of ailsr-bench: ``make readme-figures``.

    python benchmarks/readme_figures.py report.json --photograph china.png --file int8.tflite

``front.svg`` is the report's plot, quality against latency, as a file of its own. ``crop.png``
shows the photograph where FILE gains most over bicubic interpolation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw, ImageFont
from typer import Argument, Option

from ailsr.runtime import documents, load
from ailsr.runtime.bench.report_document import read_results
from ailsr.runtime.bench.results import Results
from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging import crops
from ailsr.runtime.imaging.protocol import PROTOCOL, pairs, set_name
from ailsr.runtime.report import plot, scatter, style

SIZE = (760, 400)
"""Width and height of the plot in pixels."""
ENLARGED = 3
"""Each pixel of the crop is a square of this side."""
GAP, STRIP = 6, 22
"""Pixels between the panels, and above them for their labels."""


@dataclass(frozen=True)
class Figures:
    """Draw front.svg and crop.png."""

    report: Annotated[Path, Argument(help="What ailsr-bench --json printed, of one scale.")]
    photograph: Annotated[Path, Option(help="A high-resolution image for the crop.")]
    file: Annotated[Path, Option(help="The file that upscales it.")]
    output: Annotated[Path, Option(help="Folder of the figures.")] = Path("docs")


def main(config: Figures) -> None:
    """Draw both; raises UsageError when nothing in the report can be drawn."""
    results = read_results(documents.parse(config.report.read_bytes()), str(config.report))
    with atomic_output(config.output / "front.svg") as temporary:
        temporary.write_text(front(results), encoding="utf-8")
    with atomic_output(config.output / "crop.png") as temporary:
        temporary.write_bytes(crop(config.photograph, config.file))
    message(f"wrote front.svg and crop.png in {config.output}")


def front(results: Results) -> str:
    """The plot as an SVG file, with a line that says where and when it was measured."""
    files = [file for file in results.measured if file.whole_path and file.quality]
    scales = {file.scale for file in files}
    if len(scales) != 1 or results.images is None:
        raise UsageError("the report needs files of one scale, with latency and quality")
    width, height = SIZE
    threads = f"{results.threads} thread" + "s" * (results.threads > 1)
    images = set_name(Path(results.images))
    bicubic = results.rank_metric.with_unit(results.rank_score(results.bicubic[scales.pop()]) or 0)
    origin = (
        f"{images} (bicubic: {bicubic}), {results.host.cpu}, {threads}, {results.date:%Y-%m-%d}"
    )
    said = scatter.text(width - scatter.RIGHT, 12, origin, "axis end")
    drawing = plot.drawing(results, files, width, height)
    head, _, rest = drawing.partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    font = "svg { font-family: system-ui, sans-serif; } .page { fill: var(--page); }"
    page = f'<rect width="{width}" height="{height}" rx="6" class="page"/>'
    sheet = escape(style.COLORS + style.DRAWINGS + font, quote=False)
    return f"{head}><style>{sheet}</style>{page}{said}{rest}\n"


def crop(photograph: Path, file: Path) -> bytes:
    """A PNG of bicubic interpolation, the file's result and the photograph, side by side."""
    upscaler = load(file)
    beside = pairs(photograph.parent, upscaler.scale)
    pair = beside[beside.names.index(photograph.stem)]
    found = crops.crop(pair, {file.stem: upscaler.upscale(pair.lr)}, PROTOCOL)
    height, width = (side * ENLARGED for side in found.size)
    panels = found.panels
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + STRIP), "#1e1e21")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, panel in enumerate(panels):
        left = place * (width + GAP)
        score = "" if panel.psnr_db is None else f"{panel.psnr_db:.1f} dB"
        draw.text((left + 6, 3), panel.label, "#ecebe9", font)
        draw.text((left + width - 6, 3), score, "#a09d98", font, anchor="ra")
        large = Image.fromarray(panel.pixels).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(large, (left, STRIP))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    entry_point(Figures, main)()
