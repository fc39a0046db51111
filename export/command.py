"""``ailsr-export``: a network as ONNX, TFLite and Core ML files, each verified."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import typer

from ailsr.export.options import ExportConfig
from ailsr.export.report import Report, print_table, to_json, warnings
from ailsr.runtime.anatomy.anatomy import Anatomy, anatomy
from ailsr.runtime.anatomy.lint import Lint, lint, reads
from ailsr.runtime.anatomy.lint_rules import DelegateName
from ailsr.runtime.commands.command import entry_point, message, progress
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.imaging.protocol import PROTOCOL, left_out
from ailsr.train import zoo

if TYPE_CHECKING:  # it imports torch, which takes seconds that --help does not need
    from ailsr.export.int8.ladder import Progress


def main(config: ExportConfig) -> None:
    """Export, verify and report what ``config`` asks for."""
    for folder in (config.calibration, config.images):
        if folder and (note := left_out(folder)):
            message(note)
    with progress() as bar:
        task = bar.add_task("loading PyTorch", total=None, note="")

        def show(doing: str, done: int, total: int | None) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        report = export(config, show)
    if config.json:
        typer.echo(to_json(report))
    else:
        print_table(report)
    for warning in warnings(config, report):
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
        from ailsr.export.reading.source import open_source
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
    for target, precision in wanted if config.lint else ():
        for result in _lints(exporter.draft(target, precision, pixels), config.lint):
            path = exporter.path(target, precision, config.output)
            message("\n".join([f"before export, {path}", *result.lines()]))
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
        {f.file: list(_lints(anatomy(f.file), config.lint)) for f in files} if config.lint else {},
    )


def _lints(found: Anatomy, delegates: list[DelegateName]) -> Iterator[Lint]:
    """What those of ``delegates`` that read such files make of one."""
    return (lint(found, delegate) for delegate in delegates if reads(delegate, found))


cli = entry_point(ExportConfig, main)
