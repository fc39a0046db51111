"""Images upscaled with a measured file, for looking at: the request, and the worker's part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.imaging import image, no_reference, protocol
from ailsr.runtime.imaging.degradation import Degradation, DegradationJson
from ailsr.runtime.upscaling.upscaler import load


@dataclass(frozen=True)
class UpscaleRequest:
    """Images to upscale with one file."""

    file: str
    threads: int
    images: str
    """Folder of high-resolution images."""
    pictures: dict[str, str]
    """Where to write each image, by its name in the folder."""
    degradation: DegradationJson = "bicubic"
    no_reference: bool = False
    """They are themselves upscaled."""
    engine: str | None = None
    """As of ``Request``."""


def upscale_pictures(request: UpscaleRequest) -> None:
    """Upscale the named images of a folder, or the LR images of its pairs, into PNG files."""
    path = Path(request.file)
    upscaler = load(path, threads=request.threads, trusted=True, engine=request.engine)
    folder, degradation = Path(request.images), Degradation.from_json(request.degradation)
    if request.no_reference:
        sources = no_reference.sources(folder)
    else:
        pairs = protocol.pairs(folder, upscaler.scale, degradation)
    for name, output in request.pictures.items():
        if request.no_reference:
            rgb = image.read(sources[name])
        else:
            rgb = pairs[pairs.names.index(name)].lr
        image.write(upscaler.upscale(rgb), Path(output))
