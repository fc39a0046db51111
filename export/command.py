"""``ailsr-export``: a network as ONNX, TFLite and Core ML files, each verified."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.table import Table

from ailsr.export.rewrites import RewriteName
from ailsr.runtime.anatomy import anatomy
from ailsr.runtime.card import PixelType
from ailsr.runtime.command import entry_point, message, progress, stdout
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.lint import Lint, lint, reads
from ailsr.runtime.lint_rules import DELEGATES, DelegateName
from ailsr.runtime.protocol import PROTOCOL
from ailsr.train import zoo

if TYPE_CHECKING:  # they import torch, which takes seconds that --help does not need
    from ailsr.export.exporter import ExportedFile
    from ailsr.export.ladder import Progress

Targets = Literal["onnx", "tflite", "coreml", "all"]
Precisions = Literal["float32", "float16", "int8", "int8x16", "all"]

LINTED: dict[str, Targets] = {"TFLite": "tflite", "Core ML": "coreml"}
"""The target that makes files of a kind that ``--lint`` reads."""
NOTABLE_LOSS = 0.3
"""dB from which a file's loss is worth a warning."""


@dataclass(frozen=True)
class ExportConfig:
    """Export a trained network to ONNX, TFLite (LiteRT) and Core ML in float32, float16 and int8.

    Every file is run on real pictures and compared with the network before it is reported; one
    that is not good enough is not written. A file takes one RGB picture of a fixed size and
    returns one RGB picture; ailsr-upscale and ailsr.runtime cut larger pictures into tiles.

    Examples:

    ailsr-export run/best.pt --target tflite --precision int8

    ailsr-export run/best.pt --target all --precision all --output files --images Set5

    ailsr-export run/best.pt --target onnx --precision int8 --calibration photos --max-drop 0.1
    """

    model: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint of ailsr-train; zoo:NAME for one that comes with ailsr, such as "
            "zoo:sesr_m5_x2; a torch.export program (.pt2); or an ONNX model (.onnx).",
            metavar="MODEL",
            show_default=False,
        ),
    ]
    network: Annotated[
        str | None,
        typer.Option(
            help="The class that MODEL was trained with, if it is one of your own: it is imported "
            "only when named here.",
            metavar="MODULE:CLASS",
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the network in the files and their names.",
            show_default="the checkpoint's, or that of the file",
        ),
    ] = None
    target: Annotated[Targets, typer.Option(help="Format of the files.")] = "all"
    precision: Annotated[
        Precisions,
        typer.Option(
            help="Arithmetic of the files; int8 needs no training data. all: float32, float16 and "
            "int8. int8x16 has activations of 16 bits, for NPUs that have them: slow on a CPU."
        ),
    ] = "all"
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for the files, which are called <network>_x<scale>_<precision> and end in "
            ".onnx, .tflite or .mlpackage.",
            metavar="DIR",
        ),
    ] = Path("exported")
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution pictures on which int8 takes its ranges; some dozens "
            "of the kind to be upscaled are enough, and 200, evenly spaced, are the most.",
            metavar="DIR",
            show_default="photographs of scikit-image, if installed, or generated ones",
        ),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution pictures on which the files are verified; best not "
            "those of --calibration.",
            metavar="DIR",
            show_default="two other photographs of scikit-image, or generated ones",
        ),
    ] = None
    io: Annotated[
        PixelType | None,
        typer.Option(
            help="Element type of an int8 file's input and output. Float files take float32, Core "
            "ML files images.",
            show_default="uint8",
        ),
    ] = None
    input_size: Annotated[
        list[str],
        typer.Option(
            help="Input size of the files in pixels. One fixed size is what NPUs and GPUs of "
            "phones compile for. Given several times, a file takes each of these sizes, "
            "such as 360x640 and 640x360, the first unless it is told otherwise; larger "
            "pictures are tiled by the one that computes the fewest pixels.",
            metavar="HxW",
            show_default="360x640 at x2, 240x426 at x3, 180x320 at x4: what 720p is made of",
        ),
    ] = field(default_factory=list)
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="PSNR in dB that a file may lose against the network.",
            show_default="0.1 for int8 and int8x16, 0.05 for float16, 0.01 for float32",
        ),
    ] = None
    lint: Annotated[
        list[DelegateName],
        typer.Option(
            help="Say which operators of the written files the phone's GPU (gpu), NNAPI (nnapi), "
            "Hexagon DSP (hexagon; all three read TFLite files) or Neural Engine (ane, Core ML "
            "files) would leave to the CPU; may be repeated.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    rewrite: Annotated[
        list[RewriteName],
        typer.Option(
            help="Exact replacement of what an accelerator lacks: prelu, by two ReLU; groups, "
            "grouped and depthwise convolutions by whole ones. Costs arithmetic; may be repeated.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    int8x16: Annotated[
        bool,
        typer.Option(
            help="Write int8x16 in place of an int8 file that loses more than --max-drop; the "
            "file's name and card say so.",
        ),
    ] = True
    qat: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="STEPS",
            help="Fine-tune an int8 file that loses more than --max-drop in int8 arithmetic, on "
            "the pictures of --calibration, instead of writing int8x16. Hundreds of steps, of a "
            "second or less each.",
            show_default="no fine-tuning",
        ),
    ] = 0
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UsageError(f"--name {self.name}: give letters, digits, '_', '-' and '.' only")
        for size in self.input_size:
            if not re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}", size):
                raise UsageError(
                    f"--input-size {size}: give height x width in pixels, as in 360x640"
                )
        if self.io not in (None, "float32") and self.precision in ("float32", "float16"):
            raise UsageError(
                f"--io {self.io} is for int8 files: add --precision int8, or leave --io out"
            )
        for delegate in self.lint:
            target = LINTED[DELEGATES[delegate].kind]
            if self.target not in (target, "all"):
                raise UsageError(
                    f"--lint {delegate} reads {target} files, and --target is {self.target}: "
                    f"give --target {target} or all"
                )
        if self.max_drop is not None and not self.max_drop < float("inf"):
            raise UsageError(f"--max-drop {self.max_drop}: give a number of dB, as in 0.3")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Each (height, width) asked for, once."""
        pairs = (map(int, size.split("x")) for size in self.input_size)
        return list(dict.fromkeys((height, width) for height, width in pairs))


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
    lint: dict[str, list[Lint]]
    """By file: what each delegate asked for makes of it."""


def main(config: ExportConfig) -> None:
    """Export, verify and report what ``config`` asks for."""
    with progress() as bar:
        task = bar.add_task("loading PyTorch", total=None, note="")

        def show(doing: str, done: int, total: int | None) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        report = export(config, show)
    if config.json:
        typer.echo(json.dumps(_json_values(asdict(report)), allow_nan=False))
    else:
        _print_table(report)
    for warning in _warnings(config, report):
        message(f"warning: {warning}")


def export(config: ExportConfig, progress: Progress) -> Report:
    """Write the files that ``config`` asks for and verify them. Raises AilsrError."""
    model = zoo.resolve(config.model)
    try:
        from ailsr.export.exporter import (
            FORMATS,
            PRECISIONS,
            Exporter,
            check_installed,
            check_precision,
        )
        from ailsr.export.source import open_source
    except ModuleNotFoundError as error:
        raise EngineError(
            f'ailsr-export needs {error.name}: pip install "ailsr[export]"'
        ) from error

    targets = FORMATS if config.target == "all" else [config.target]
    for target in targets:
        check_installed(target)
    source = open_source(model, config.network, config.name)
    exporter = Exporter(
        source,
        config.sizes[0] if config.sizes else None,
        other_sizes=config.sizes[1:],
        calibration=config.calibration,
        images=config.images,
        max_drop=config.max_drop,
        rewrites=config.rewrite,
        fall_back=config.int8x16,
        qat_steps=config.qat,
        progress=progress,
    )
    precisions = PRECISIONS if config.precision == "all" else [config.precision]
    pixels = config.io or "uint8"
    wanted = [
        (target, precision)
        for target, precision in product(targets, precisions)
        if config.target != "all" or precision not in FORMATS[target].lacks
    ]
    for target, precision in wanted:
        check_precision(target, precision)
        path = exporter.path(target, precision, config.output)
        if path.exists() and path.samefile(model):
            raise UsageError(
                f"{path} would be written over the model: give another folder with --output, "
                "or another name with --name"
            )
    files = [exporter.export(*what, config.output, pixels) for what in wanted]
    return Report(
        str(config.model),
        source.name,
        source.scale,
        exporter.input_size,
        list(exporter.other_sizes),
        exporter.radius,
        PROTOCOL,
        exporter.pictures.name,
        exporter.calibration_pictures.name,
        exporter.reference.scores.psnr,
        files,
        {file.file: list(_lints(file.file, config.lint)) for file in files} if config.lint else {},
    )


def _lints(file: str, delegates: list[DelegateName]) -> Iterator[Lint]:
    """What those of ``delegates`` that read such files make of the written ``file``."""
    found = anatomy(file)
    return (lint(found, delegate) for delegate in delegates if reads(delegate, found))


def _json_values(value: Any) -> Any:  # noqa: ANN401
    """``value`` with null for what JSON has no number for: the PSNR of equal pictures."""
    if isinstance(value, dict):
        return {key: _json_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_table(report: Report) -> None:
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
    if not stdout.is_terminal:
        stdout.width = 400  # a pipe has no width: never fold or cut
    stdout.print(table)
    stdout.print(
        "loss: against the network itself; largest difference: of one value from the network's, "
        "in grey levels",
        markup=False,
        soft_wrap=True,
    )
    for path, lints in report.lint.items():
        for result in lints:
            for line in (path, *result.lines()):
                stdout.print(line, markup=False, soft_wrap=True)


def _warnings(config: ExportConfig, report: Report) -> Iterator[str]:
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


cli = entry_point(ExportConfig, main)
