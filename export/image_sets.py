"""Images to calibrate and to verify with: a folder's, or ones that are always at hand.

Without a folder these are photographs that come with scikit-image, some for calibration and others
for verification; without scikit-image, some of the images of the calibration, or generated ones.
(Calibrated on the generated ones, the AIL authors' VDSR-f13 loses 0.14 to 0.23 dB in int8 on Set5;
on the photographs 0.09 to 0.11.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.degradation import BICUBIC, PHOTO, Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.protocol import PROTOCOL, Pair, protocol_name, set_name
from ailsr.runtime.imaging.resize import crop_to_multiple

Purpose = Literal["calibration", "verification"]
PHOTOGRAPHS: dict[Purpose, tuple[str, ...]] = {
    "calibration": ("astronaut", "rocket", "stereo_motorcycle"),
    "verification": ("chelsea", "coffee"),
}
"""Functions of ``skimage.data``."""
SEEDS: dict[Purpose, tuple[int, ...]] = {"calibration": (0, 1, 2), "verification": (3, 4)}
"""Of generated images."""
GENERATED = "generated"
"""Name of a set of such images."""
SUBSTITUTES = 4
"""Number of calibration images that a file is verified on when there are no others."""
SIDE = 384
"""Of a generated image, in pixels."""


@dataclass(frozen=True)
class ImageSet:
    """Pairs of low- and high-resolution images under a name that a report can give."""

    name: str
    pairs: Sequence[Pair]
    degradation: Degradation = BICUBIC
    """What made the low-resolution images; PHOTO at scale 1, unless they lie in a folder."""

    @property
    def protocol(self) -> str:
        """The protocol as cards name it."""
        return protocol_name(PROTOCOL, self.degradation)


def image_set(
    folder: Path | None, purpose: Purpose, scale: int, instead: Path | None = None
) -> ImageSet:
    """The images of ``folder`` by the protocol; None: the default ones for ``purpose``. At scale 1
    they are degraded, for there the clean ones are the ground truth.

    Some of ``instead`` are taken before generated ones, which tell little of a loss. Raises
    ImageError when the folder holds no images.
    """
    degradation = PHOTO if scale == 1 else BICUBIC
    if folder is not None:
        return _of_folder(set_name(folder.resolve()), folder, scale)
    if find_spec("skimage") is not None:
        names = PHOTOGRAPHS[purpose]
        pairs = [_pair(name, _photograph(name), scale, degradation) for name in names]
        return ImageSet(f"scikit-image ({', '.join(names)})", pairs, degradation)
    if instead is not None:
        others = _of_folder(set_name(instead.resolve()), instead, scale)
        count = min(SUBSTITUTES, len(others.pairs))
        chosen = [others.pairs[i * len(others.pairs) // count] for i in range(count)]
        return ImageSet(f"{count} images of {others.name}", chosen, others.degradation)
    pairs = [_pair(f"generated {n}", generated(n), scale, degradation) for n in SEEDS[purpose]]
    return ImageSet(GENERATED, pairs, degradation)


def _of_folder(name: str, folder: Path, scale: int) -> ImageSet:
    pairs, degradation = protocol.pairs(folder, scale), BICUBIC
    if scale == 1 and not pairs.are_given:
        degradation = PHOTO
        pairs = protocol.pairs(folder, scale, degradation)
    return ImageSet(name, pairs, degradation)


def generated(seed: int) -> Rgb:
    """An image of overlapping discs and striped squares, SIDE×SIDE, the same for equal seeds.

    Hard edges of full contrast, fine gratings and, for odd seeds, noise: what drives activations.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = np.zeros((SIDE, SIDE, 3))
    for shape in range(60):
        top, left, angle = rng.random(3) * (1, 1, np.pi)
        size, cycles = 0.02 + 0.2 * rng.random() ** 2, rng.integers(4, SIDE // 4)
        if shape % 3:
            inside = (y - top) ** 2 + (x - left) ** 2 < size**2
        else:
            waves = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))
            inside = (np.maximum(np.abs(y - top), np.abs(x - left)) < size) & (waves > 0)
        image[inside] = rng.random(3) if shape % 2 else rng.integers(0, 2, 3)
    image += (seed % 2) * rng.normal(0, 0.05, image.shape)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _photograph(name: str) -> Rgb:
    import skimage.data

    pixels = getattr(skimage.data, name)()
    return np.ascontiguousarray(pixels[0] if isinstance(pixels, tuple) else pixels)


def _pair(name: str, image: Rgb, scale: int, degradation: Degradation) -> Pair:
    hr = crop_to_multiple(image, scale)
    return Pair(name, degradation.of_image(hr, scale), hr)
