"""Figures of an image that has no ground truth: the blocks and the noise that it shows.

They say how much of two artefacts is left, not how good an image is: one that was blurred has the
least of both. So they stand beside each other, before and after, and are never ranked.

Enlarging s times turns the 8×8 grid of a JPEG into one of 8s×8s, and steps and noise from one
pixel to the next into those from a pixel to the s-th. Both figures are therefore taken on the s×s
images of the input's size of which an enlarged one consists, each made of every s-th pixel: what is
enlarged by repeating its pixels has exactly the figures of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.names import unless_shared

NO_REFERENCE = "no-reference"
"""What stands in reports in the place of a protocol."""
BLOCK = 8
"""Side of a JPEG's blocks in pixels."""
Figures = Mapping[str, float]
"""By the figure's name."""
TENTH = 0.797
"""A tenth of the blocks of white Gaussian noise have less than so much of their mean |response|."""
LEAST_SIDE = 2 * BLOCK
"""Side in pixels of the smallest input that has figures."""


def levels(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Luma of JPEG files (JFIF: BT.601 in full range) of ``rgb`` (H×W×3), whole levels of 255.

    In integers, so that every runtime has the same.
    """
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    return (299 * red + 587 * green + 114 * blue + 500) // 1000


def blockiness(luma: NDArray[Any], scale: int = 1) -> float:
    """Mean step across the borders of 8×8 blocks, as a multiple of the mean step elsewhere.

    B / A of Wang, Sheikh and Bovik (ICIP 2002), means of absolute differences over both directions,
    of ``luma`` (H×W) that was enlarged ``scale`` times; the grid begins at the first pixel. 1: no
    blocks; inf: nothing but blocks.
    """
    across, within = [], []
    for plane in (luma, luma.T):
        step = np.abs(plane[:, scale:] - plane[:, :-scale]).mean(axis=0, dtype=np.float64)
        at_border = np.arange(len(step)) // scale % BLOCK == BLOCK - 1
        across.append(step[at_border].mean())
        within.append(step[~at_border].mean())
    a, b = fmean(within), fmean(across)
    return b / a if a else (float("inf") if b else 1.0)


def noise(luma: NDArray[Any], scale: int = 1) -> float:
    """Standard deviation of the noise of ``luma`` (H×W) in levels of 255, as seen in the smoothest
    tenth of its blocks.

    Immerkær's estimate (CVIU 1996), √(π/2) / 6 of the mean absolute response to the difference of
    two Laplacians, which structure leaves small; of blocks instead of the whole image (Olsen, CVGIP
    1993), so that texture does not count as noise. Texture that fills an image still does: about
    one level. ``luma`` was enlarged ``scale`` times.
    """
    return noise_of_blocks(block_responses(luma, scale))


def block_responses(luma: NDArray[Any], scale: int = 1) -> NDArray[np.int64]:
    """Sum of |response| of each 8×8 block of ``luma`` (H×W, whole levels); not of blocks with black
    or white, where clipping hides the noise."""
    response = luma.astype(np.int32)
    for _ in range(2):  # [1 −2 1] along both sides
        response = response[: -2 * scale] - 2 * response[scale:-scale] + response[2 * scale :]
        response = response.T
    clipped = (luma == 0) | (luma == 255)
    clipped = clipped[scale:-scale, scale:-scale]
    found = []
    for phase in np.ndindex(scale, scale):
        part = tuple(slice(start, None, scale) for start in phase)
        sums = _blocks(np.abs(response[part])).sum(axis=(1, 3))
        found.append(sums[~_blocks(clipped[part]).any(axis=(1, 3))])
    return np.concatenate(found)


def noise_of_blocks(sums: NDArray[np.int64]) -> float:
    """``noise`` of all the blocks of an image; 0 for none."""
    if not len(sums):
        return 0.0
    smooth = int(np.partition(sums, len(sums) // 10)[len(sums) // 10])
    return math.sqrt(math.pi / 2) / 6 * smooth / BLOCK**2 / TENTH


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """H×W as [rows of blocks, 8, columns of blocks, 8]; what fills no block is left out."""
    height, width = (side // BLOCK for side in plane.shape)
    return plane[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)


@dataclass(frozen=True)
class Figure:
    """A figure of an image without a ground truth."""

    title: str
    """Its name for people."""
    key: str
    """Its name in reports and CSV files."""
    compute: Callable[[NDArray[Any], int], float]
    """Of the luma of an image, and what it was enlarged by."""
    unit: str
    note: str
    """How it is computed, in a sentence for the report."""
    digits: int = 2

    def text(self, value: float) -> str:
        """``value`` with its digits; ∞ where it is infinite."""
        return f"{value:.{self.digits}f}" if np.isfinite(value) else "∞"


FIGURES: dict[str, Figure] = {
    "blockiness": Figure(
        "Blockiness",
        "blockiness",
        blockiness,
        "no reference",
        "Blockiness: mean step across the borders of the input's 8×8 blocks by the mean step "
        "elsewhere (B / A of Wang, Sheikh and Bovik 2002); 1: no blocks.",
    ),
    "noise": Figure(
        "Noise",
        "noise",
        noise,
        "no reference",
        "Noise: its standard deviation in levels of luma, by Immerkær's estimate (1996) on the "
        "smoothest tenth of blocks.",
    ),
}
"""In the order of tables and reports."""


@dataclass(frozen=True)
class NoReference:
    """The figures of the images of a folder, in one version of them."""

    figures: Figures
    """Means over the images."""
    images: dict[str, Figures] = field(default_factory=dict)
    """By the image's name."""

    @classmethod
    def of_images(cls, images: dict[str, Figures]) -> NoReference:
        """The means over one or more ``images``."""
        means = {name: fmean(found[name] for found in images.values()) for name in FIGURES}
        return cls(means, images)


def figures(rgb: Rgb, scale: int = 1) -> Figures:
    """The figures of ``rgb`` (H×W×3, uint8), which was enlarged ``scale`` times."""
    luma = levels(rgb)
    return {name: figure.compute(luma, scale) for name, figure in FIGURES.items()}


def sources(folder: Path) -> dict[str, Path]:
    """The images of ``folder`` by their names in reports. Raises ImageError when there are none."""
    paths = image.list_images(folder)
    names = unless_shared([path.stem for path in paths], [path.name for path in paths])
    return dict(zip(names, paths, strict=True))


def read(name: str, path: Path) -> Rgb:
    """The image at ``path``. Raises ImageError when it is too small to have figures."""
    rgb = image.read(path)
    if min(rgb.shape[:2]) < LEAST_SIDE:
        height, width = rgb.shape[:2]
        raise ImageError(
            f"{name} has {width}x{height} pixels, too few for blocks and noise: remove it, "
            f"{LEAST_SIDE}x{LEAST_SIDE} is the least"
        )
    return rgb
