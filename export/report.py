"""What ``ailsr-export`` says of its files: a table, a JSON document, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ailsr.export.options import ExportConfig
from ailsr.runtime.anatomy.lint import Lint
from ailsr.runtime.commands.command import print_table as draw_table
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


def print_table(report: Report) -> None:
    """Print ``report`` for people."""
    sizes = (f"{height}x{width}" for height, width in (report.input_size, *report.other_sizes))
    stdout.print(
        f"{report.network} x{report.scale}, {' or '.join(sizes)} pixels in; the network itself: "
        f"{report.network_psnr:.2f} dB PSNR ({report.protocol}) on {report.images}",
        soft_wrap=True,
    )
    headers = ["file", "target", "precision", "means"]
    draw_table(
        [*headers, "size\nkB", "PSNR\ndB", "loss\ndB", "largest\ndifference"],
        [
            [
                file.file,
                file.target,
                file.precision,
                file.means or "",
                f"{file.bytes / 1000:.1f}",
                f"{file.psnr:.2f}",
                f"{round(file.loss, 3) + 0:.3f}",  # + 0: no "-0.000"
                f"{file.max_difference * 255:.4f}",
            ]
            for file in report.files
        ]
        + [
            [refused.file, refused.target, refused.precision, "", "not written", *3 * ["–"]]
            for refused in report.refused
        ],
        names=len(headers),
        styles=[None] * len(report.files) + ["red"] * len(report.refused),
    )
    stdout.print(
        "loss: against the network itself; largest difference: of one value from the network's, "
        "in grey levels",
        soft_wrap=True,
    )
    for refused in report.refused:
        stdout.print(f"{refused.file}: {refused.reason}", soft_wrap=True)
    for path, lints in report.lint.items():
        for result in lints:
            for line in (path, *result.lines()):
                stdout.print(line, soft_wrap=True)


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
