"""PSNR to expect of a network before it is trained, from the trained ones of the zoo."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from ailsr.runtime.bench.intervals import student_t
from ailsr.train import zoo
from ailsr.train.networks import SCALES, size_of

JUDGED_ON = "Kodak24"
"""The test set of the PSNR that is learnt."""


class Trained(NamedTuple):
    """A network of the zoo, trained for clean images."""

    family: str
    depth: int
    width: int
    scale: int
    free: bool
    """Trained on images that may be used commercially."""


class Expected(NamedTuple):
    """PSNR in dB, and half the width of its 95 % interval."""

    psnr_db: float
    margin_db: float

    @property
    def at_least(self) -> float:
        """The lower end of the interval in dB."""
        return self.psnr_db - self.margin_db


def trained(name: str) -> Trained | None:
    """What the zoo's network ``name`` is; None: nothing is learnt from it."""
    found = re.fullmatch(r"(\w+?)(_research)?_x([234])", name)
    if found is None:
        return None
    network, research, scale = found.groups()
    size = size_of(network)
    return size and Trained(*size, int(scale), not research)


KNOWN = {name: network for name in zoo.names() if (network := trained(name)) and zoo.psnr(name)}
"""The networks of the zoo that are learnt from."""
DEEPEST = max(network.depth for network in KNOWN.values())
"""Depth of the deepest of them."""


class ExpectedPsnr:
    """PSNR on ``JUDGED_ON`` by family, depth, width and scale.

    A constant for each scale, each family and for free training images, plus so much for each
    doubling of the depth and of the width, by least squares. What lies far from the zoo's networks
    has a wide interval (that of a prediction by linear regression); depth beyond the zoo's counts
    no more.
    """

    def __init__(self) -> None:
        self._families = list(dict.fromkeys(network.family for network in KNOWN.values()))
        self._rows = np.array([self._row(network) for network in KNOWN.values()])
        psnr = np.array([zoo.psnr(name)[JUDGED_ON] for name in KNOWN])
        self._weights, *_ = np.linalg.lstsq(self._rows, psnr, rcond=None)
        self._freedom = len(psnr) - self._rows.shape[1]
        errors = psnr - self._rows @ self._weights
        self._variance = float(errors @ errors) / self._freedom
        self._spread = np.linalg.inv(self._rows.T @ self._rows)

    def __call__(
        self, family: str, depth: int, width: int, scale: int, free: bool = True
    ) -> Expected:
        """Of a network of the zoo's families, trained as they were."""
        row = np.array(self._row(Trained(family, depth, width, scale, free)))
        deviation = math.sqrt(self._variance * (1 + float(row @ self._spread @ row)))
        return Expected(float(row @ self._weights), student_t(0.95, self._freedom) * deviation)

    def _row(self, network: Trained) -> list[float]:
        """The features of a network."""
        return [
            *(float(network.scale == scale) for scale in SCALES),
            *(float(network.family == family) for family in self._families[1:]),
            float(network.free),
            math.log2(min(network.depth, DEEPEST)),
            math.log2(network.width),
        ]
