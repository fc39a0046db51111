"""The memory policy: tile size and number of engines by which a run stays below --max-memory.

The limit is of the resident memory of the process. Of it, ``SLACK`` is left free; an engine is
measured once; images, bands and alpha are counted by their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.errors import EngineError, ModelError, UsageError
from ailsr.runtime.memory import megabytes, peak_memory_bytes, resident_bytes
from ailsr.runtime.upscaling.tiles import Size, plan
from ailsr.runtime.upscaling.upscaler import Upscaler

SLACK = 24 << 20
"""Bytes of the limit that are left to what cannot be foreseen: allocators' fragments, libraries."""
_TRIAL = (192, 192)  # large enough to measure what an engine takes for each pixel
_ROWS, _PIXELS = 64, 1 << 20  # written at a time at most


@dataclass(frozen=True)
class Team:
    """Engines that share the tiles of images."""

    window: Size | None
    """Their input size, which is the tiles'; None: the file's own."""
    engines: int
    threads: int
    """Of each engine."""


@dataclass(frozen=True)
class EngineMemory:
    """Memory that an engine of a file takes, and the limit of the process."""

    limit: int
    """Bytes of resident memory."""
    bytes_per_pixel: float
    """For each pixel of the engine's input."""
    least: int
    """Pixels; for smaller tiles an engine may take as much as for these."""
    resizable: bool
    """The file can be loaded with other input sizes."""

    @classmethod
    def measure(
        cls, open_at: Callable[[Size | None], Upscaler], limit: int
    ) -> tuple[Upscaler, EngineMemory]:
        """An engine, opened and run with an input size of its own or None, and what it takes.

        To be called before the process has used, and freed, much memory, which would hide it.
        Raises UsageError where the engine alone exceeds ``limit``.
        """
        before = resident_bytes()
        try:
            upscaler, resizable = open_at(_TRIAL), True
        except EngineError:
            upscaler, resizable = open_at(None), False
        size = upscaler.engine.input_size
        for _ in range(2):  # some engines grow once more in their second run
            upscaler.run(np.zeros((*size, 3), np.uint8))
        peak = max(resident_bytes(), peak_memory_bytes() or 0)
        if peak > limit:
            raise UsageError(
                f"--max-memory is too low: {upscaler.path} takes {megabytes(peak)} alone"
            )
        per_pixel = max(0, peak - before) / _pixels(size) + _conversion_bytes(upscaler)
        return upscaler, cls(limit, per_pixel, _pixels(size), resizable)

    def of(self, window: Size) -> int:
        """Bytes that an engine takes for tiles of ``window``."""
        return int(self.bytes_per_pixel * max(_pixels(window), self.least))


