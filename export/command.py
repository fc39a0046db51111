"""``ailsr-export``: a network as ONNX, TFLite and Core ML files, each verified."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from ailsr.export.options import ALL, ExportConfig
from ailsr.export.report import RefusedFile, Report, document, print_table, warnings
from ailsr.export.targets import TARGETS, check_installed, check_layout, check_precision
from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.anatomy.lint import Lint, lint, reads
from ailsr.runtime.anatomy.lint_rules import DelegateName
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.commands.command import entry_point, message, print_json, progress
from ailsr.runtime.errors import AilsrError, EngineError, ParityError, UsageError, one_line
from ailsr.runtime.files import check_output
from ailsr.runtime.imaging.protocol import left_out
from ailsr.train import zoo
from ailsr.train.openmp import limit_spinning

if TYPE_CHECKING:  # it imports torch, which takes seconds that --help does not need
    from ailsr.export.int8.methods import Progress


def main(config: ExportConfig) -> None:
    """Export, verify and report what ``config`` asks for; then raise if a file is missing."""
    for folder in (config.calibration, config.images):
        if folder and (note := left_out(folder)):
            message(note)
    with progress() as bar:
        task = bar.add_task("loading PyTorch", total=None, note="")

        def show(doing: str, done: int, total: int | None) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        report = export(config, show)
    if config.json:
        print_json(document(report))
    else:
        print_table(report)
    for warning in warnings(config, report):
        message(f"warning: {warning}")
    if report.refused:
        asked = len(report.files) + len(report.refused)
        names = ", ".join(refused.file for refused in report.refused)
        raise ParityError(f"{len(report.refused)} of {asked} files were not written: {names}")


def export(config: ExportConfig, progress: Progress) -> Report:
    """Write the files that ``config`` asks for and verify them.

    Of several files each that is good enough is written; the report names the others. Raises
    AilsrError for what no file is to blame for, and when the only one is not good enough.
    """
    model = zoo.resolve(config.model)
    limit_spinning()
    try:
        from ailsr.export.exporter import Exporter
        from ailsr.export.reading.onnx_forms import Forms
        from ailsr.export.reading.source import open_source
        from ailsr.export.sensitivity_page import write_html
    except ModuleNotFoundError as error:
        raise EngineError(
            f'ailsr-export needs {error.name}: pip install "ailsr[export]"'
        ) from error

    for target in config.targets:
        check_installed(target)
    if config.sensitivity:
        check_output(config.sensitivity)
    source = open_source(
        model,
        config.network,
        config.name,
        config.encodings,
        must_fit=not config.allow_worse_than_bicubic,
        forms=Forms(config.output_name, config.dequantize),
    )
    for note in source.notes:
        message(note)
    exporter = Exporter(
        source,
        config.sizes[0] if config.sizes else None,
        other_sizes=config.sizes[1:],
        calibration=config.calibration,
        images=config.images,
        max_drop=config.max_drop,
        rewrites=config.rewrite,
        fall_back=config.int8x16 and "int8x16" not in config.precisions,
        qat_steps=config.qat,
        layout=config.layout,
        progress=progress,
    )
    pixels = config.io or "uint8"
    wanted = [
        (target, precision)
        for target, precision in product(config.targets, config.precisions)
        if ALL not in config.target
        or (precision in TARGETS[target].precisions and config.layout in TARGETS[target].layouts)
    ]
    for target, precision in wanted:
        check_precision(target, precision)
        check_layout(target, config.layout)
        path = exporter.path(target, precision, config.output)
        if path.exists() and path.samefile(model):
            raise UsageError(
                f"{path} would be written over the model: give another folder with --output, "
                "or another name with --name"
            )
    for target, precision in wanted if config.lint else ():
        for result in _lints(exporter.uncalibrated_anatomy(target, precision, pixels), config.lint):
            path = exporter.path(target, precision, config.output)
            for line in (f"before export, {path}", *result.lines()):
                message(line)
    _, reference = exporter.graph, exporter.reference  # an error in these is every file's
    if not config.allow_worse_than_bicubic:
        exporter.check_quality()
    losses = exporter.int8.sensitivity() if config.sensitivity else []
    if config.sensitivity:
        write_html(f"What int8 costs {source.name} ×{source.scale}", losses, config.sensitivity)
    files, refused = [], []
    for target, precision in wanted:
        path = exporter.path(target, precision, config.output)
        earlier = path.exists()
        try:
            files.append(exporter.export(target, precision, config.output, pixels))
        except AilsrError as error:
            if len(wanted) == 1:
                raise
            refused.append(RefusedFile(str(path), target, precision, one_line(error, None)))
        finally:
            if earlier and not path.exists():
                message(f"removed {path}, which an earlier run had written")
    return Report(
        str(config.model),
        source.name,
        source.scale,
        exporter.input_size,
        list(exporter.other_sizes),
        exporter.radius,
        exporter.images.protocol,
        exporter.images.name,
        exporter.calibration_images.name,
        reference.scores.psnr_db,
        reference.input_psnr,
        list(source.training.get("licence", [])),
        losses,
        files,
        refused,
        {f.file: list(_lints(anatomy(f.file), config.lint)) for f in files} if config.lint else {},
    )


def _lints(found: Anatomy, delegates: list[DelegateName]) -> Iterator[Lint]:
    """The findings of those ``delegates`` that read such files."""
    return (lint(found, delegate) for delegate in delegates if reads(delegate, found))


cli = entry_point(ExportConfig, main)
