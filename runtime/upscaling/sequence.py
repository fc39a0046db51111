"""The loop over the frames of a video. Tiles that are as they were in the frame before are copied.

A tile covers all pixels that its result depends on. So the frames are, to the bit, those that come
of computing every tile. Small tiles find more that has not changed, and compute their overlaps
again and again: each frame takes the tiles with which fewer pixels are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.upscaling.bands import Run, Start, in_order, with_edges
from ailsr.runtime.upscaling.tiles import Size, Tile


@dataclass
class Savings:
    """Input pixels of tiles, counted over the frames of a video."""

    computed: int = 0
    whole: int = 0
    """As many as computing every frame as a whole takes."""

    @property
    def share(self) -> float:
        """The part of the computation that was saved, in [0, 1]."""
        return 1 - self.computed / self.whole if self.whole else 0.0


@dataclass(frozen=True)
class Grid:
    """One way to cut frames of a size into tiles."""

    tiles: Sequence[Tile]
    run: Run
    """The upscaled pixels of one tile."""
    pixels: int
    """Input pixels that are computed for one tile."""

    @property
    def whole(self) -> int:
        """Input pixels that are computed for a whole frame."""
        return len(self.tiles) * self.pixels

    def changed(self, frame: Levels, last: Levels, most: int) -> list[Tile] | None:
        """The tiles whose source differs; None: they take ``most`` input pixels or more."""
        found = []
        for tile in self.tiles:
            if not np.array_equal(frame[tile.source], last[tile.source]):
                found.append(tile)
                if len(found) * self.pixels >= most:
                    return None
        return found


def upscale_frames(
    frames: Iterable[Levels],
    grids: Callable[[Size], Sequence[Grid]],
    scale: int,
    start: Start,
    engines: int,
    savings: Savings | None = None,
) -> Iterator[Levels]:
    """The upscaled ``frames`` (H×W×C), in their order; one that has not changed is the same array.

    ``grids`` gives those for frames of a size, first that which whole frames take. ``engines``
    calls can go on at the same time through ``start``. ``savings`` None: every tile is computed.
    Raises ImageError where ``frames`` does, after the frames before, and what ``run`` raises.
    """
    upscaled = None
    for job in in_order(_started(frames, grids, scale, start, savings), engines):
        upscaled = job.finish(upscaled)
        yield upscaled


def _started(
    frames: Iterable[Levels],
    grids: Callable[[Size], Sequence[Grid]],
    scale: int,
    start: Start,
    savings: Savings | None,
) -> Iterator[_Job]:
    last = None
    choices: dict[Size, Sequence[Grid]] = {}
    for frame in frames:
        size = (frame.shape[0], frame.shape[1])
        if size not in choices:
            choices = {size: grids(size)}
        job = _Job(frame, None if savings is None else last, choices[size], scale)
        if savings is not None:
            savings.computed += job.pixels
            savings.whole += choices[size][0].whole
        job.start(start)
        last = frame
        yield job


@dataclass
class _Job:
    """A frame whose tiles are computed; ``last``: the frame before, None: all are."""

    frame: Levels
    last: Levels | None
    grids: Sequence[Grid]
    scale: int
    tiles: Sequence[Tile] = field(init=False)
    _ends: list[Callable[[], None]] = field(init=False, default_factory=list)
    _parts: dict[int, Levels] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        whole = self.grids[0]
        self._grid, self.tiles, self._rest = whole, whole.tiles, False
        if self.last is None or self.last.shape != self.frame.shape:
            return
        least = whole.whole
        for grid in self.grids:
            changed = grid.changed(self.frame, self.last, least)
            if changed is not None:
                self._grid, self.tiles, self._rest = grid, changed, True
                least = len(changed) * grid.pixels
            if not least:
                break

    @property
    def pixels(self) -> int:
        """Input pixels that are computed."""
        return len(self.tiles) * self._grid.pixels

    def start(self, start: Start) -> None:
        """Start computing."""

        def run(number: int, tile: Tile) -> None:
            rows, columns = tile.source
            source = with_edges(self.frame, rows, columns.stop)[:, columns]
            self._parts[number] = self._grid.run(source)[tile.kept]

        self._ends = [start(partial(run, number, tile)) for number, tile in enumerate(self.tiles)]

    def finish(self, before: Levels | None) -> Levels:
        """The upscaled frame; ``before``: that of the frame before."""
        if self._rest and before is not None and not self.tiles:
            return before
        if len(self.tiles) == len(self._grid.tiles) == 1:
            self._ends[0]()
            return self._parts.pop(0)
        if self._rest and before is not None:
            result = before.copy()
        else:
            height, width, channels = self.frame.shape
            result = np.empty((height * self.scale, width * self.scale, channels), np.uint8)
        for number, (tile, end) in enumerate(zip(self.tiles, self._ends, strict=True)):
            end()
            result[tile.target] = self._parts.pop(number)
        return result
