"""Integer pixels of files whose levels are not pixels.

Our int8 files take and return pixels: level 0 is black, 255 white. A file of another tool has the
scale and zero point of its calibration, and reads each level as ``scale * (level - zero_point)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import PixelType

Quantization = tuple[float, int]
"""(scale, zero point); the scale is 0 where a file states none."""

_BYTES = np.arange(256)


class Levels:
    """The levels of one input or output, as two tables of 256 entries."""

    def __init__(self, quantization: Quantization, io_dtype: PixelType) -> None:
        """``io_dtype`` is uint8 or int8, of the levels as of the pixels.

        White is 1 in some files, 255 in others, whichever the scale is made for.
        """
        scale, zero_point = quantization
        dtype = np.dtype(io_dtype)
        first = np.iinfo(dtype).min
        numbers = scale * (_BYTES + first - zero_point)  # of each level, lowest first
        white = 255 if scale > 1 / 16 else 1
        of_level = np.rint(numbers * 255 / white)
        level_of = np.rint(_BYTES * white / 255 / (scale or 1)) + zero_point - first
        self.are_pixels = scale == 0 or np.array_equal(of_level, _BYTES)
        self._of_level = _table(of_level, dtype)
        self._level_of = _table(level_of, dtype)

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The level nearest to each of ``pixels``."""
        return pixels if self.are_pixels else self._level_of[pixels.view(np.uint8)]

    def pixels(self, levels: NDArray[Any]) -> NDArray[Any]:
        """The pixel nearest to each of ``levels``, between black and white."""
        return levels if self.are_pixels else self._of_level[levels.view(np.uint8)]


def _table(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """``values`` in 0 to 255, from the lowest up, by the byte that stands for each in ``dtype``."""
    first = np.iinfo(dtype).min
    table = np.empty(256, dtype)
    table[(_BYTES + first) & 255] = np.clip(values, 0, 255) + first
    return table
