"""The condition of an image before it is upscaled: clean, or degraded by JPEG and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ailsr.runtime.imaging.no_reference import BLOCK, block_responses, levels, noise_of_blocks
from ailsr.runtime.imaging.rgb_image import RgbImage
from ailsr.runtime.imaging.rows import Rows

LOW_QUALITY = 85
"""Quality of a JPEG at and below which a network for photographs wins over one for clean images.

This and ``NOISY`` are what ``benchmarks/condition.py`` found on Set14 with sesr_m5 ×2: 85 and 4.3
(docs/upscaling.md). Page and app have the same (condition.ts, Condition.java).
"""
NOISY = 4.0
"""Levels of noise, as ``noise`` estimates it, at and above which it does."""

_ROWS = 64 * BLOCK


@dataclass(frozen=True)
class Condition:
    """What a file tells of what happened to its image."""

    jpeg_quality: int | None
    """1 to 100; None: it is no JPEG."""
    noise: float
    """Standard deviation in levels of luma."""

    @classmethod
    def of(cls, image: RgbImage) -> Condition:
        """That of an image that was read."""
        return cls(image.jpeg_quality, noise_of_rows(image.rgb))

    @property
    def is_degraded(self) -> bool:
        """Whether a network for photographs is to be taken."""
        return is_coarse(self.jpeg_quality) or self.noise >= NOISY

    def __str__(self) -> str:
        """``JPEG quality 60, noise 1.2``"""
        jpeg = "no JPEG" if self.jpeg_quality is None else f"JPEG quality {self.jpeg_quality}"
        return f"{jpeg}, noise {self.noise:.1f}"


def is_coarse(jpeg_quality: int | None) -> bool:
    """Whether a JPEG has lost so much that a network for photographs is to be taken."""
    return jpeg_quality is not None and jpeg_quality <= LOW_QUALITY


def noise_of_rows(rgb: Rows) -> float:
    """As ``noise`` of the luma of ``rgb`` (H×W×3), a band of rows at a time; 0 for less than one
    block and a pixel around it."""
    if min(rgb.shape[:2]) < BLOCK + 2:
        return 0.0
    sums = [
        block_responses(levels(rgb[start : start + _ROWS + 2]))
        for start in range(0, rgb.shape[0] - BLOCK - 1, _ROWS)
    ]
    return noise_of_blocks(np.concatenate(sums))
