"""The loop over the tiles of images. It yields bands: finished rows of an image, top to bottom.

The tiles of a row are side by side and make one band. Rows are started ahead, as many as keep all
engines busy while the oldest is waited for.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.rgb_image import Rgb
from ailsr.runtime.imaging.rows import Rows
from ailsr.runtime.progress import Progress
from ailsr.runtime.upscaling.tiles import Tile

Plan = Callable[[int, int], Sequence[Tile]]
"""The tiles of an image of (height, width), row by row."""
Run = Callable[[Rgb], Rgb]
"""The upscaled pixels of one tile."""
Start = Callable[[Callable[[], None]], Callable[[], None]]
"""Starts a call; the result waits for its end, and raises its error."""


class Job(Protocol):
    """Tiles that are computed together."""

    @property
    def tiles(self) -> Sequence[Tile]: ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Band:
    """Finished rows of an upscaled image."""

    image: int
    """Number of the image, from 0."""
    rows: slice
    """Of the upscaled image."""
    pixels: Rgb
    height: int
    """Of the whole upscaled image."""

    @property
    def last(self) -> bool:
        """The image is complete."""
        return bool(self.rows.stop == self.height)


def when_awaited(call: Callable[[], None]) -> Callable[[], None]:
    """As ``Start``: the call is made by the caller's own thread, when its end is waited for."""
    return call


def upscale_bands(
    images: Iterable[Rows],
    plan: Plan,
    run: Run,
    scale: int,
    *,
    start: Start = when_awaited,
    engines: int = 0,
    into: Rgb | None = None,
    progress: Progress | None = None,
) -> Iterator[Band]:
    """The bands of the upscaled ``images`` (H×W×C), one image after the other.

    ``run`` is called through ``start``; ``engines`` calls can go on at the same time while a band
    is waited for. Bands are views of ``into``, room for one upscaled image, or else arrays of their
    own. ``progress`` counts the tiles of each image. Raises ImageError where ``images`` does, after
    the bands of the images before, and what ``run`` raises.
    """
    rows = _tile_rows(images, plan, scale)

    def started() -> Iterator[_TileRow]:
        for row in rows:
            row.start(run, start, into)
            yield row

    for row in in_order(started(), engines):
        yield row.finish(progress)


def in_order(started: Iterator[J], engines: int) -> Iterator[J]:
    """The jobs of ``started``, oldest first, each as soon as those after it keep ``engines`` busy.

    ``started`` starts a job when it is asked for the next. Raises ImageError where it does, after
    the jobs before.
    """
    waiting: deque[J] = deque()
    failure = None
    while True:
        try:
            job = next(started, None)
        except ImageError as error:  # the jobs before it are still to be finished
            job, failure = None, error
        if job is None:
            break
        waiting.append(job)
        while waiting and sum(len(j.tiles) for j in waiting) - len(waiting[0].tiles) >= engines:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
    if failure is not None:
        raise failure


def _tile_rows(images: Iterable[Rows], plan: Plan, scale: int) -> Iterator[_TileRow]:
    for number, image in enumerate(images):
        height, width = image.shape[:2]
        tiles = plan(height, width)
        done = 0
        for _, row in itertools.groupby(tiles, lambda tile: tile.target[0].start):
            side_by_side = list(row)
            yield _TileRow(number, image, scale, side_by_side, done, len(tiles))
            done += len(side_by_side)


class _TileRow:
    """The tiles of an image that lie side by side."""

    def __init__(
        self, number: int, image: Rows, scale: int, tiles: list[Tile], before: int, of: int
    ) -> None:
        """``before`` tiles of the ``of`` ones that the image has come first."""
        self.tiles = tiles
        self._number, self._image, self._scale = number, image, scale
        self._before, self._of = before, of

    def start(self, run: Run, start: Start, into: Rgb | None) -> None:
        first = self.tiles[0]
        source = with_edges(self._image, first.source[0], max(t.source[1].stop for t in self.tiles))
        rows = first.target[0]
        _, width, channels = self._image.shape
        shape = (rows.stop - rows.start, width * self._scale, channels)
        pixels = np.empty(shape, np.uint8) if into is None else into[rows]

        def upscale(tile: Tile) -> None:
            pixels[:, tile.target[1]] = run(source[:, tile.source[1]])[tile.kept]

        self._ends = [start(partial(upscale, tile)) for tile in self.tiles]
        self._pixels = pixels

    def finish(self, progress: Progress | None) -> Band:
        for done, end in enumerate(self._ends, self._before + 1):
            end()
            if progress is not None:
                progress("tiles", done, self._of)
        height = self._image.shape[0] * self._scale
        return Band(self._number, self.tiles[0].target[0], self._pixels, height)


def with_edges(image: Rows, rows: slice, width: int) -> Rgb:
    """``rows`` of ``image``, at least ``width`` wide, and its mirror image where it has no more."""
    pixels: Rgb = image[rows.start : min(rows.stop, image.shape[0])]
    missing = (rows.stop - rows.start - len(pixels), max(0, width - pixels.shape[1]))
    if not any(missing):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
