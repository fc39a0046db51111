"""One network on its way into files: one graph, one calibration, one reference for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from ailsr.export.graph import Graph
from ailsr.export.passes import with_separate_pixels
from ailsr.export.picture_sets import PictureSet, picture_set
from ailsr.export.quantization import Quantization, quantization_of
from ailsr.export.receptive_field import receptive_radius
from ailsr.export.rewrites import RewriteName, rewritten
from ailsr.export.source import Source
from ailsr.export.verification import Reference
from ailsr.runtime.card import Card, PixelType, Precision
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.files import atomic_output, size_bytes
from ailsr.runtime.image import Rgb
from ailsr.runtime.protocol import PROTOCOL
from ailsr.runtime.tiles import Size
from ailsr.runtime.upscaler import UNKNOWN_RADIUS
from ailsr.runtime.version import VERSION

Target = Literal["onnx", "tflite", "coreml"]


class Format(NamedTuple):
    """How the files of a target are made."""

    title: str
    ending: str
    writer: str
    """Module with ``write(graph, card, path, quantization)``; imported when it is needed."""
    packages: tuple[str, ...]
    """What writing and running such a file takes besides PACKAGES."""


FORMATS: dict[Target, Format] = {
    "onnx": Format("ONNX", ".onnx", "ailsr.export.onnx_writer", ()),
    "tflite": Format(
        "TFLite", ".tflite", "ailsr.export.tflite_writer", ("flatbuffers", "ai_edge_litert")
    ),
    "coreml": Format("Core ML", ".mlpackage", "ailsr.export.coreml_writer", ("coremltools",)),
}

PACKAGES = ("onnxscript", "onnxruntime")
"""What every target takes: torch.onnx and calibration import them late."""
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")

Progress = Callable[[str, int, int | None], None]
"""Called with (what is being done, steps done, steps in all if known)."""


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written and verified."""

    file: str
    target: Target
    precision: Precision
    bytes: int
    psnr: float
    """dB, of the file on the verification pictures"""
    loss: float
    """dB that it loses against the network"""
    max_difference: float
    """Largest difference of an output value from the network's, white being 1"""


