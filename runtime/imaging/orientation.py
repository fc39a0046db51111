"""The eight ways in which an image may lie in its file, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

from ailsr.runtime.imaging.decoded import Band, Box
from ailsr.runtime.imaging.exif import loaded

TURNED = "turned as its EXIF orientation says"
"""The note on an image that did not lie upright."""
_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])\s*["'<]""")

TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
"""Functions that turn pixels (H×W or H×W×C) of each EXIF orientation upright; 1 is upright."""
_FROM_BELOW = (3, 4, 7, 8)  # the first rows are read last: below, or at the right


def swaps(orientation: int) -> bool:
    """Height and width change places."""
    return orientation >= 5


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """1 to 8: what EXIF says and, where it says nothing, XMP; 1 when neither is to be understood.

    Source: EXIF 2.3, tag 0x0112; the same numbers in XMP's tiff:Orientation.
    """
    if exif:
        found = loaded(exif).get(ExifTags.Base.Orientation)
        if found is not None:
            return int(found) if found in TURNS else 1
    said = _XMP.search(xmp or b"")
    return int(said[1]) if said else 1


def upright(
    crop: Callable[[Box], Band], size: tuple[int, int], orientation: int, rows: int
) -> Iterator[Band]:
    """An image that lies as ``orientation`` says, upright, in bands of ``rows`` rows.

    ``size`` is (height, width) of the upright image, ``crop`` cuts boxes from the stored one.
    """
    height, width = size
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        below = orientation in _FROM_BELOW
        first, last = (height - stop, height - start) if below else (start, stop)
        box = (first, 0, last, width) if swaps(orientation) else (0, first, width, last)
        yield crop(box).turned(TURNS[orientation])
