"""Low-resolution images that were made elsewhere: cut to fit their high-resolution ones, checked.

A pair that does not fit is worse than none: a network trained on it learns the shift, and a figure
taken on it is wrong.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.resize import crop_to_multiple, shrink

MARGIN = 4
"""Shifts that are looked for, in low-resolution pixels to either side."""
WINDOW = 256
"""Side of the middle that is compared, in low-resolution pixels."""
GAIN = 0.5
"""A shift is believed when it leaves less than this share of the squared difference."""
SAME_IMAGE = 0.5
"""Least correlation of an image with a degraded form of it."""


def aligned(lr: Rgb, hr: Rgb, scale: int, names: tuple[str, str]) -> tuple[Rgb, Rgb]:
    """``lr`` [h, w, 3] and ``hr`` [scale·h, scale·w, 3], cut at the bottom and right.

    The sides of an LR image may be those of the HR image divided by ``scale``, rounded up or down.
    Raises ImageError with ``names`` (LR, HR) for other sizes, for a shift, and for images that do
    not show the same.
    """
    lr_name, hr_name = names
    for side, long in zip(lr.shape[:2], hr.shape[:2], strict=True):
        if side not in (long // scale, -(-long // scale)):
            raise ImageError(
                f"{lr_name} has {_size(lr)} pixels; {hr_name}, {_size(hr)}, reduced by {scale} "
                f"has {hr.shape[1] // scale}x{hr.shape[0] // scale}: it belongs to another image"
            )
    height, width = (long // scale for long in hr.shape[:2])
    lr, hr = lr[:height, :width], crop_to_multiple(hr, scale)
    _check_alignment(lr, hr, scale, names)
    return lr, hr


def _check_alignment(lr: Rgb, hr: Rgb, scale: int, names: tuple[str, str]) -> None:
    height, width = lr.shape[:2]
    if min(height, width) <= 4 * MARGIN:
        return
    top, left = (max(0, (side - WINDOW) // 2) for side in (height, width))
    middle = (slice(top, top + WINDOW), slice(left, left + WINDOW))
    wide = tuple(slice(s.start * scale, s.stop * scale) for s in middle)
    found, expected = luma(lr[middle]), luma(shrink(hr[wide], scale))
    if not found.std() or not expected.std():
        return
    correlation = float(np.corrcoef(found.ravel(), expected.ravel())[0, 1])
    inner = found[MARGIN:-MARGIN, MARGIN:-MARGIN]
    shifts = list(product(range(-MARGIN, MARGIN + 1), repeat=2))
    errors = [_squared_difference(inner, expected, down, right) for down, right in shifts]
    best = int(np.argmin(errors))
    if errors[best] < GAIN * errors[shifts.index((0, 0))]:
        down, right = shifts[best]
        raise ImageError(
            f"{names[0]} is shifted against {names[1]} by {right} pixels to the right and {down} "
            "down (low resolution): align the pair, or take it out"
        )
    if correlation < SAME_IMAGE:
        raise ImageError(
            f"{names[0]} and {names[1]} do not show the same: name the image that it was made from"
        )


def _squared_difference(
    inner: NDArray[np.float64], expected: NDArray[np.float64], down: int, right: int
) -> float:
    """Mean squared difference of ``inner`` from ``expected``, if shifted so far against it."""
    rows, columns = inner.shape
    top, left = MARGIN - down, MARGIN - right
    return float(np.mean((inner - expected[top : top + rows, left : left + columns]) ** 2))


def _size(image: Rgb) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
