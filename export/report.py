"""The report of ``ailsr-export``: a table, a JSON document, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ailsr.export.options import ExportConfig
from ailsr.export.targets import TARGETS
from ailsr.runtime.anatomy.lint import Lint
from ailsr.runtime.commands import command
from ailsr.runtime.commands.command import stdout

if TYPE_CHECKING:  # it imports torch, which takes seconds that --help does not need
    from ailsr.export.exported_file import ExportedFile
    from ailsr.export.int8.sensitivity import LayerLoss

NOTABLE_DROP = 0.3
"""dB of PSNR from which a file's drop is worth a warning."""
JSON_KEYS = {"method": "means", "psnr_drop": "loss"}
"""Of a file's fields that have other names in the JSON document."""


@dataclass(frozen=True)
class RefusedFile:
    """A file that was asked for and is not good enough: it was not written."""

    file: str
    """The path that it would have"""
    target: str
    precision: str
    reason: str
    """And what to do, in one line"""


@dataclass(frozen=True)
class Report:
    """The files of one run of ``ailsr-export``."""

    model: str
    network: str
    scale: int
    input_size: tuple[int, int]
    other_sizes: list[tuple[int, int]]
    radius: int | None
    """Receptive field radius in input pixels; null: the whole image."""
    protocol: str
    images: str
    calibration: str
    network_psnr: float
    """dB, of the network itself"""
    input_psnr: float | None
    """dB, of the images before a network of ×1 restores them; null at other scales."""
    licences: list[str]
    """Of the images that the network was trained on, as the card says; empty: it does not."""
    sensitivity: list[LayerLoss]
    """What int8 costs each layer, the worst first, where it was asked for."""
    files: list[ExportedFile]
    refused: list[RefusedFile]
    lint: dict[str, list[Lint]]
    """By file: the finding of each delegate asked for."""


def document(report: Report) -> dict[str, Any]:
    """``report`` as the JSON document."""
    files = [
        {JSON_KEYS.get(key, key): value for key, value in asdict(file).items()}
        for file in report.files
    ]
    return asdict(report) | {"files": files}


def print_table(report: Report) -> None:
    """Print ``report`` for people."""
    sizes = (f"{height}x{width}" for height, width in (report.input_size, *report.other_sizes))
    stdout.print(
        f"{report.network} x{report.scale}, {' or '.join(sizes)} pixels in; the network itself: "
        f"{report.network_psnr:.2f} dB PSNR ({report.protocol}) on {report.images}",
        soft_wrap=True,
    )
    if report.input_psnr is not None:
        stdout.print(f"the images before it restores them: {report.input_psnr:.2f} dB")
    if report.sensitivity:
        _print_sensitivity(report.sensitivity)
    headers = ["file", "target", "precision", "method"]
    command.print_table(
        [*headers, "size\nkB", "PSNR\ndB", "loss\ndB", "largest\ndifference"],
        [
            [
                file.file,
                file.target,
                file.precision,
                file.method or "",
                f"{file.bytes / 1000:.1f}",
                f"{file.psnr:.2f}",
                f"{round(file.psnr_drop, 3) + 0:.3f}",  # + 0: no "-0.000"
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
    if report.licences and report.files:
        licences = "; ".join(report.licences)
        stdout.print(f"licences of the training images, as in the card: {licences}", soft_wrap=True)
    for refused in report.refused:
        stdout.print(f"{refused.file}: {refused.reason}", soft_wrap=True)
    for path, lints in report.lint.items():
        for result in lints:
            for line in (path, *result.lines()):
                stdout.print(line, soft_wrap=True)


def _print_sensitivity(losses: Sequence[LayerLoss]) -> None:
    command.print_table(
        ["layer", "operator", "MACs\n%", "activations\ndB", "weights\ndB"],
        [
            [
                loss.layer,
                loss.operator,
                f"{100 * loss.macs_share:.1f}",
                f"{loss.activations_db:.3f}",
                f"{loss.weights_db:.3f}",
            ]
            for loss in losses
        ],
        names=2,
    )
    stdout.print("PSNR lost when one layer alone is in int8, by plain calibration", soft_wrap=True)


def warnings(config: ExportConfig, report: Report) -> Iterator[str]:
    """Remarks on the files of ``report``, which ``config`` asked for."""
    same = config.images and config.calibration and config.images.samefile(config.calibration)
    if same and any(file.method for file in report.files):
        yield "int8 was calibrated on the images it is judged by: give another folder to --images"
    for target in config.targets if "int8x16" in config.precisions else ():
        if "int8x16" not in TARGETS[target].precisions:
            title = TARGETS[target].title
            yield f"{title} has no activations of 16-bit integers: no file was written for it"
    for file in report.files:
        if file.precision == "int8x16" and "int8x16" not in config.precisions:
            yield f"{file.file}: int8 loses more than allowed, so its activations have 16 bits"
    if report.input_psnr is not None and report.network_psnr < report.input_psnr:
        yield (
            f"{report.network} makes the images worse ({report.protocol}): it was made for others, "
            "such as of more noise, which can be given with --images, or its ranges are wrong"
        )
    if report.radius is None:
        yield (
            f"a pixel of {report.network} depends on the whole image, so images larger than "
            "the input, cut into tiles, come out differently: export it at the size you use"
        )
    elif min(min(size) for size in (report.input_size, *report.other_sizes)) <= 2 * report.radius:
        least = 2 * report.radius + 1
        yield (
            f"{report.network} sees {report.radius} pixels around each pixel, too many for tiles "
            f"of its file, which refuses larger images: export it at {least}x{least} or more, or "
            "at the size you use"
        )
    for file in report.files:
        if file.psnr_drop >= NOTABLE_DROP:
            yield (
                f"{file.file} loses {file.psnr_drop:.2f} dB: calibrate on images like yours "
                "(--calibration DIR), or use float16"
            )
