"""Engines that upscale pictures together, within a limit of memory.

The tiles of a picture are independent, and engines let go of Python's lock while they compute. So
a crew of engines with one thread each shares the tiles: measured here, that is as fast as or
faster than one engine with all the threads, which is left to pictures of a single tile. Rows of
tiles are yielded from top to bottom, while the next ones are being computed.
"""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ailsr.runtime.engines.registry import import_library, open_engine
from ailsr.runtime.errors import EngineError, ImageError, ModelError, UsageError
from ailsr.runtime.imaging.picture import Rgb
from ailsr.runtime.imaging.rows import Rows
from ailsr.runtime.memory import megabytes, peak_memory_bytes, resident_bytes
from ailsr.runtime.upscaling.tiles import Size, Tile, plan
from ailsr.runtime.upscaling.upscaler import Upscaler

SLACK = 24 << 20
"""Bytes of the limit that are left to what cannot be foreseen: allocators' fragments, libraries."""
_TRIAL = (192, 192)  # large enough to measure what an engine takes for each pixel


@dataclass(frozen=True)
class Band:
    """Finished rows of an upscaled picture."""

    picture: int
    """Which of the pictures, from 0."""
    rows: slice
    """Of the upscaled picture."""
    pixels: Rgb
    height: int
    """Of the whole upscaled picture."""

    @property
    def last(self) -> bool:
        """The picture is complete."""
        return bool(self.rows.stop == self.height)


