"""Pixels in the element type of a file, and their conversion from and to uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import PixelType
from ailsr.runtime.errors import EngineError

Pixels = NDArray[Any]
"""H×W×C by the file's ``Layout``, elements of its ``PixelType``: float32 [0, 1], uint8 or int8
(uint8 - 128)."""


def to_pixels(levels: NDArray[np.uint8], io_dtype: PixelType) -> Pixels:
    """``levels`` (uint8, any shape) in the element type of a file's input."""
    if io_dtype == "float32":
        return levels.astype(np.float32) / np.float32(255)
    return levels if io_dtype == "uint8" else (levels ^ np.uint8(0x80)).view(np.int8)  # uint8 - 128


def from_pixels(upscaled: Pixels, io_dtype: PixelType) -> NDArray[np.uint8]:
    """A file's output as uint8: floats clipped to [0, 1] and rounded half to even.

    Raises EngineError when they are not numbers.
    """
    if io_dtype == "uint8":
        return upscaled
    if io_dtype == "int8":
        return upscaled.view(np.uint8) ^ np.uint8(0x80)
    try:
        with np.errstate(over="ignore", invalid="raise"):
            levels = upscaled * np.float32(255)
            np.clip(levels, 0, 255, out=levels)
            return np.rint(levels, out=levels).astype(np.uint8)
    except FloatingPointError:
        raise EngineError("the file computed NaN: it is damaged or was exported wrongly") from None
