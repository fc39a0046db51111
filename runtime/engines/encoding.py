"""The encoding of a network: which numbers are black and white in its input and in its output.

Files with a card keep to one encoding. A float file of others may be made for [0, 255] or [-1, 1],
or for pixels that are normalised by a mean and a standard deviation, and nothing in it says so. It
is found by comparison: an image is made small, enlarged by the file under each encoding, and set
against the original. For a file of ×1 it is made noisy instead: of a clean one, a denoiser in a
range too large would change less than in its own. ``Range.java`` and ``Encoding.java`` repeat this
module; ``tests/parity/ranges.json`` holds the two together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.engines.pixels import Pixels, from_pixels, to_pixels
from ailsr.runtime.errors import EngineError
from ailsr.runtime.imaging.resize import enlarge, shrink
from ailsr.runtime.probe import noisy, probe_image

Run = Callable[[NDArray[Any]], NDArray[Any]]
"""[h, w, 3] -> [scale*h, scale*w, 3]"""
Triple = tuple[float, float, float]
Channels = Literal["rgb", "bgr"]

TRIAL_SIDE = 64
"""Sides in pixels of the image that a file enlarges to be judged by."""
TIE_DB = 1.0
"""PSNR by which another encoding has to be better than the one preferred to it. Networks of 0..255
are better so by 7 dB and more; those that hardly do more than repeat pixels do as well by each, and
those of 0..1 that remove noise as well in 0..255, where their biases count less."""
RESTORING_TIE_DB = 3.0
"""The same for files of ×1: made for noise of other strength than the trial's, such a file does
better in a range somewhat larger or smaller than its own."""
TIE_ERROR = 4.0
"""Squared levels by which it also has to be better: what a bias of two levels makes."""
NO_IMAGE_DB = 10.0
"""PSNR below that of bicubic interpolation from which a result is no image."""
_LEAST_ERROR = 65.0
"""Squared levels (30 dB), in place of bicubic interpolation's error where that is less."""


@dataclass(frozen=True)
class Range:
    """The numbers that are black and white, for R, G and B."""

    black: Triple
    white: Triple

    @classmethod
    def between(cls, black: float, white: float) -> Range:
        """The same range for each channel."""
        return cls((black, black, black), (white, white, white))

    @classmethod
    def normalized(cls, mean: Sequence[float], std: Sequence[float]) -> Range:
        """(level - mean) / std, levels being in [0, 1]; one value for each channel, or for all."""
        pairs = [(mean[c % len(mean)], std[c % len(std)]) for c in range(3)]
        (r, g, b), (red, green, blue) = (
            [(level - m) / s for m, s in pairs] for level in (0.0, 1.0)
        )
        return cls((r, g, b), (red, green, blue))

    @classmethod
    def parse(cls, text: str) -> Range:
        """The range that ``str`` turned into ``text``, which may also be typed: ``-1..1``,
        ``mean=0.5/std=0.25``. Raises ValueError."""
        if text in RANGES:
            return RANGES[text]
        if match := re.fullmatch(r"(.+)\.\.(.+)", text):
            found = cls.between(float(match[1]), float(match[2]))
        elif match := re.fullmatch(r"mean=([^/=]+)/std=([^/=]+)", text):
            mean, std = ([float(value) for value in group.split(",")] for group in match.groups())
            if not {len(mean), len(std)} <= {1, 3} or 0 in std:
                raise ValueError(f"{text!r}: one mean and std, or three, none of the latter 0")
            found = cls.normalized(mean, std)
        else:
            raise ValueError(f"{text!r} is no range")
        steps = np.subtract(found.white, found.black)
        if not np.isfinite([*found.black, *found.white]).all() or (steps == 0).any():
            raise ValueError(f"{text!r}: black and white are the same, or no numbers")
        return found

    def __str__(self) -> str:
        named = next((name for name, known in RANGES.items() if known == self), None)
        if named:
            return named
        if len({*self.black}) == len({*self.white}) == 1:
            return f"{self.black[0]:g}..{self.white[0]:g}"
        stds = [1 / (white - black) for black, white in zip(self.black, self.white, strict=True)]
        means = [-black * std for black, std in zip(self.black, stds, strict=True)]
        mean, std = ([f"{value:.6g}" for value in values] for values in (means, stds))
        parts = (values[:1] if len({*values}) == 1 else values for values in (mean, std))
        return "mean={}/std={}".format(*map(",".join, parts))

    @property
    def offset(self) -> NDArray[np.float32]:
        """The numbers for black, float32 [3]."""
        return np.array(self.black, np.float32)

    @property
    def step(self) -> NDArray[np.float32]:
        """The numbers for white less those for black, float32 [3]."""
        return np.subtract(self.white, self.black).astype(np.float32)

    def encode(self, levels: Pixels) -> Pixels:
        """The numbers for ``levels`` in [0, 1], float32 [h, w, 3]."""
        return levels if self == UNIT else levels * self.step + self.offset

    def decode(self, numbers: Pixels) -> Pixels:
        """The levels, not clipped, that ``numbers`` stand for."""
        return numbers if self == UNIT else (numbers - self.offset) / self.step


