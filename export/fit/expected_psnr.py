"""PSNR to expect of a network before it is trained, from the trained ones of the zoo."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ailsr.runtime.bench.intervals import student_t
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import SCALES

JUDGED_ON = "Kodak24"
"""The images that chose the checkpoints of the zoo; their PSNR is in its cards."""
SHAPES = {
    "sesr_m3": ("sesr", 3, 16),
    "sesr_m5": ("sesr", 5, 16),
    "sesr_m11": ("sesr", 11, 16),
    "sesr_xl": ("sesr", 11, 32),
    "abpn": ("abpn", 4, 28),
    "quicksrnet_small": ("quicksrnet", 2, 32),
}
"""Family, depth and width of the networks of the zoo that are learnt from."""
_FAMILIES = tuple(dict.fromkeys(family for family, _, _ in SHAPES.values()))
DEEPEST = max(depth for _, depth, _ in SHAPES.values())
"""Depth of the deepest of them."""


class Expected(NamedTuple):
    """PSNR in dB, and half the width of its 95 % interval."""

    psnr_db: float
    margin_db: float

    @property
    def at_least(self) -> float:
        """The lower end of the interval in dB."""
        return self.psnr_db - self.margin_db


class ExpectedPsnr:
    """PSNR on ``JUDGED_ON`` by family, depth, width and scale.

    A constant for each scale and each family, plus so much for each doubling of the depth and of
    the width, by least squares. What lies far from the zoo's networks has a wide interval (that of
    a prediction by linear regression); depth beyond the zoo's counts no more.
    """

    def __init__(self) -> None:
        known = [(name, scale) for name in SHAPES for scale in SCALES]
        self._rows = np.array([_row(*SHAPES[name], scale) for name, scale in known])
        psnr = np.array([_psnr_of(f"{name}_x{scale}") for name, scale in known])
        self._weights, *_ = np.linalg.lstsq(self._rows, psnr, rcond=None)
        self._freedom = len(psnr) - self._rows.shape[1]
        errors = psnr - self._rows @ self._weights
        self._variance = float(errors @ errors) / self._freedom
        self._spread = np.linalg.inv(self._rows.T @ self._rows)

    def __call__(self, family: str, depth: int, width: int, scale: int) -> Expected:
        """Of a network of the zoo's families, trained as they were."""
        row = np.array(_row(family, depth, width, scale))
        deviation = math.sqrt(self._variance * (1 + float(row @ self._spread @ row)))
        return Expected(float(row @ self._weights), student_t(0.95, self._freedom) * deviation)


def _row(family: str, depth: int, width: int, scale: int) -> list[float]:
    """The features of a network."""
    return [
        *(float(scale == other) for other in SCALES),
        *(float(family == other) for other in _FAMILIES[1:]),
        math.log2(min(depth, DEEPEST)),
        math.log2(width),
    ]


def _psnr_of(name: str) -> float:
    """dB on ``JUDGED_ON``, of the zoo's network ``name`` as it was trained."""
    card = checkpoint.load(zoo.path(name)).card
    assert JUDGED_ON in card["recipe"]["val"], name
    return float(max(entry["psnr"] for entry in card["validations"]))
