"""The layouts of files: RGB, RGBA or a plane of luma, and their conversion from and to RGB.

With a plane of luma, the chroma is enlarged by bicubic interpolation: RGB is interpolated, and the
difference of its luma from the file's added to each of R, G and B, which leaves the chroma as it
is. ``Layout.java`` repeats this module, ``elements.ts`` what it has of RGBA;
``tests/parity/layouts.json`` holds them together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import Layout, PixelType
from ailsr.runtime.engines.pixels import Pixels, from_pixels, to_pixels
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.imaging.rgb_image import Rgb

CHANNELS: dict[Layout, int] = {"rgb": 3, "rgba": 4, "y": 1, "y-full": 1}
"""The number of channels of each layout."""
OPAQUE = 255
STUDIO_WHITE, STUDIO_BLACK = 235.0, 16.0
FULL_WEIGHTS = (0.299, 0.587, 0.114)
"""Of R, G and B in the luma of full range, in which white is as in RGB (BT.601)."""

_ROWS = 16
"""Rows of which luma becomes RGB at a time: they stay in the processor's cache."""

Levels = NDArray[np.uint8]
"""H×W×C, the 8-bit samples of a layout of C channels."""


def plane_of(rgb: Rgb, layout: Layout) -> NDArray[np.float64]:
    """The luma (H×W) of ``rgb`` as ``layout`` has it, in levels of 255, not rounded."""
    if layout == "y":
        return luma(rgb)
    plane = np.zeros(rgb.shape[:2])
    for channel, weight in enumerate(FULL_WEIGHTS):
        plane += np.multiply(rgb[..., channel], weight, dtype=np.float64)
    return plane


def levels_of(rgb: Rgb, layout: Layout) -> Levels:
    """``rgb`` in 8 bits as a device has it that holds ``layout``: RGBA is opaque."""
    if layout == "rgb":
        return rgb
    if layout == "rgba":
        return np.dstack([rgb, np.full(rgb.shape[:2], OPAQUE, np.uint8)])
    return np.rint(plane_of(rgb, layout)).astype(np.uint8)[..., None]


def samples_of(rgb: Rgb, layout: Layout, io_dtype: PixelType) -> Pixels:
    """``rgb`` as a file of ``layout`` takes it; luma in float32 is not rounded to 8 bits."""
    if io_dtype == "float32" and CHANNELS[layout] == 1:
        return (plane_of(rgb, layout) / 255).astype(np.float32)[..., None]
    return to_pixels(levels_of(rgb, layout), io_dtype)


def rgb_of(upscaled: Pixels, rgb: Rgb, layout: Layout, io_dtype: PixelType) -> Rgb:
    """The RGB image of a file's output for ``rgb``, uint8. Raises EngineError as ``from_pixels``
    does."""
    if CHANNELS[layout] != 1:
        levels = from_pixels(upscaled, io_dtype)
        return levels if layout == "rgb" else np.ascontiguousarray(levels[..., :3])
    if io_dtype == "float32":
        plane = 255 * upscaled[..., 0].astype(np.float64)
        from_pixels(upscaled, io_dtype)  # raises for what is no number
    else:
        plane = from_pixels(upscaled, io_dtype)[..., 0].astype(np.float64)
    result = enlarge(rgb, upscaled.shape[0] // rgb.shape[0])
    gain = 255 / (STUDIO_WHITE - STUDIO_BLACK) if layout == "y" else 1.0
    for start in range(0, len(plane), _ROWS):
        part, rows = result[start : start + _ROWS], plane[start : start + _ROWS]
        difference = (rows - plane_of(part, layout)) * gain
        for channel in range(3):
            values = part[..., channel] + difference
            np.rint(np.clip(values, 0, 255, out=values), out=values)
            part[..., channel] = values
    return result


def probe_levels(image: Rgb, layout: Layout) -> Levels:
    """The probe image as a file of ``layout`` is given it: of luma, its green channel."""
    return image[..., 1:2] if CHANNELS[layout] == 1 else levels_of(image, layout)


def probe_answer(levels: Levels, layout: Layout) -> Rgb:
    """A file's ``levels`` for the probe image, as RGB: luma is grey, what is not opaque black."""
    if layout == "rgba":
        return np.where(levels[..., 3:] == OPAQUE, levels[..., :3], np.uint8(0))
    return levels if layout == "rgb" else np.repeat(levels, 3, axis=2)
