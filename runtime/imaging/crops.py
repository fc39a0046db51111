"""Crops for looking at: where the network gains most over bicubic interpolation.

The window of each image is the one in which the squared error of bicubic exceeds the network's
the most, so that the difference shows; bicubic, each file's result and the ground truth then stand
side by side. An image without a ground truth is shown where the results differ most from bicubic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.imaging import metrics
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.protocol import Pair, Protocol, baseline_name
from ailsr.runtime.imaging.resize import enlarge

SIDE = 80
"""Height and width of a crop in high-resolution pixels, less in smaller images."""


@dataclass(frozen=True)
class Panel:
    """One version of a crop."""

    label: str
    pixels: Rgb
    psnr_db: float | None
    """Of the crop, on what the protocol compares; None for the ground truth, and without one."""


@dataclass(frozen=True)
class Crop:
    """The same window of one image in several versions."""

    name: str
    picture: Rgb
    """The whole image, for showing where the window lies."""
    top: int
    left: int
    panels: tuple[Panel, ...]
    before: Panel
    """The one of ``panels`` to compare ``after`` with: bicubic, or the input at scale 1."""
    after: Panel
    """The last file's."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the window in pixels."""
        height, width = self.panels[-1].pixels.shape[:2]
        return height, width


def crop(pair: Pair, upscaled: Mapping[str, Rgb], protocol: Protocol) -> Crop:
    """The crop of ``pair`` in the baseline, each of ``upscaled`` (by label) and ground truth.

    The window is chosen for the first of ``upscaled``; the border that the protocol leaves out
    does not count.
    """
    before = enlarge(pair.lr, pair.scale)
    versions = {baseline_name(pair.scale): before, **upscaled}
    network = next(iter(upscaled.values()))
    border = pair.scale
    gain = metrics.shave(squared_error(before, pair.hr) - squared_error(network, pair.hr), border)
    side = min(SIDE, *gain.shape)
    top, left = (at + border for at in best_window(gain, side))
    window = (slice(top, top + side), slice(left, left + side))
    compared = _COMPARED[protocol]
    reference = compared(pair.hr[window])
    panels = [
        Panel(label, rgb[window], metrics.psnr(compared(rgb[window]), reference))
        for label, rgb in versions.items()
    ]
    panels.append(Panel("ground truth", pair.hr[window], None))
    return Crop(pair.name, pair.hr, top, left, tuple(panels), panels[0], panels[-2])


def crop_without_reference(name: str, lr: Rgb, scale: int, upscaled: Mapping[str, Rgb]) -> Crop:
    """The crop of ``lr``, whose ground truth nobody knows, in bicubic and each of ``upscaled`` (by
    label), ``scale`` times as large; first ``lr`` itself, its pixels repeated."""
    bicubic = enlarge(lr, scale)
    differences = [squared_error(rgb, bicubic) for rgb in upscaled.values()]
    side = min(SIDE, *bicubic.shape[:2])
    top, left = best_window(np.maximum.reduce(differences), side)
    window = (slice(top, top + side), slice(left, left + side))
    versions = {"input": lr.repeat(scale, 0).repeat(scale, 1)}
    versions |= {baseline_name(scale): bicubic, **upscaled}
    panels = [Panel(label, rgb[window], None) for label, rgb in versions.items()]
    before = panels[[*versions].index(baseline_name(scale))]
    return Crop(name, bicubic, top, left, tuple(panels), before, panels[-1])


def best_window(gain: NDArray[np.float64], side: int) -> tuple[int, int]:
    """(top, left) of the ``side``×``side`` window of ``gain`` (H×W) with the largest sum."""
    sums = np.pad(gain.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(windows.argmax(), windows.shape)
    return int(top), int(left)


def squared_error(rgb: Rgb, reference: Rgb) -> NDArray[np.float64]:
    """Squared difference in luma of each pixel, H×W."""
    difference: NDArray[np.float64] = luma(rgb) - luma(reference)
    return difference**2


_COMPARED: dict[Protocol, Callable[[Rgb], NDArray[np.float64] | Rgb]] = {
    "Y-shave-s": lambda rgb: np.rint(luma(rgb)),
    "RGB-DIV2K": lambda rgb: rgb,
}