UNIT = Range.between(0, 1)
RANGES = {
    "0..1": UNIT,
    "0..255": Range.between(0, 255),
    "-1..1": Range.between(-1, 1),
    "imagenet": Range.normalized((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Those that are tried, by name, the ones before preferred to those after."""


@dataclass(frozen=True)
class Encoding:
    """The ranges of a network's input and output, and the order of its channels."""

    input: Range = UNIT
    output: Range = UNIT
    channels: Channels = "rgb"

    def encode(self, image: Pixels) -> Pixels:
        """``image`` (float32 RGB in [0, 1]) as the network takes it."""
        encoded = self.input.encode(image)
        return encoded if self.channels == "rgb" else encoded[..., ::-1]

    def decode(self, upscaled: Pixels) -> Pixels:
        """The network's output as RGB, white being 1, not clipped."""
        return self.output.decode(upscaled if self.channels == "rgb" else upscaled[..., ::-1])

    def around(self, run: Run) -> Run:
        """``run``, of a network, as a function of RGB in [0, 1]."""
        return lambda image: self.decode(run(self.encode(image)))

    def text(self, end: Literal["input", "output"]) -> str | None:
        """A range and the order of channels as the card has them; None: RGB in [0, 1]."""
        order = "" if self.channels == "rgb" else f" {self.channels.upper()}"
        text = f"{self.input if end == 'input' else self.output}{order}"
        return None if text == str(UNIT) else text

    def __str__(self) -> str:
        order = "" if self.channels == "rgb" else f", {self.channels.upper()}"
        return f"{self.input} in, {self.output} out{order}"


def encodings(
    input: Range | None = None, output: Range | None = None, channels: Channels = "rgb"
) -> list[Encoding]:
    """Those with these ranges, None standing for each of RANGES; the ones before preferred."""
    every = [*RANGES.values()]
    inputs, outputs = (every if given is None else [given] for given in (input, output))
    found = [Encoding(i, o, channels) for i in inputs for o in outputs]
    return sorted(found, key=lambda encoding: encoding.input != encoding.output)


@dataclass(frozen=True)
class Comparison:
    """How well a file enlarges the trial image under each encoding."""

    errors: dict[Encoding, float]
    """Mean squared difference from the original, in levels of 255, in the order of preference"""
    bicubic: float
    """That of bicubic interpolation; at scale 1, of the noise"""
    tie_db: float = TIE_DB

    @classmethod
    def of(
        cls, run: Run, scale: int, size: tuple[int, int], candidates: Sequence[Encoding]
    ) -> Comparison:
        """``run`` takes float32 images of ``size`` (height, width), encoded as its network's."""
        height, width = (min(side, TRIAL_SIDE) for side in size)
        hr = probe_image(scale * height, scale * width)
        lr = noisy(hr) if scale == 1 else shrink(hr, scale)
        rows, columns = (np.arange(side) % kept for side, kept in zip(size, lr.shape, strict=False))
        image = to_pixels(lr[rows[:, None], columns], "float32")  # repeated to fill the input
        results: dict[tuple[Range, Channels], Pixels] = {}
        errors = {}
        for encoding in candidates:
            key = encoding.input, encoding.channels
            if key not in results:
                upscaled = run(np.ascontiguousarray(encoding.encode(image)))
                results[key] = upscaled[: hr.shape[0], : hr.shape[1]]
            try:
                with np.errstate(all="ignore"):  # a damaged file may compute anything
                    decoded = from_pixels(encoding.decode(results[key]), "float32")
                errors[encoding] = _error(decoded, hr)
            except EngineError:  # it is not a number
                errors[encoding] = math.inf
        tie = RESTORING_TIE_DB if scale == 1 else TIE_DB
        return cls(errors, _error(enlarge(lr, scale), hr), tie)

    @property
    def best(self) -> Encoding:
        """The first that is as good as any, but for a tie."""
        enough = min(self.errors.values()) * 10 ** (self.tie_db / 10) + TIE_ERROR
        return next(encoding for encoding, error in self.errors.items() if error <= enough)

    @property
    def is_image(self) -> bool:
        """False: no encoding makes an image of the file's output."""
        least = max(self.bicubic, _LEAST_ERROR)
        return min(self.errors.values()) <= least * 10 ** (NO_IMAGE_DB / 10)


def psnr(error: float) -> float:
    """dB of a mean squared error in levels of 255."""
    return 10 * math.log10(255**2 / error) if error else math.inf


def _error(upscaled: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
    difference = upscaled.astype(np.int64) - hr
    return float((difference * difference).sum() / difference.size)