class Exporter:
    """Writes and verifies files of one network at one input size."""

    def __init__(
        self,
        source: Source,
        input_size: Size | None = None,
        *,
        other_sizes: Sequence[Size] = (),
        calibration: Path | None = None,
        images: Path | None = None,
        max_drop: float | None = None,
        rewrites: Sequence[RewriteName] = (),
        progress: Progress = lambda doing, done, total: None,
    ) -> None:
        """``calibration`` and ``images`` are folders of pictures, None the default ones;
        ``rewrites`` are applied to the graph; files can take each of ``other_sizes``, too.

        Raises UsageError for an input size that is too small, ImageError for a folder without
        pictures.
        """
        self.source = source
        self.input_size = input_size or source.input_size or default_input_size(source.scale)
        if (other_sizes and source.input_size) or source.input_size not in (None, self.input_size):
            raise UsageError(
                f"--input-size {_named(self.input_size)}: {source.name} takes pictures of "
                f"{_named(source.input_size)} pixels and no others; leave --input-size out"
            )
        self.other_sizes = tuple(other_sizes)
        self.max_drop = max_drop
        self.rewrites = rewrites
        self.calibration_pictures = picture_set(calibration, "calibration", source.scale)
        self.pictures = picture_set(images, "verification", source.scale)
        self._progress = progress
        least = 2 * (self.radius or 0) + 1
        for size in (self.input_size, *self.other_sizes):
            if min(size) < least and source.input_size is None:
                raise UsageError(
                    f"--input-size {_named(size)} is too small for {source.name}, which "
                    f"sees {self.radius} pixels around each pixel: {least}x{least} is the least"
                )

    @cached_property
    def radius(self) -> int | None:
        """The receptive field radius in input pixels; None: a pixel may see the whole picture."""
        if self.source.radius is not None:
            return self.source.radius
        return receptive_radius(self.graph)

    @cached_property
    def graph(self) -> Graph:
        """The network for float files."""
        self._progress("tracing the network", 0, None)
        return rewritten(self.source.graph(self.input_size), self.rewrites)

    @cached_property
    def int8_graph(self) -> Graph:
        """The network for int8 files."""
        return with_separate_pixels(self.graph)

    @cached_property
    def quantization(self) -> Quantization:
        """The parameters of ``int8_graph``, calibrated."""
        from ailsr.export.calibration import ranges

        return quantization_of(self.int8_graph, ranges(self.int8_graph, self._low_resolution()))

    @cached_property
    def reference(self) -> Reference:
        """What the network makes of the verification pictures."""
        card = self.card("float32", "float32")
        return Reference(self.source.run, card, self.pictures, self._ticks("running the network"))

    def card(self, precision: Precision, pixels: PixelType) -> Card:
        """The card of a file, still without its PSNR."""
        source, radius = self.source, self.radius
        return Card(
            network=source.name,
            scale=source.scale,
            color=source.color,
            precision=precision,
            pixels=pixels,
            input_size=self.input_size,
            other_sizes=self.other_sizes,
            radius=min(UNKNOWN_RADIUS, min(self.input_size) // 4) if radius is None else radius,
            protocol=PROTOCOL,
            calibration=self.calibration_pictures.name if precision == "int8" else None,
            training=dict(source.training),
            checkpoint_sha256=source.sha256,
            ailsr_version=VERSION,
        )

    def path(self, target: Target, precision: Precision, folder: Path) -> Path:
        """Where ``export`` writes: ``folder``/<network>_x<scale>_<precision>.<ending>."""
        name = f"{self.source.name}_x{self.source.scale}_{precision}"
        return folder / f"{name}{FORMATS[target].ending}"

    def export(
        self, target: Target, precision: Precision, folder: Path, pixels: PixelType = "uint8"
    ) -> ExportedFile:
        """Write the file at ``path(target, precision, folder)`` and verify it.

        ``pixels`` is the element type of an int8 file's input and output. Raises ParityError, and
        writes no file, when the file is not good enough.
        """
        writer = import_module(FORMATS[target].writer)
        path = self.path(target, precision, folder)
        int8 = precision == "int8"
        graph, quantization = (self.int8_graph, self.quantization) if int8 else (self.graph, None)
        card = self.card(precision, pixels if int8 else "float32")
        reference = self.reference
        tick = self._ticks(f"verifying {path.name}")
        with atomic_output(path) as temporary:
            writer.write(graph, card, temporary, quantization)
            verified = reference.verify(temporary, precision, self.max_drop, tick)
            if math.isfinite(verified.psnr):
                card = replace(card, psnr={self.pictures.name: round(verified.psnr, 3)})
                writer.write(graph, card, temporary, quantization)
        return ExportedFile(
            str(path),
            target,
            precision,
            size_bytes(path),
            verified.psnr,
            verified.loss,
            verified.difference,
        )

    def _low_resolution(self) -> Iterator[Rgb]:
        tick = self._ticks("calibrating", self.calibration_pictures)
        for pair in self.calibration_pictures.pairs:
            yield pair.lr
            tick()

    def _ticks(self, doing: str, pictures: PictureSet | None = None) -> Callable[[], None]:
        """A function that reports one more picture done each time it is called."""
        total, done = len((pictures or self.pictures).pairs), 0
        self._progress(doing, done, total)

        def tick() -> None:
            nonlocal done
            done += 1
            self._progress(doing, done, total)

        return tick


def _named(size: Size) -> str:
    height, width = size
    return f"{height}x{width}"


def default_input_size(scale: int) -> Size:
    """(height, width) that becomes 1280×720, or the most of it that ``scale`` allows."""
    return 720 // scale, 1280 // scale


def check_installed(target: Target) -> None:
    """Raise EngineError when a package is missing that ``target`` needs."""
    packages = (*PACKAGES, *FORMATS[target].packages)
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise EngineError(
            f"{FORMATS[target].title} files need {' and '.join(missing)}: pip install "
            '"ailsr[export]"'
        )
