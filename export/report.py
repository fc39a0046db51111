"""What ``ailsr-export`` says of its files: a table, a JSON document, warnings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ailsr.export.options import ExportConfig
from ailsr.runtime.anatomy.lint import Lint
from ailsr.runtime.commands.command import stdout

if TYPE_CHECKING:  # it imports torch, which takes seconds that --help does not need
    from ailsr.export.exporter import ExportedFile

NOTABLE_LOSS = 0.3
"""dB from which a file's loss is worth a warning."""


@dataclass(frozen=True)
class RefusedFile:
    """A file that was asked for and is not good enough: it was not written."""

    file: str
    """Where it would lie"""
    target: str
    precision: str
    reason: str
    """And what to do, in one line"""


@dataclass(frozen=True)
class Report:
    """What was exported; printed as the JSON document."""

    model: str
    network: str
    scale: int
    input_size: tuple[int, int]
    other_sizes: list[tuple[int, int]]
    radius: int | None
    """Receptive field radius in input pixels; null: the whole picture."""
    protocol: str
    images: str
    calibration: str
    network_psnr: float
    """dB, of the network itself"""
    files: list[ExportedFile]
    refused: list[RefusedFile]
    lint: dict[str, list[Lint]]
    """By file: what each delegate asked for makes of it."""


def to_json(report: Report) -> str:
    """``report`` as one JSON document."""
    return json.dumps(_json_values(asdict(report)), allow_nan=False)


def print_table(report: Report) -> None:
    """Print ``report`` for people."""
    sizes = (f"{height}x{width}" for height, width in (report.input_size, *report.other_sizes))
    stdout.print(
        f"{report.network} x{report.scale}, {' or '.join(sizes)} pixels in; the network itself: "
        f"{report.network_psnr:.2f} dB PSNR ({report.protocol}) on {report.images}",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("target")
    table.add_column("precision")
    table.add_column("means")
    for heading in ("size\nkB", "PSNR\ndB", "loss\ndB", "largest\ndifference"):
        table.add_column(heading, justify="right", no_wrap=True)
    for file in report.files:
        table.add_row(
            file.file,
            file.target,
            file.precision,
            file.means or "",
            f"{file.bytes / 1000:.1f}",
            f"{file.psnr:.2f}",
            f"{round(file.loss, 3) + 0:.3f}",  # + 0: no "-0.000"
            f"{file.max_difference * 255:.4f}",
        )
    for refused in report.refused:
        names = (refused.file, refused.target, refused.precision)
        table.add_row(*names, "", "not written", *3 * ["–"], style="red")
    if not stdout.is_terminal:
        stdout.width = 400  # a pipe has no width: never fold or cut
    stdout.print(table)
    stdout.print(
        "loss: against the network itself; largest difference: of one value from the network's, "
        "in grey levels",
        markup=False,
        soft_wrap=True,
    )
    for refused in report.refused:
        stdout.print(f"{refused.file}: {refused.reason}", markup=False, soft_wrap=True)
    for path, lints in report.lint.items():
        for result in lints:
            for line in (path, *result.lines()):
                stdout.print(line, markup=False, soft_wrap=True)


def warnings(config: ExportConfig, report: Report) -> Iterator[str]:
    """What to mind about the files of ``report``, which ``config`` asked for."""
    same = config.images and config.calibration and config.images.samefile(config.calibration)
    if same and any(file.means for file in report.files):
        yield "int8 was calibrated on the pictures it is judged by: give another folder to --images"
    if config.target == "all" and config.precision == "int8x16":
        yield "Core ML has no activations of 16-bit integers: no file was written for it"
    for file in report.files:
        if file.precision == "int8x16" != config.precision:
            yield f"{file.file}: int8 loses more than allowed, so its activations have 16 bits"
    if report.radius is None:
        yield (
            f"a pixel of {report.network} depends on the whole picture, so pictures larger than "
            "the input, cut into tiles, come out differently: export it at the size you use"
        )
    for file in report.files:
        if file.loss >= NOTABLE_LOSS:
            yield (
                f"{file.file} loses {file.loss:.2f} dB: calibrate on pictures like yours "
                "(--calibration DIR), or use float16"
            )


def _json_values(value: Any) -> Any:  # noqa: ANN401
    """``value`` with null for what JSON has no number for: the PSNR of equal pictures."""
    if isinstance(value, dict):
        return {key: _json_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