class Crew:
    """The engines of one file, on ``threads`` threads in all."""

    def __init__(self, path: Path, threads: int, limit: int | None = None) -> None:
        """``limit``: most resident memory of the process in bytes; None: as much as it takes.

        Raises ModelError and EngineError as ``open_engine`` does.
        """
        import_library(path)
        self.path, self.threads, self.limit = path, threads, limit
        self._resizable, self._bytes_per_pixel, self._measured = False, 0.0, 0
        self._tried = False
        first = self._open(1) if limit is None else self._measure()
        self.scale, self.radius = first.scale, first.radius
        self._open_sides = first.engine.resizable
        self._own: Size = first.card.input_size if first.card else first.engine.input_size
        self.tile_height = self._own[0]
        """Rows of the file's own input."""
        self._upscalers: list[Upscaler] = []
        self._team: tuple[Size | None, int, int] = (None, 1, 1)
        if limit is None:
            self._upscalers = [first]

    def rest(self) -> None:
        """Give the engines' memory back; ``fit`` opens them again."""
        self._upscalers = []

    def fit(self, size: Size, *, others: int = 0, many: bool = False) -> None:
        """Choose tile size and number of engines for pictures of ``size`` (height, width).

        Resident memory, ``others`` bytes of which are still to be taken by the caller, is to stay
        below the limit. ``many``: there are more pictures to work on at the same time. Raises
        UsageError when the limit is too low.
        """
        if self.limit is None:
            window, count = None, self._useful(self._own, size, many)
        else:
            self.rest()
            window, count = self._choose(size, many, others)
        team = (window, count, self.threads if count == 1 else 1)
        if team != self._team:
            self.rest()
        self._team = team
        while len(self._upscalers) < count:
            self._upscalers.append(self._open(team[2], window))

    def bands(
        self, pictures: Iterable[Rows], progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Band]:
        """The upscaled ``pictures`` (H×W×3), each from top to bottom, one after the other.

        ``progress`` is called with (rows of tiles done, rows of tiles in all) of each picture.
        Raises EngineError when an engine fails.
        """
        crew: queue.SimpleQueue[Upscaler] = queue.SimpleQueue()
        for upscaler in self._upscalers:
            crew.put(upscaler)

        def run(tile: Rgb) -> Rgb:
            upscaler = crew.get()
            try:
                return upscaler.run(tile)
            finally:
                crew.put(upscaler)

        pool = ThreadPoolExecutor(len(self._upscalers))
        waiting: deque[_TileRow] = deque()
        try:
            rows, failure = self._rows(pictures), None
            while True:
                try:
                    row = next(rows, None)
                except ImageError as error:  # the pictures before it are still to be finished
                    row, failure = None, error
                if row is None:
                    break
                row.start(pool, run)
                waiting.append(row)
                # The oldest is waited for when the others keep every engine busy meanwhile.
                while sum(len(r.tiles) for r in waiting) - len(waiting[0].tiles) >= len(
                    self._upscalers
                ):
                    yield waiting.popleft().finish(progress)
            while waiting:
                yield waiting.popleft().finish(progress)
            if failure is not None:
                raise failure
        finally:
            pool.shutdown(cancel_futures=True)

    def _rows(self, pictures: Iterable[Rows]) -> Iterator[_TileRow]:
        for index, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            padded = (height, width) if self.limit is None else self._padded((height, width))
            tiles = [
                tile.within(height * self.scale, width * self.scale)
                for tile in self._upscalers[0].plan(*padded)
                if tile.target[0].start < height * self.scale
                and tile.target[1].start < width * self.scale
            ]
            rows = [list(g) for _, g in itertools.groupby(tiles, lambda t: t.target[0].start)]
            for number, row in enumerate(rows, 1):
                yield _TileRow(index, picture, self.scale, row, number, len(rows))

    def _open(self, threads: int, window: Size | None = None) -> Upscaler:
        engine = open_engine(self.path, threads, window, trusted=self._tried)
        self._tried = True
        return Upscaler(engine, self.path)

    def _useful(self, window: Size, size: Size, many: bool) -> int:
        """How many engines have something to do."""
        if many:
            return self.threads
        try:
            return min(self.threads, len(plan(size, window, self.radius, self.scale)))
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from error

    def _choose(self, size: Size, many: bool, others: int) -> tuple[Size | None, int]:
        """(tile size, number of engines) that stay below the limit: rather smaller tiles than fewer
        engines, as halving their sides costs little time."""
        picture, size = size, self._padded(size)
        windows = self._windows(size)
        free = (self.limit or 0) - SLACK - others - resident_bytes()
        for window in windows:
            rows = 3 * min(window[0], size[0]) * size[1] * (1 + self.scale**2)
            # A smaller tile than the measured one may take as much: some of it is for the file.
            engine = int(self._bytes_per_pixel * max(_pixels(window), self._measured))
            wanted = self._useful(window, size, many)
            count = min(wanted, (free - 2 * rows) // engine)
            if count == wanted or (count > 0 and window == windows[-1]):
                return (window if self._resizable else None), count
        raise UsageError(
            f"--max-memory is {megabytes(2 * rows + engine - free)} too low to upscale "
            f"{picture[1]}x{picture[0]} pixels with {self.path}: raise it"
        )

    def _padded(self, size: Size) -> Size:
        """``size``, and what of its own input size the file sees around a smaller picture.

        Beyond the radius nothing is seen, so that smaller tiles give the result of the file's own.
        """
        if not self._resizable or self._open_sides:
            return size
        (h, own_h), (w, own_w) = zip(size, self._own, strict=True)
        return _seen(h, own_h, self.radius), _seen(w, own_w, self.radius)

    def _windows(self, size: Size) -> list[Size]:
        """The file's own input size and, where it can be resized, smaller ones."""
        if not self._resizable:
            return [self._own]
        own_h, own_w = self._own
        windows = [self._own if self._open_sides else (min(own_h, size[0]), min(own_w, size[1]))]
        while _pixels(windows[-1]) > _pixels(_TRIAL):  # below it, none takes less
            height, width = windows[-1]
            if max(height, width) < 8 * self.radius:
                break
            windows.append((height // 2, width) if height > width else (height, width // 2))
        return windows

    def _measure(self) -> Upscaler:
        """An engine that was run to find what it takes for each pixel of its input.

        Done before the process has used, and freed, much memory, which would hide it.
        """
        before = resident_bytes()
        try:
            upscaler, self._resizable = self._open(1, _TRIAL), True
        except EngineError:
            upscaler = self._open(1)
        size = upscaler.engine.input_size
        for _ in range(2):  # some engines grow once more in their second run
            upscaler.run(np.zeros((*size, 3), np.uint8))
        peak = max(resident_bytes(), peak_memory_bytes() or 0)
        if self.limit and peak > self.limit:
            raise UsageError(f"--max-memory is too low: {self.path} takes {megabytes(peak)} alone")
        self._measured = _pixels(size)
        self._bytes_per_pixel = max(0, peak - before) / self._measured
        self._bytes_per_pixel += _conversion_bytes(upscaler)
        return upscaler


class _TileRow:
    """The tiles of a picture that lie side by side."""

    def __init__(
        self, picture: int, source: Rows, scale: int, tiles: list[Tile], number: int, of: int
    ) -> None:
        self.tiles = tiles
        self._picture, self._source, self._scale = picture, source, scale
        self._number, self._of = number, of
        self._results: list[Future[None]] = []

    def start(self, pool: ThreadPoolExecutor, run: Callable[[Rgb], Rgb]) -> None:
        first = self.tiles[0]
        source = _with_edges(
            self._source, first.source[0], max(t.source[1].stop for t in self.tiles)
        )
        height = first.target[0].stop - first.target[0].start
        pixels = np.empty((height, self._source.shape[1] * self._scale, 3), np.uint8)

        def upscale(tile: Tile) -> None:
            pixels[:, tile.target[1]] = run(source[:, tile.source[1]])[tile.kept]

        self._results = [pool.submit(upscale, tile) for tile in self.tiles]
        self._pixels = pixels

    def finish(self, progress: Callable[[int, int], None] | None) -> Band:
        for result in self._results:
            result.result()
        if progress is not None:
            progress(self._number, self._of)
        height = self._source.shape[0] * self._scale
        return Band(self._picture, self.tiles[0].target[0], self._pixels, height)


def _seen(length: int, own: int, radius: int) -> int:
    """How much of the file's ``own`` side a picture's of ``length`` depends on; a multiple of 8."""
    return length if length >= own else min(own, -(-(length + radius) // 8) * 8)


def _with_edges(picture: Rows, rows: slice, width: int) -> Rgb:
    """``rows`` of ``picture``, its last row and column repeated where it has no more."""
    pixels: Rgb = picture[rows.start : min(rows.stop, picture.shape[0])]
    missing = (rows.stop - rows.start - len(pixels), max(0, width - pixels.shape[1]))
    if not any(missing):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _conversion_bytes(upscaler: Upscaler) -> int:
    """Bytes per input pixel that ``Upscaler.run`` takes for a tile beside the engine's own."""
    per_value = 9 if upscaler.engine.io_dtype == "float32" else 2  # two floats and a byte, or bytes
    return 3 * per_value * (1 + upscaler.scale**2)
