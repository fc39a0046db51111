"""Steps of a degradation: blur, resampling, noise and compression.

Each takes and gives uint8 RGB, as programs pass images on, and draws its parameters uniformly from
its ranges. ``low`` is the size (h, w) of the low-resolution image at the end of the chain.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.rules import Rule, items, number, one_of, span

Range = tuple[float, float]
"""The least and the greatest value of a parameter."""
Filter = Literal["box", "bilinear", "bicubic", "lanczos"]
"""A filter of Pillow, widened by the factor when an image shrinks; box is the mean of an area."""
Subsampling = Literal["4:4:4", "4:2:0"]
"""Of the colour of a JPEG file; 4:2:0 has a quarter of its samples."""
_FILTERS: tuple[Filter, ...] = get_args(Filter)
_SUBSAMPLINGS: tuple[Subsampling, ...] = get_args(Subsampling)


class Step(Protocol):
    """One step of a chain; a dataclass whose fields ``RULES`` read from a table."""

    kind: ClassVar[str]
    RULES: ClassVar[dict[str, Rule]]

    @property
    def share(self) -> float:
        """Share of the images that it is done to."""

    def apply(self, image: Rgb, low: tuple[int, int], random: np.random.Generator) -> Rgb:
        """``image`` after this step."""


_SHARE = {"share": number(0, 1)}


@dataclass(frozen=True)
class Blur:
    """Gaussian blur: a lens out of focus, or a hand that moved."""

    kind: ClassVar[str] = "blur"
    RULES: ClassVar[dict[str, Rule]] = {"sigma": span(0, 20), "ratio": span(0.05, 1), **_SHARE}

    sigma: Range
    """Standard deviation along the kernel's long axis in low-resolution pixels."""
    ratio: Range = (1.0, 1.0)
    """The short axis as a fraction of the long one, which has a random angle."""
    share: float = 1.0

    def apply(self, image: Rgb, low: tuple[int, int], random: np.random.Generator) -> Rgb:
        sigma = random.uniform(*self.sigma) * image.shape[0] / low[0]
        ratio, angle = random.uniform(*self.ratio), random.uniform(0, math.pi)
        return _levels(gaussian_blur(image, sigma, sigma * ratio, angle))


@dataclass(frozen=True)
class Resize:
    """Resampling to a multiple of the low resolution; without arguments, to it exactly."""

    kind: ClassVar[str] = "resize"
    RULES: ClassVar[dict[str, Rule]] = {
        "to": span(0.25, 8),
        "filters": items(one_of(*_FILTERS), len(_FILTERS), 1),
        **_SHARE,
    }

    to: Range = (1.0, 1.0)
    """Sides as multiples of the low-resolution ones."""
    filters: tuple[Filter, ...] = _FILTERS
    share: float = 1.0

    def apply(self, image: Rgb, low: tuple[int, int], random: np.random.Generator) -> Rgb:
        chosen = self.filters[random.integers(len(self.filters))]
        factor = random.uniform(*self.to)
        height, width = (max(1, round(side * factor)) for side in low)
        method = Image.Resampling[chosen.upper()]
        return np.array(Image.fromarray(image).resize((width, height), method))


@dataclass(frozen=True)
class Noise:
    """Noise of a sensor, independent in every sample."""

    kind: ClassVar[str] = "noise"
    RULES: ClassVar[dict[str, Rule]] = {"gaussian": span(0, 128), "shot": span(0, 128), **_SHARE}

    gaussian: Range = (0.0, 0.0)
    """Standard deviation in grey levels, the same at every level."""
    shot: Range = (0.0, 0.0)
    """Standard deviation in grey levels at mid-grey (128); in linear light its variance grows with
    the light (Poisson's law, by its Gaussian limit)."""
    share: float = 1.0

    def apply(self, image: Rgb, low: tuple[int, int], random: np.random.Generator) -> Rgb:
        gaussian, shot = random.uniform(*self.gaussian), random.uniform(*self.shot)
        sigma = np.hypot(gaussian, shot * SHOT_NOISE).astype(np.float32)[image]
        return _levels(image + sigma * random.standard_normal(image.shape, dtype=np.float32))


@dataclass(frozen=True)
class Jpeg:
    """Compression as JPEG, and decompression."""

    kind: ClassVar[str] = "jpeg"
    RULES: ClassVar[dict[str, Rule]] = {
        "quality": span(1, 100),
        "subsampling": items(one_of(*_SUBSAMPLINGS), len(_SUBSAMPLINGS), 1),
        **_SHARE,
    }

    quality: Range
    """libjpeg's, 1 to 100."""
    subsampling: tuple[Subsampling, ...] = _SUBSAMPLINGS
    share: float = 1.0

    def apply(self, image: Rgb, low: tuple[int, int], random: np.random.Generator) -> Rgb:
        quality = round(random.uniform(*self.quality))
        chosen = self.subsampling[random.integers(len(self.subsampling))]
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=chosen)
        return np.array(Image.open(file))


STEPS: dict[str, type[Blur] | type[Resize] | type[Noise] | type[Jpeg]] = {
    step.kind: step for step in (Blur, Resize, Noise, Jpeg)
}
"""The steps by name; see CONTRIBUTING, "Add a degradation"."""


def gaussian_blur(image: Rgb, long: float, short: float, angle: float = 0.0) -> NDArray[np.float32]:
    """``image`` (H×W×3), mirrored at its borders, after a Gaussian of standard deviations ``long``
    and ``short`` in pixels; ``angle`` in radians from the x axis to the long one.

    By its transfer function, exp(-2π²((long·u)² + (short·v)²)) with u and v along the axes, so
    that the time does not depend on the width.
    """
    if long == 0:
        return image.astype(np.float32)
    height, width = image.shape[:2]
    margin = math.ceil(4 * long)
    size = tuple(_fast_length(side + 2 * margin) for side in (height, width))
    ends = [
        (margin, whole - side - margin) for whole, side in zip(size, (height, width), strict=True)
    ]
    padded = np.pad(image, (*ends, (0, 0)), mode="symmetric")
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])
    u, v = (
        fx * math.cos(angle) + fy * math.sin(angle),
        fy * math.cos(angle) - fx * math.sin(angle),
    )
    transfer = np.exp(-2 * math.pi**2 * ((long * u) ** 2 + (short * v) ** 2)).astype(np.float32)
    spectrum = np.fft.rfft2(padded, axes=(0, 1))
    blurred = np.fft.irfft2(spectrum * transfer[..., None], size, axes=(0, 1))
    return blurred[margin : margin + height, margin : margin + width].astype(np.float32)


def _fast_length(least: int) -> int:
    """The smallest length from ``least`` on with no prime factor above 5."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _levels(values: NDArray[np.float32]) -> Rgb:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _shot_noise() -> NDArray[np.float64]:
    """Standard deviation of shot noise by level (256,), as a multiple of that at level 128.

    In linear light L it is proportional to sqrt(L); in levels, to sqrt(L) over the slope dL/dlevel
    of sRGB's transfer curve (IEC 61966-2-1).
    """
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    slope = np.where(level <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((level + 0.055) / 1.055) ** 1.4)
    sigma = np.sqrt(linear) / slope
    multiple: NDArray[np.float64] = sigma / sigma[128]
    return multiple


SHOT_NOISE = _shot_noise()
