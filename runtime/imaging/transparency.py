"""Colours for a network to see where an image is transparent.

Nobody sees the colours of transparent pixels but the network, and there they would bleed into the
visible edges: writers leave black, white or rests of a cut-out there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.imaging.rgb_image import Rgb, on_white
from ailsr.runtime.imaging.rows import Rows


class OnWhite:
    """The rows of an image (H×W×3) as they look on white."""

    def __init__(self, rgb: Rows, alpha: Rows) -> None:
        self.shape, self._rgb, self._alpha = rgb.shape, rgb, alpha

    def __getitem__(self, rows: slice, /) -> Rgb:
        return on_white(self._rgb[rows], self._alpha[rows])


class Filled:
    """The rows of an image (H×W×3) with its hidden colours filled, up to ``reach`` pixels deep.

    A row depends on the rows ``reach`` above and below it and on no others: bands of any height are
    those of the whole image.
    """

    def __init__(self, rgb: Rows, alpha: Rows, reach: int) -> None:
        self.shape = rgb.shape
        self._rgb, self._alpha, self._reach = rgb, alpha, reach

    def __getitem__(self, rows: slice, /) -> Rgb:
        start, stop, _ = rows.indices(self.shape[0])
        first, last = max(0, start - self._reach), min(self.shape[0], stop + self._reach)
        around = slice(first, last)
        filled = filled_in(self._rgb[around], self._alpha[around], self._reach)
        return filled[start - first : stop - first]


def filled_in(rgb: Rgb, alpha: NDArray[np.uint8], reach: int) -> Rgb:
    """``rgb`` with the pixels of ``alpha`` 0 filled from the edge of the visible ones inwards.

    Each of ``reach`` steps gives the hidden pixels that touch a pixel with a colour, at a side or a
    corner, the mean of those.
    """
    if alpha.all() or not alpha.any():
        return rgb
    known = np.pad(alpha != 0, 1)
    colors = np.pad(rgb, ((1, 1), (1, 1), (0, 0))).reshape(-1, 3)
    offsets = [down * known.shape[1] + across for down in (-1, 0, 1) for across in (-1, 0, 1)]
    for _ in range(reach):
        near = np.flatnonzero(_grown(known) & ~known)
        if not near.size:
            break
        sums, counts = np.zeros((near.size, 3), np.uint32), np.zeros((near.size, 1), np.uint32)
        for offset in offsets:
            seen = known.ravel()[near + offset]
            sums += colors[near + offset] * seen[:, None]
            counts += seen[:, None]
        colors[near] = (sums + counts // 2) // counts
        known.ravel()[near] = True
    return np.ascontiguousarray(colors.reshape(*known.shape, 3)[1:-1, 1:-1])


def _grown(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``known`` with the pixels that touch it, but for the border."""
    grown = np.zeros_like(known)
    across = known[:, :-2] | known[:, 1:-1] | known[:, 2:]
    grown[1:-1, 1:-1] = across[:-2] | across[1:-1] | across[2:]
    return grown
