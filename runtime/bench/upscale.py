"""Images upscaled with a measured file, for looking at: the request, and the worker's part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.imaging.degradation import Degradation, DegradationJson
from ailsr.runtime.upscaling.upscaler import load


@dataclass(frozen=True)
class UpscaleRequest:
    """Images to upscale with one file."""

    file: str
    threads: int
    images: str
    """Folder of high-resolution pictures."""
    pictures: dict[str, str]
    """Where to write each picture, by its name in the folder."""
    degradation: DegradationJson = "bicubic"
    engine: str | None = None
    """As of ``Request``."""


def upscale_pictures(request: UpscaleRequest) -> None:
    """Upscale the named low-resolution pictures of a folder's pairs into PNG files."""
    path = Path(request.file)
    upscaler = load(path, threads=request.threads, trusted=True, engine=request.engine)
    degradation = Degradation.from_json(request.degradation)
    pairs = protocol.pairs(Path(request.images), upscaler.scale, degradation)
    for name, output in request.pictures.items():
        pair = pairs[pairs.names.index(name)]
        image.write(upscaler.upscale(pair.lr), Path(output))
