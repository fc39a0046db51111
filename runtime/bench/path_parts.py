"""What the way of an image from file to file is made of: decode, tile, convert, infer, encode."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.bench.latency import MIN_RUNS
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.layouts import levels_of, probe_answer
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.rgb_image import Rgb
from ailsr.runtime.upscaling.upscaler import Upscaler


@dataclass(frozen=True)
class Parts:
    """Median wall times in milliseconds, for an image of the file's own input size.

    ``tile``, ``convert`` and ``infer`` make up the whole path, and are timed within it.
    """

    decode_ms: float
    """PNG file to uint8 pixels in the file's layout."""
    tile_ms: float
    """Cutting the image into tiles and assembling the result; here of one tile."""
    convert_ms: float
    """uint8 to the file's element type, and its output back to uint8."""
    infer_ms: float
    """The engine."""
    encode_ms: float
    """Upscaled uint8 pixels to PNG file."""


def measure_parts(upscaler: Upscaler, rgb: Rgb, runs: int, seconds: float) -> Parts:
    """The parts of the way of ``rgb``, each the median of at most ``runs`` ways.

    Fewer than ``runs`` when ``seconds`` are over, but ``MIN_RUNS`` at the least.
    """
    layout = upscaler.engine.layout
    timed, clock = _TimedUpscaler(upscaler), time.perf_counter
    samples: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.png"), Path(folder, "large.png")
        image.write(rgb, small)
        first = clock()
        while len(samples) < MIN_RUNS or (len(samples) < runs and clock() - first < seconds):
            timed.seconds = timed.timed_engine.seconds = 0.0
            start = clock()
            pixels = levels_of(image.read(small), layout)
            decoded = clock()
            upscaled = timed.upscale(pixels)
            done = clock()
            image.write(probe_answer(upscaled, layout), large)
            encoded = clock()
            tile = done - decoded - timed.seconds
            infer = timed.timed_engine.seconds
            convert = timed.seconds - infer
            samples.append((decoded - start, tile, convert, infer, encoded - done))
    medians = (statistics.median(part) for part in zip(*samples, strict=True))
    return Parts(*(round(1e3 * seconds, 4) for seconds in medians))


class _TimedEngine(Engine):
    """An engine that adds up how long it runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.card, self.measurable = engine.name, engine.card, engine.measurable
        self.input_size, self.scale = engine.input_size, engine.scale
        self.io_dtype, self.resizable = engine.io_dtype, engine.resizable
        self.seconds = 0.0

    def run(self, image: Pixels) -> Pixels:
        start = time.perf_counter()
        upscaled = self._engine.run(image)
        self.seconds += time.perf_counter() - start
        return upscaled


class _TimedUpscaler(Upscaler):
    """An upscaler that adds up how long its tiles take, conversion included."""

    def __init__(self, upscaler: Upscaler) -> None:
        self.timed_engine = _TimedEngine(upscaler.engine)
        super().__init__(self.timed_engine, upscaler.path)
        self.seconds = 0.0

    def run(self, tile: Rgb) -> Rgb:
        start = time.perf_counter()
        upscaled = super().run(tile)
        self.seconds += time.perf_counter() - start
        return upscaled
