"""Upscaling images of any size with an exported file.

An image larger than the file's input is cut into overlapping tiles, and the result is what the
network computes for the whole image; a smaller one is padded at the bottom and right with its
mirror image. Only one tile at a time is held in floating point.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ailsr.runtime.card import Card
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.layouts import (
    CHANNELS,
    Levels,
    probe_answer,
    probe_levels,
    rgb_of,
    samples_of,
)
from ailsr.runtime.engines.named_files import resolve
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.errors import EngineError, ImageError, ModelError
from ailsr.runtime.probe import Fidelity, Probe, probe_image
from ailsr.runtime.progress import Progress
from ailsr.runtime.upscaling.auto_engine import resolved
from ailsr.runtime.upscaling.bands import upscale_bands
from ailsr.runtime.upscaling.tiles import Size, Tile, plan

UNKNOWN_RADIUS = 24
"""Overlap in pixels for files without a card, whose receptive field is not known: enough for 24
convolutions of 3×3. A quarter of the input where that is less."""


def load(
    path: Path | str,
    *,
    threads: int | None = None,
    trusted: bool = False,
    engine: str | None = None,
) -> Upscaler:
    """The upscaler in the file at ``path``, on ``threads`` CPU threads (None: all cores).

    ``path`` may be ``zoo:NAME`` where ``ailsr[export]`` is installed: the network is exported once.
    ``trusted``: run the file at once, not first in a process of its own to see whether that goes
    well. ``engine``: one of those for its ending (``engine_names``), None: one that is installed,
    "auto": the fastest that computes the file rightly here, which takes some seconds once.
    Raises ModelError for a file that cannot be used, EngineError when no engine is
    installed.
    """
    path = resolve(Path(path), say=lambda text: None)
    engine = resolved(path, engine, threads, say=lambda text: None)
    return Upscaler(open_engine(path, threads, trusted=trusted, engine=engine), path)


class Upscaler:
    """An exported file, ready to upscale images."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path
        self.card: Card | None = engine.card
        self.scale: int = engine.scale
        self.sizes: tuple[Size, ...] = (engine.input_size,)
        """The input sizes, (height, width), that images are cut into."""
        if self.card is not None and self.card.input_size == engine.input_size:
            self.sizes = self.card.sizes

    @property
    def radius(self) -> int:
        """Input pixels by which tiles overlap on each side."""
        if self.card is not None:
            return self.card.radius
        return min(UNKNOWN_RADIUS, min(self.engine.input_size) // 4)

    @property
    def probe(self) -> Probe | None:
        """The right answer to the probe image of the engine's input size; None: not known."""
        if self.card is None or self.card.input_size != self.engine.input_size:
            return None
        return self.card.probe

    def plan(self, height: int, width: int) -> list[Tile]:
        """The runs of the file that an image of this size takes, by the input size with which the
        fewest pixels are computed. Raises ModelError when there is none."""
        plans, reason = [], ""
        for size in self.sizes:
            try:
                tiles = plan((height, width), size, self.radius, self.scale)
                plans.append((len(tiles) * _area(size), len(tiles), tiles))
            except ModelError as error:
                reason = f"{self.path}: {error}"
        if not plans:
            raise ModelError(reason)
        return min(plans, key=lambda found: found[:2])[-1]

    def upscale(self, image: Levels, progress: Progress | None = None) -> Levels:
        """``image`` (H×W×3 RGB, uint8) ``scale`` times as large, uint8.

        It may also be in the file's own layout, and the result is then, too: RGBA (H×W×4), or a
        plane of luma (H×W×1, whose chroma is the caller's). ``progress`` counts tiles. Raises
        ImageError for an array that is no such image, EngineError when the engine fails.
        """
        possible = sorted({3, CHANNELS[self.engine.layout]})
        is_image = image.dtype == np.uint8 and image.ndim == 3 and image.size > 0
        if not is_image or image.shape[2] not in possible:
            shapes = " or ".join(f"[height, width, {channels}]" for channels in possible)
            raise ImageError(
                f"upscale takes pixels of uint8 {shapes}, got {image.dtype} {list(image.shape)}"
            )
        height, width, channels = image.shape
        result = np.empty((height * self.scale, width * self.scale, channels), np.uint8)
        for _ in upscale_bands(
            [image], self.plan, self.run, self.scale, into=result, progress=progress
        ):
            pass
        return result

    def window(self, tile: Size) -> Size:
        """The input size that is computed for a tile of (height, width)."""
        if self.engine.resizable:
            return tile
        return min((s for s in self.sizes if tile[0] <= s[0] and tile[1] <= s[1]), key=_area)

    def fidelity(self) -> Fidelity | None:
        """The difference of the engine's answer to the probe image from the right one; None for
        files without a probe. Takes one run. Raises EngineError when the engine fails."""
        if self.probe is None:
            return None
        layout = self.engine.layout
        upscaled = self.run(probe_levels(probe_image(*self.engine.input_size), layout))
        return self.probe.fidelity(probe_answer(upscaled, layout))

    def run(self, tile: Levels) -> Levels:
        """The file's output for ``tile``, RGB (h×w×3) or in the file's layout, padded to the least
        input size that holds it."""
        height, width = self.window((tile.shape[0], tile.shape[1]))
        if not self.engine.resizable:
            missing = ((0, height - tile.shape[0]), (0, width - tile.shape[1]), (0, 0))
            if any(more for _, more in missing):
                tile = np.pad(tile, missing, mode="symmetric")
        layout, io_dtype = self.engine.layout, self.engine.io_dtype
        converts = layout != "rgb" and tile.shape[2] == 3
        samples = samples_of(tile, layout, io_dtype) if converts else to_pixels(tile, io_dtype)
        upscaled = self.engine.run(samples)
        expected = (tile.shape[0] * self.scale, tile.shape[1] * self.scale, samples.shape[2])
        if upscaled.shape != expected:
            raise EngineError(
                f"{self.path} returned {list(upscaled.shape)} instead of {list(expected)}: "
                f"export it again"
            )
        if converts:
            return rgb_of(upscaled, tile, layout, io_dtype)
        return from_pixels(upscaled, io_dtype)


def _area(size: Size) -> int:
    return size[0] * size[1]
