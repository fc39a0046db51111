"""``ailsr-upscale``: pictures in, larger pictures out."""

from __future__ import annotations

import json as json_format
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from ailsr.runtime import image
from ailsr.runtime.command import entry_point, message, progress, stdout
from ailsr.runtime.errors import AilsrError, ImageError, UsageError
from ailsr.runtime.resize import enlarge
from ailsr.runtime.upscaler import Upscaler, load


@dataclass(frozen=True)
class Config:
    """Upscale pictures with an exported file.

    Pictures may have any size; the network is run tile by tile, without seams.
    What has to be changed in a picture (16 bits, a colour profile, ...) is said
    on stderr. Alpha is upscaled by bicubic interpolation. Of several pictures a
    bad one does not stop the others; the exit code is then 1.

    Examples:

    ailsr-upscale sesr_m5_x2_int8.tflite photo.jpg -o photo_x2.png

    ailsr-upscale sesr_m5_x2_float32.onnx holiday/*.jpg -o upscaled/ --threads 2
    """

    model: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Exported file: .onnx or .tflite (.mlpackage with the export extra).",
        ),
    ]
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Pictures: PNG, JPEG, WebP, TIFF, ...")
    ]
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="For one picture the file to write: .png, .jpg, .webp, .tif or .bmp. For several, "
            "or without such an ending, a folder, which gets <name>_x<scale>.png for each.",
        ),
    ]
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads. (default: all cores)")
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON, with notes and errors.")
    ] = False


def main(config: Config) -> None:
    """Upscale each picture; raise the error of a single one, or ImageError after several."""
    folder = _is_folder(config)
    if not folder:
        image.check_ending(config.output)
    upscaler = load(config.model, threads=config.threads)
    outputs = _outputs(config, upscaler.scale) if folder else {config.images[0]: config.output}
    results, failed = [], 0
    with progress() as bar:
        for source, output in outputs.items():
            try:
                result = _upscale(upscaler, source, output, bar)
            except AilsrError as error:
                if len(outputs) == 1:
                    raise
                failed += 1
                message(f"error: {error}")
                result = {"input": str(source), "error": str(error)}
            results.append(result)
            if not config.json and "output" in result:
                stdout.print(result["output"], markup=False, soft_wrap=True)
    if config.json:
        stdout.print_json(json_format.dumps(results))
    if failed:
        raise ImageError(f"{failed} of {len(outputs)} pictures failed, as said above")


def _is_folder(config: Config) -> bool:
    """Whether ``--output`` is a folder. Raises UsageError when that does not fit the pictures."""
    output = config.output
    if output.is_dir() or (len(config.images) == 1 and not output.suffix and not output.exists()):
        return True
    if len(config.images) > 1 and (output.exists() or output.suffix in image.WRITE_OPTIONS):
        raise UsageError(
            f"{len(config.images)} pictures need a folder to go to, and {output} is a file: "
            f"use -o {output.with_suffix('')}/"
        )
    return len(config.images) > 1


def _outputs(config: Config, scale: int) -> dict[Path, Path]:
    """Where in the folder each picture goes. Raises UsageError when two go to one place."""
    outputs: dict[Path, Path] = {}
    for source in config.images:
        output = config.output / f"{source.stem}_x{scale}.png"
        if output in outputs.values():
            raise UsageError(
                f"two of the pictures would be written to {output}: upscale {source} on its own"
            )
        outputs[source] = output
    return outputs


def _upscale(upscaler: Upscaler, source: Path, output: Path, bar: Progress) -> dict[str, Any]:
    """Upscale the picture at ``source`` into ``output``; what was done, for ``--json``."""
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"{output} is the picture itself: give another --output")
    started = time.perf_counter()
    picture = image.read_picture(source)
    notes = list(picture.notes)
    if picture.alpha is not None:
        kept = output.suffix.lower() in image.ALPHA_ENDINGS
        notes.append(
            "alpha upscaled by bicubic interpolation"
            if kept
            else f"alpha dropped, put on white ({output.suffix} holds none)"
        )
    for note in notes:
        message(f"{source}: {note}")
    task = bar.add_task(source.name, total=None, note="")
    try:
        upscaled = upscaler.upscale(
            picture.rgb, lambda done, total: bar.update(task, completed=done, total=total)
        )
    finally:
        bar.remove_task(task)
    alpha = None if picture.alpha is None else enlarge(picture.alpha, upscaler.scale)
    image.write(upscaled, output, alpha)
    return {
        "input": str(source),
        "output": str(output),
        "width": upscaled.shape[1],
        "height": upscaled.shape[0],
        "seconds": round(time.perf_counter() - started, 3),
        "notes": notes,
    }


cli = entry_point(Config, main)
