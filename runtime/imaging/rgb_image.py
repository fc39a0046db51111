"""An image that was read: pixels, opacity, and metadata of its file that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.rows import Rows
from ailsr.runtime.memory import megabytes

Rgb = NDArray[np.uint8]
"""H×W×3, sRGB."""


@dataclass(frozen=True)
class RgbImage:
    """An image as a file holds it, in 8 bits a channel: sRGB, or as ``profile`` says."""

    rgb: Rows
    """H×W×3: an array, or rows on the disk when it was read with little memory."""
    alpha: Rows | None = None
    """H×W opacity; None when the image is opaque throughout."""
    notes: tuple[str, ...] = ()
    """Changes that made it 8-bit RGB, one phrase each; empty: none."""
    grayscale: bool = False
    """The file holds one channel: R, G and B are equal."""
    profile: bytes | None = None
    """The ICC profile of ``rgb``; None: sRGB."""
    exif: bytes | None = None
    """EXIF data of the photograph, without orientation and sizes."""
    jpeg_quality: int | None = None
    """As ``jpeg_quality.py`` tells it; None: the file is no JPEG."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        return self.rgb.shape[0], self.rgb.shape[1]

    def on_white(self) -> Rgb:
        """The image without alpha, as it looks on white."""
        return on_white(self.rgb[:], None if self.alpha is None else self.alpha[:])


@dataclass(frozen=True)
class Limit:
    """The memory that reading an image may take, and a folder for pixels that need more."""

    memory: int = 1 << 30
    """Bytes: of what is decoded at a time, and of the whole where a decoder yields no less."""
    folder: Path | None = None
    """Folder for temporary files; None: the pixels stay in memory."""

    def check(self, name: str, size: tuple[int, int], needed: int, advice: str) -> None:
        """Raise ImageError when ``needed`` bytes for an image of ``size`` are too many.

        ``advice`` is what would do with less, an imperative.
        """
        if needed <= self.memory:
            return
        pixels = f"{name} has {size[0] * size[1] / 1e6:.0f} megapixels, and decoding them takes"
        if self.folder is None:
            raise ImageError(
                f"{pixels} {megabytes(needed)}, more than {megabytes(self.memory)}: cut it into "
                f"smaller images, or {advice}"
            )
        raise ImageError(
            f"{pixels} {megabytes(needed)} where the limit leaves "
            f"{megabytes(max(0, self.memory))}: raise --max-memory, or {advice}"
        )

    def too_wide(self, name: str, width: int) -> str:
        """The message on rows of ``width`` pixels, one of which does not fit."""
        raised = ", or raise --max-memory" if self.folder else ""
        return (
            f"{name} has rows of {width} pixels, too long for the "
            f"{megabytes(max(0, self.memory))} that reading may take: cut it into narrower "
            f"images{raised}"
        )


def on_white(rgb: Rgb, alpha: NDArray[np.uint8] | None) -> Rgb:
    """``rgb`` with the opacity ``alpha`` as it looks on white."""
    if alpha is None:
        return rgb
    wide = alpha[..., None].astype(np.uint16)
    return ((rgb * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8)
