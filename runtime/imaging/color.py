"""Colour: the Y of BT.601 on which super-resolution is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Y_WEIGHTS = (65.481, 128.553, 24.966)
"""The weights of R, G and B in [0, 1] in Y (ITU-R BT.601, studio range; MATLAB's rgb2ycbcr)."""
Y_OFFSET = 16.0
"""Y of black; white is 235."""


def luma(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Y in [16, 235], unrounded, of ``rgb`` (H×W×3, uint8 or floating point in [0, 255])."""
    # Summed up one by one: the last bit of a matrix product depends on the CPU, and rounds a Y of
    # exactly half a level to either side.
    y = np.zeros(rgb.shape[:2])
    for channel, weight in enumerate(Y_WEIGHTS):
        y += np.multiply(rgb[..., channel], weight / 255, dtype=np.float64)
    y += Y_OFFSET
    return y
