"""A decoded file, before its colours become sRGB: bands of 8-bit rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.imaging.rgb_image import Limit

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, right and bottom not included."""

_ROWS = 256  # of a band at most


class Band(NamedTuple):
    """Rows of an image."""

    color: NDArray[np.uint8]
    """n×W×1 gray, n×W×3 RGB or n×W×4 CMYK."""
    alpha: NDArray[np.uint8] | None
    """n×W opacity; None in an image that can hold none."""

    def crop(self, box: Box) -> Band:
        left, top, right, bottom = box
        alpha = None if self.alpha is None else self.alpha[top:bottom, left:right]
        return Band(self.color[top:bottom, left:right], alpha)

    def turned(self, turn: Callable[[NDArray[Any]], NDArray[Any]]) -> Band:
        return Band(turn(self.color), None if self.alpha is None else turn(self.alpha))


@dataclass
class Decoded:
    """An image as its file stores it: not yet turned upright."""

    size: tuple[int, int]
    """(height, width)"""
    bands: Iterator[Band]
    """All of it, from top to bottom."""
    crop: Callable[[Box], Band] | None = None
    """Any part of it, where the decoder holds the whole image."""
    exif: bytes | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    notes: list[str] = field(default_factory=list)
    """Changes that made it 8 bits and one of the three colour models."""
    jpeg_quality: int | None = None
    """As ``jpeg_quality.py`` tells it; None: the file is no JPEG."""


def band_rows(width: int, row_bytes: int, limit: Limit) -> int:
    """The number of rows that may be converted at a time; 0: not even one.

    ``row_bytes`` of the file pass through some eight copies on their way, and a converted pixel of
    a row through a dozen bytes.
    """
    cost = 8 * row_bytes + 16 * width
    if 2 * cost > limit.memory:
        return 0
    return max(1, min(_ROWS, limit.memory // 8 // cost))


def to_8_bits(levels: NDArray[Any], white: int) -> NDArray[np.uint8]:
    """``levels`` in [0, white] in 255ths of white, rounded."""
    if white == 255:
        return levels.astype(np.uint8, copy=False)
    wide = levels.astype(np.uint32)
    wide *= 255
    wide += white // 2
    wide //= white
    return wide.astype(np.uint8)
