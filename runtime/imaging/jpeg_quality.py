"""The quality of a JPEG file as libjpeg counts it, from 1 to 100, by its quantisers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, JpegImagePlugin

LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisers of luminance at quality 50 (ITU-T T.81, table K.1)."""


def quality_of(quantisers: Sequence[int]) -> int:
    """The quality, 1 to 100, whose 64 ``quantisers`` of luminance have the nearest sum.

    Exact for files of libjpeg and its kin; for tables of other makers, as phones and Photoshop have
    them, the one that quantises as coarsely on the whole. Of two that are as near the higher one.
    """
    return 100 - bisect_left(_MIDDLES, sum(quantisers))


def of_image(image: Image.Image) -> int | None:
    """The quality of ``image``, which Pillow has opened; None when its file is no JPEG."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or not image.layer:
        return None
    quantisers = image.quantization.get(image.layer[0][3])  # of the first component
    return quality_of(quantisers) if quantisers else None


def standard(quality: int) -> list[int]:
    """libjpeg's quantisers of luminance for ``quality``, 1 to 100 (jcparam.c)."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(255, max(1, (value * percent + 50) // 100)) for value in LUMINANCE]


_SUMS = [sum(standard(quality)) for quality in range(100, 0, -1)]  # they grow as it falls
_MIDDLES = [(a + b) / 2 + 0.25 for a, b in pairwise(_SUMS)]
