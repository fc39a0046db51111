"""Tiles of a model's input size, into which an image is cut so that no seam shows.

A network sees ``radius`` pixels around each pixel. At the edge of an image it sees its own
padding, which is part of its result; at the edge of a tile inside the image it must not. So
tiles overlap, and each loses ``radius`` pixels at the sides that lie inside the image and none
at the others: what is kept equals what the network computes for the whole image at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ailsr.runtime.errors import ModelError

Size = tuple[int, int]
"""(height, width) in pixels."""
Region = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Tile:
    """One run of the model."""

    source: Region
    """The part of the image that it reads: the input size, or less in a smaller image."""
    kept: Region
    """The part of its output that is right, in output pixels."""
    target: Region
    """The place of that part in the upscaled image."""

    def within(self, height: int, width: int) -> Tile:
        """Of this tile, what belongs into the first rows and columns of the upscaled image."""
        target = (_cut(self.target[0], height), _cut(self.target[1], width))
        kept = (
            slice(k.start, k.start + t.stop - t.start)
            for k, t in zip(self.kept, target, strict=True)
        )
        return Tile(self.source, (next(kept), next(kept)), target)


def plan(image: Size, window: Size, radius: int, scale: int) -> list[Tile]:
    """The tiles that cover ``image``, row by row; their targets neither overlap nor leave gaps.

    Raises ModelError when the image needs several tiles of ``window`` but the window leaves
    nothing between two overlaps of ``radius``.
    """
    rows, columns = (_spans(*axis, radius) for axis in zip(image, window, strict=True))
    return [
        Tile(
            source=(slice(y.start, y.stop), slice(x.start, x.stop)),
            kept=(y.kept(scale), x.kept(scale)),
            target=(y.target(scale), x.target(scale)),
        )
        for y in rows
        for x in columns
    ]


def _cut(along: slice, end: int) -> slice:
    return slice(along.start, min(along.stop, end))


@dataclass(frozen=True)
class _Span:
    """A tile along one axis, in input pixels: it reads [start, stop) and yields [first, last)."""

    start: int
    stop: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)

    def target(self, scale: int) -> slice:
        return slice(self.first * scale, self.last * scale)


def _spans(length: int, window: int, radius: int) -> list[_Span]:
    if length <= window:
        return [_Span(0, length, 0, length)]
    step = window - 2 * radius
    if step < 1:
        raise ModelError(
            f"the model's input of {window} pixels is too small to tile a side of {length}: its "
            f"receptive field needs {2 * radius + 1} or more; export it with a larger --input-size"
        )
    spans = [_Span(0, window, 0, window - radius)]
    while spans[-1].stop < length:
        # The last tile is moved back to end with the image; its overlap only grows.
        start = min(spans[-1].start + step, length - window)
        stop = start + window
        spans.append(_Span(start, stop, spans[-1].last, stop - radius if stop < length else stop))
    return spans
