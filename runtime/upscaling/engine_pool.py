"""Engines of one file that upscale images together.

The tiles of an image are independent, and engines let go of Python's lock while they compute. So a
pool of engines with one thread each shares the tiles: measured here, that is as fast as or faster
than one engine with all the threads, which is left to images of a single tile.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.engines.registry import import_library, open_engine
from ailsr.runtime.errors import EngineError
from ailsr.runtime.imaging.rgb_image import Limit
from ailsr.runtime.imaging.rows import Rows
from ailsr.runtime.progress import Progress
from ailsr.runtime.upscaling.bands import Band, Run, Start, upscale_bands
from ailsr.runtime.upscaling.memory_policy import EngineMemory, MemoryPolicy, Team, reading_bytes
from ailsr.runtime.upscaling.sequence import Grid, Savings, upscale_frames
from ailsr.runtime.upscaling.tiles import Size, Tile, plan
from ailsr.runtime.upscaling.upscaler import Upscaler

_LEAST_SIDE = 64
"""Pixels of a small tile's side; 8 radii where that is more, so that half of it is no overlap."""


class EnginePool:
    """The engines of one file, on ``threads`` threads in all."""

    def __init__(
        self, path: Path, threads: int, limit: int | None = None, engine: str | None = None
    ) -> None:
        """``limit``: most resident memory of the process in bytes; None: as much as it takes.
        ``engine``: one of those for the file's ending; None: one that is installed.

        Raises ModelError and EngineError as ``open_engine`` does.
        """
        import_library(path, engine)
        self.path, self._limit = path, limit
        self.engine = engine
        """The one that was asked for."""
        self._tried = False
        self._upscalers: list[Upscaler] = []
        self._team = Team(None, 1, 1)
        if limit is None:
            first, memory = self._open(1), None
            self._upscalers = [first]
        else:
            first, memory = EngineMemory.measure(partial(self._open, 1), limit)
        self.engine_name = first.engine.name
        self.backends = None if engine is None else first.engine.backends()
        """What computes the file's operators; None: not known, or ``engine`` was not asked for."""
        if not first.engine.on_cpu:  # one computes while another's tile comes and goes
            threads = min(threads, 2)
        self._policy = MemoryPolicy(first, threads, memory)
        self.scale, self.radius, self.card = first.scale, first.radius, first.card
        self.layout = first.engine.layout

    def release(self) -> None:
        """Give the engines' memory back; ``fit`` opens them again."""
        self._upscalers = []

    def make_room(self, folder: Path) -> Limit | None:
        """The memory for reading an image, temporary files being in ``folder``; None: no limit.

        Where there is one, the engines are released first.
        """
        if self._limit is None:
            return None
        self.release()
        return Limit(reading_bytes(self._limit), folder)

    def frame_bytes(self) -> int:
        """Most bytes that a frame of a video may take."""
        return Limit().memory if self._limit is None else reading_bytes(self._limit) // 4

    def fit(self, size: Size, *, writing: int = 0, alpha: bool = False) -> None:
        """Open the engines for an image of ``size`` (height, width).

        ``writing``: bytes that its file takes until it is written. ``alpha``: it is transparent.
        Raises UsageError when the limit of memory is too low.
        """
        self._fit(size, writing + (self._policy.alpha_bytes(size) if alpha else 0), many=False)

    def fit_frames(self, size: Size, ahead: int = 0) -> None:
        """As ``fit``, for the frames of a video, of which the caller holds ``ahead`` more."""
        self._fit(size, self._policy.ahead_bytes(size, ahead), many=True)

    def bands(self, images: Iterable[Rows], progress: Progress | None = None) -> Iterator[Band]:
        """The upscaled ``images`` (H×W×3), each from top to bottom, one after the other.

        ``progress`` counts the tiles of each. Raises EngineError when an engine fails.
        """
        with self._started() as start:
            yield from upscale_bands(
                images,
                self._plan,
                _shared(self._upscalers),
                self.scale,
                start=start,
                engines=len(self._upscalers),
                progress=progress,
            )

    def frames(self, frames: Iterable[Levels], savings: Savings | None = None) -> Iterator[Levels]:
        """The upscaled ``frames`` of a video, H×W×3 or in the file's layout, after ``fit_frames``.

        ``savings`` counts what is not computed again where a frame is as the one before; None:
        everything is. Raises EngineError when an engine fails.
        """
        grids = partial(self._grids, _shared(self._upscalers))
        with self._started() as start:
            yield from upscale_frames(
                frames, grids, self.scale, start, len(self._upscalers), savings
            )

    @contextlib.contextmanager
    def _started(self) -> Iterator[Start]:
        """What starts calls on as many threads as there are engines."""
        threads = ThreadPoolExecutor(len(self._upscalers))
        try:
            yield lambda call: threads.submit(call).result
        finally:
            threads.shutdown(cancel_futures=True)

    def _grids(self, run: Run, size: Size) -> list[Grid]:
        """The tiles of the engines for frames of ``size``, and small ones where those can be;
        first those with which fewer pixels are computed.

        ``run`` is one for frames of all sizes: an engine runs one tile at a time.
        """
        grids = [_grid(self._upscalers[0], run, self._plan(*size))]
        if self._limit is None and self.card is not None and len(self.card.sizes) == 1:
            padded, side = self._policy.seen(size), max(_LEAST_SIDE, 8 * self.radius)
            window = (min(side, padded[0]), min(side, padded[1]))
            with contextlib.suppress(EngineError):  # a file of one input size
                small = [self._open(1, window) for _ in self._upscalers]
                tiles = plan(padded, window, self.radius, self.scale)
                grids.append(_grid(small[0], _shared(small), self._within(tiles, size)))
        return sorted(grids, key=lambda grid: grid.whole)

    def _plan(self, height: int, width: int) -> list[Tile]:
        """The tiles of an image and its padding, as far as they show the image."""
        padded = self._policy.padded((height, width))
        return self._within(self._upscalers[0].plan(*padded), (height, width))

    def _within(self, tiles: list[Tile], size: Size) -> list[Tile]:
        """Of the ``tiles`` of an image and its padding, what shows the image, of ``size``."""
        height, width = size[0] * self.scale, size[1] * self.scale
        return [
            tile.within(height, width)
            for tile in tiles
            if tile.target[0].start < height and tile.target[1].start < width
        ]

    def _fit(self, size: Size, others: int, many: bool) -> None:
        if self._limit is not None:
            self.release()  # the policy counts what is free without them
        team = self._policy.team(size, others, many)
        if team != self._team:
            self.release()
        self._team = team
        while len(self._upscalers) < team.engines:
            self._upscalers.append(self._open(team.threads, team.window))

    def _open(self, threads: int, window: Size | None = None) -> Upscaler:
        engine = open_engine(self.path, threads, window, trusted=self._tried, engine=self.engine)
        self._tried = True
        return Upscaler(engine, self.path)


def _grid(upscaler: Upscaler, run: Run, tiles: list[Tile]) -> Grid:
    """``tiles``, each computed at the input size that ``upscaler`` takes for it."""
    areas = [upscaler.window(_sides(tile)) for tile in tiles]
    return Grid(tiles, run, max(height * width for height, width in areas))


def _shared(upscalers: list[Upscaler]) -> Run:
    """Upscales a tile by the one of the ``upscalers`` that is free."""
    free: queue.SimpleQueue[Upscaler] = queue.SimpleQueue()
    for upscaler in upscalers:
        free.put(upscaler)

    def run(tile: Levels) -> Levels:
        upscaler = free.get()
        try:
            return upscaler.run(tile)
        finally:
            free.put(upscaler)

    return run


def _sides(tile: Tile) -> Size:
    rows, columns = tile.source
    return rows.stop - rows.start, columns.stop - columns.start
