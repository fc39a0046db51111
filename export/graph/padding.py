"""A border joined from slices of the image, for accelerators without an operator for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ailsr.export.graph.graph import Pad

T = TypeVar("T")
"""A tensor, as the writer of a target knows it."""


def padded_by_slices(
    node: Pad,
    image: T,
    cut: Callable[[T, int, int], T],
    join: Callable[[Sequence[T], int, bool], T],
) -> T:
    """``image`` with the border of ``node``: rows first, then columns of what has these rows.

    ``cut(x, axis, place)`` gives the row (axis 1, as in a Shape) or the column (axis 2) of x at
    ``place``, numbered from its end where negative, so that places hold at every size.
    ``join(parts, axis, last)`` puts tensors side by side; ``last`` gives the result.
    """
    sides = [(axis, *_places(node, axis)) for axis in (1, 2)]
    sides = [(axis, before, after) for axis, before, after in sides if before or after]
    for axis, before, after in sides:
        lines = {place: cut(image, axis, place) for place in dict.fromkeys([*before, *after])}
        parts = [*(lines[place] for place in before), image, *(lines[place] for place in after)]
        image = join(parts, axis, axis == sides[-1][0])
    return image


def _places(node: Pad, axis: int) -> tuple[list[int], list[int]]:
    """(sources of the lines before the image, sources of those after it)."""
    before, after = node.pads[axis - 1], node.pads[axis + 1]
    if node.mode == "edge":
        return [0] * before, [-1] * after
    return [*range(before, 0, -1)], [*range(-2, -2 - after, -1)]
