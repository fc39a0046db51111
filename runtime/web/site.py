"""The site of ``ailsr-web``: the built page, the exported files and the images, by address.

An address is a key of one dictionary. Nothing is looked up in a folder when a request comes, so
there is no path to climb out of.
"""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from PIL import Image

from ailsr.runtime import documents
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.engines.onnx import OnnxEngine
from ailsr.runtime.errors import ModelError, UsageError
from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.protocol import PROTOCOL, Pairs
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.upscaling.upscaler import Upscaler, load

_ENCODING = threading.Lock()
PAGE = Path(__file__).parent / "page"
"""The folder that ``make web`` builds the page in, and wheels carry it in."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}


@dataclass(frozen=True)
class Resource:
    """The content behind one address."""

    type: str
    """Media type."""
    open: Callable[[], IO[bytes]]
    """Its bytes, as a file that is read in pieces."""
    gzipped: bool = False
    """The bytes are compressed, as ``Content-Encoding: gzip`` says."""


@dataclass(frozen=True)
class Measuring:
    """The settings of a measurement by the page, repeated in its report."""

    images: Path | None
    """Folder of high-resolution images for PSNR and SSIM."""
    pictures: int
    """At most so many of them, the first by name."""
    runs: int
    seconds: float


def in_memory(content: bytes) -> Callable[[], IO[bytes]]:
    """A function that opens ``content``."""
    return lambda: io.BytesIO(content)


def on_disk(path: Path) -> Callable[[], IO[bytes]]:
    """A function that opens the file at ``path``."""
    return lambda: path.open("rb")


Site = dict[str, Resource]
"""By the address, relative to the page."""


def build_site(files: Sequence[Path], measuring: Measuring) -> Site:
    """Everything that can be asked for. Raises AilsrError for a file or folder of no use."""
    upscalers = [_open(path) for path in files]
    pictures = _pictures({upscaler.scale for upscaler in upscalers}, measuring)
    setup = {
        "files": [_entry(upscaler, _model_address(i)) for i, upscaler in enumerate(upscalers)],
        "pictures": {
            scale: [
                {
                    "name": pairs.names[i],
                    "lr": _picture_address(scale, i, "lr"),
                    "hr": _picture_address(scale, i, "hr"),
                    "grayscale": pair.grayscale,
                }
                for i, pair in enumerate(pairs)
            ]
            for scale, pairs in pictures.items()
        },
        "report": _empty_report(pictures, measuring),
    }
    site = _page()
    site["setup.json"] = Resource("application/json", in_memory(documents.dump(setup).encode()))
    for i, path in enumerate(files):
        site[_model_address(i)] = Resource("application/octet-stream", on_disk(path))
    for scale, pairs in pictures.items():
        for i in range(len(pairs)):
            for side in ("lr", "hr"):
                open_png = partial(_png, pairs, i, side)
                site[_picture_address(scale, i, side)] = Resource("image/png", open_png)
    return site


def _page() -> Site:
    if not (PAGE / "index.html.gz").exists():
        raise UsageError(
            "the page is not built yet: run `make web` in ailsr's source tree (it needs Node.js 18 "
            "or later with npm); wheels made by `make wheel` carry it"
        )
    site = {}
    for path in sorted(PAGE.rglob("*.gz")):
        address = path.relative_to(PAGE).with_suffix("")
        resource = Resource(_TYPES[address.suffix], on_disk(path), gzipped=True)
        site[address.as_posix()] = resource
    site[""] = site.pop("index.html")
    return site


def _open(path: Path) -> Upscaler:
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"{path}: browsers run ONNX files here: ailsr-export with --target onnx")
    upscaler = load(path, threads=1)
    layout = upscaler.engine.layout
    if CHANNELS[layout] == 1:
        raise ModelError(
            f"{path}: it takes planes of luma, and the page shows images: ailsr-export with "
            "--layout rgb or rgba"
        )
    return upscaler


def _entry(upscaler: Upscaler, address: str) -> dict[str, Any]:
    """The facts of a file that the page needs."""
    engine, card = upscaler.engine, upscaler.card
    assert isinstance(engine, OnnxEngine)
    probe = card.probe if card and card.input_size == engine.input_size else None
    return {
        "name": upscaler.path.name,
        "url": address,
        "size_bytes": upscaler.path.stat().st_size,
        "network": card.network if card else None,
        "trained_on": card.trained_on if card else None,
        "precision": card.precision if card else None,
        "pixels": engine.io_dtype,
        "layout": engine.layout,
        "scale": upscaler.scale,
        "sizes": upscaler.sizes,
        "radius": upscaler.radius,
        "resizable": engine.resizable,
        "channels_last": engine.channels_last,
        "input": asdict(engine.encoding.input),
        "output": asdict(engine.encoding.output),
        "probe": probe.to_json() if probe else None,
    }


def _pictures(scales: set[int], measuring: Measuring) -> dict[int, Pairs]:
    if measuring.images is None:
        return {}
    folder, count = measuring.images, measuring.pictures
    chosen = {scale: protocol.pairs(folder, scale) for scale in sorted(scales)}
    if any(scale == 1 and not pairs.are_given for scale, pairs in chosen.items()):
        raise UsageError(
            f"--images {folder}: clean images tell nothing of a file of ×1: leave --images out, or "
            "put those to restore into LR_bicubic/X1 beside HR"
        )
    return {scale: pairs[:count] for scale, pairs in chosen.items()}


def _empty_report(pictures: dict[int, Pairs], measuring: Measuring) -> dict[str, Any]:
    """The report of this session, to which the page adds its files, its host and the date."""
    images = None
    if measuring.images is not None:
        chosen = len(next(iter(pictures.values())))
        every = len(protocol.pairs(measuring.images, 1))
        images = str(measuring.images)
        if chosen < every:
            images += f" (the first {chosen} of {every})"
    bicubic = {
        scale: protocol.evaluate(partial(enlarge, scale=scale), pairs)
        for scale, pairs in pictures.items()
    }
    results = Results(
        Host.here(),
        datetime.now(UTC),
        available_cores(),
        measuring.runs,
        measuring.seconds,
        PROTOCOL,
        images,
        [],
        bicubic,
    )
    return to_document(results)


def _png(pairs: Pairs, index: int, side: str) -> IO[bytes]:
    """An image of the protocol as a PNG, on the disk; one at a time is in memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  whoever sends it closes it
    with _ENCODING:
        rgb: Rgb = getattr(pairs[index], side)
        Image.fromarray(rgb).save(file, "png")
    return file


def _model_address(index: int) -> str:
    return f"models/{index}.onnx"


def _picture_address(scale: int, index: int, side: str) -> str:
    return f"pictures/x{scale}/{index}_{side}.png"
