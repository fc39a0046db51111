"""The crop of README.md: ``make readme-figures``. Its other figure is that of ``make front``.

    python benchmarks/readme_figures.py --photograph china.png --file int8.tflite

``crop.png`` shows the photograph where FILE gains most over bicubic interpolation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image, ImageDraw, ImageFont
from typer import Option

from ailsr.runtime import load
from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging import crops
from ailsr.runtime.imaging.protocol import PROTOCOL, pairs

ENLARGED = 3
"""Each pixel of the crop is a square of this side."""
GAP, STRIP = 6, 22
"""Pixels between the panels, and above them for their labels."""


@dataclass(frozen=True)
class Figures:
    """Draw crop.png."""

    photograph: Annotated[Path, Option(help="A high-resolution image for the crop.")]
    file: Annotated[Path, Option(help="The file that upscales it.")]
    output: Annotated[Path, Option(help="Folder of the figure.")] = Path("docs")


def main(config: Figures) -> None:
    """Draw it."""
    with atomic_output(config.output / "crop.png") as temporary:
        temporary.write_bytes(crop(config.photograph, config.file))
    message(f"wrote crop.png in {config.output}")


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
