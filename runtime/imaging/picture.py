"""What a picture is once it is read: pixels, opacity, and what is to be kept of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.imaging.rows import Rows

Rgb = NDArray[np.uint8]
"""H×W×3, sRGB."""


@dataclass(frozen=True)
class Picture:
    """A picture as a file holds it, in 8 bits a channel: sRGB, or as ``profile`` says."""

    rgb: Rows
    """H×W×3: an array, or rows on the disk when it was read with little memory."""
    alpha: Rows | None = None
    """H×W opacity; None when the picture is opaque throughout."""
    notes: tuple[str, ...] = ()
    """What was changed to make it 8-bit RGB, one phrase each; empty: nothing."""
    grayscale: bool = False
    """The file holds one channel: R, G and B are equal."""
    profile: bytes | None = None
    """The ICC profile of ``rgb``; None: sRGB."""
    exif: bytes | None = None
    """What EXIF tells of the photograph, without orientation and sizes."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        return self.rgb.shape[0], self.rgb.shape[1]

    def on_white(self) -> Rgb:
        """The picture without alpha, as it looks on white."""
        return on_white(self.rgb[:], None if self.alpha is None else self.alpha[:])


@dataclass(frozen=True)
class Limit:
    """How much memory reading a picture may take, and where its pixels go when they need more."""

    memory: int
    """Bytes."""
    folder: Path
    """Where there is room for temporary files."""


def on_white(rgb: Rgb, alpha: NDArray[np.uint8] | None) -> Rgb:
    """``rgb`` with the opacity ``alpha`` as it looks on white."""
    if alpha is None:
        return rgb
    wide = alpha[..., None].astype(np.uint16)
    return ((rgb * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8)