class MemoryPolicy:
    """Tiles and engines for one file, on ``threads`` threads in all."""

    def __init__(self, file: Upscaler, threads: int, memory: EngineMemory | None) -> None:
        """``memory`` None: there is no limit."""
        self._path, self._threads, self._memory = file.path, threads, memory
        self._scale, self._radius = file.scale, file.radius
        self._own: Size = file.card.input_size if file.card else file.engine.input_size
        self._open_sides = file.engine.resizable

    def team(self, size: Size, others: int = 0, many: bool = False) -> Team:
        """The engines for images of ``size`` (height, width).

        ``others``: bytes that the caller is still to take. ``many``: there are more images to work
        on at the same time. Raises UsageError when the limit is too low.
        """
        if self._memory is None:
            window, engines = None, self._useful(self._own, size, many)
        else:
            window, engines = self._choose(self._memory, size, many, others)
        return Team(window, engines, self._threads if engines == 1 else 1)

    def padded(self, size: Size) -> Size:
        """``size``, and what of its own input size the file sees around a smaller image.

        Beyond the radius nothing is seen, so that smaller tiles give the result of the file's own.
        """
        if self._memory is None or not self._memory.resizable:
            return size
        return self.seen(size)

    def seen(self, size: Size) -> Size:
        """As ``padded``, for tiles of any size."""
        if self._open_sides:
            return size
        (h, own_h), (w, own_w) = zip(size, self._own, strict=True)
        return _seen(h, own_h, self._radius), _seen(w, own_w, self._radius)

    def alpha_bytes(self, size: Size) -> int:
        """Memory that filling hidden colours and enlarging alpha take for an image of ``size``."""
        filled = min(size[0], self._own[0] + 4 * self._radius) * size[1]
        width = size[1] * self._scale
        return 24 * filled + 24 * rows_at_a_time(width) * width

    def ahead_bytes(self, size: Size, more: int = 0) -> int:
        """Memory of the frames of ``size`` that are read and made while one is written, with that
        of which the next may copy tiles, and ``more``."""
        return (self._threads + 3 + more) * 3 * _pixels(size) * (1 + self._scale**2)

    def _useful(self, window: Size, size: Size, many: bool) -> int:
        """The number of engines that have something to do."""
        if many:
            return self._threads
        try:
            return min(self._threads, len(plan(size, window, self._radius, self._scale)))
        except ModelError as error:
            raise ModelError(f"{self._path}: {error}") from error

    def _choose(
        self, memory: EngineMemory, size: Size, many: bool, others: int
    ) -> tuple[Size | None, int]:
        """(tile size, number of engines) that stay below the limit: rather smaller tiles than fewer
        engines, as halving their sides costs little time."""
        padded = self.padded(size)
        windows = self._windows(memory, padded)
        free = memory.limit - SLACK - others - resident_bytes()
        for window in windows:
            rows = 3 * min(window[0], padded[0]) * padded[1] * (1 + self._scale**2)
            engine = memory.of(window)
            wanted = self._useful(window, padded, many)
            count = min(wanted, (free - 2 * rows) // engine)
            if count == wanted or (count > 0 and window == windows[-1]):
                return (window if memory.resizable else None), count
        raise UsageError(
            f"--max-memory is {megabytes(2 * rows + engine - free)} too low to upscale "
            f"{size[1]}x{size[0]} pixels with {self._path}: raise it"
        )

    def _windows(self, memory: EngineMemory, size: Size) -> list[Size]:
        """The file's own input size and, where it can be resized, smaller ones."""
        if not memory.resizable:
            return [self._own]
        own_h, own_w = self._own
        windows = [self._own if self._open_sides else (min(own_h, size[0]), min(own_w, size[1]))]
        while _pixels(windows[-1]) > _pixels(_TRIAL):  # below it, none takes less
            height, width = windows[-1]
            if max(height, width) < 8 * self._radius:
                break
            windows.append((height // 2, width) if height > width else (height, width // 2))
        return windows


def reading_bytes(limit: int) -> int:
    """Bytes below ``limit`` for reading; enough for a small image even when it is tight."""
    return max(SLACK // 2, limit - SLACK - resident_bytes())


def rows_at_a_time(width: int) -> int:
    """The number of rows of ``width`` pixels that are written at a time."""
    return max(1, min(_ROWS, _PIXELS // width))


def _seen(length: int, own: int, radius: int) -> int:
    """Pixels of the file's ``own`` side that an image's ``length`` depends on, a multiple of 8."""
    return length if length >= own else min(own, -(-(length + radius) // 8) * 8)


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _conversion_bytes(upscaler: Upscaler) -> int:
    """Bytes per input pixel that ``Upscaler.run`` takes for a tile beside the engine's own."""
    per_value = 9 if upscaler.engine.io_dtype == "float32" else 2  # two floats and a byte, or bytes
    channels = CHANNELS[upscaler.engine.layout]
    chroma = 64 * upscaler.scale**2 if channels == 1 else 0  # in floats of 64 bits
    return max(3, channels) * per_value * (1 + upscaler.scale**2) + chroma
