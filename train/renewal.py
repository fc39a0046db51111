"""Training images degraded anew in the background, while steps go on.

An image that is degraded once is learnt with its noise. So one image after the other gets new
low-resolution pixels, one every ``EVERY`` steps. Which one, when and how follows from the seed and
the step alone: a resumed run sees what an uninterrupted one sees.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np

from ailsr.runtime.imaging.degradation import Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.train.events import Progress
from ailsr.train.patches import PatchSource

EVERY = 20
"""Steps from one new image to the next."""
AHEAD = 2
"""Images that are made before they are needed."""


class Renewal:
    """The low-resolution images of ``source``, made by ``degradation`` and renewed."""

    def __init__(self, source: PatchSource, degradation: Degradation, seed: int) -> None:
        self._source, self._degradation, self._seed = source, degradation, seed
        self._worker = ThreadPoolExecutor(1, "degradation")
        self._done = 0
        """Number of renewals that the source has seen."""
        self._coming: dict[int, Future[Rgb]] = {}
        """By number of the renewal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown(cancel_futures=True)

    def start(self, step: int, progress: Progress) -> None:
        """Make all images as they are at ``step``."""
        if not self._degradation.steps:
            return
        count, self._done = len(self._source), step // EVERY
        for index in range(count):
            renewed = (self._done + count - 1 - index) // count
            self._source.replace(index, self._image(index, renewed))
            progress("degrading images", index + 1, count, "")
        self._order()

    def advance(self, step: int) -> None:
        """Replace the image that is due at ``step``, if one is. Steps come in their order."""
        if not self._degradation.steps or self._done == step // EVERY:
            return
        self._done += 1
        index = (self._done - 1) % len(self._source)
        self._source.replace(index, self._coming.pop(self._done).result())
        self._order()

    def _order(self) -> None:
        for number in range(self._done + 1, self._done + 1 + AHEAD):
            if number not in self._coming:
                renewed, index = divmod(number - 1, len(self._source))
                self._coming[number] = self._worker.submit(self._image, index, renewed + 1)

    def _image(self, index: int, renewed: int) -> Rgb:
        """Image ``index`` after so many renewals."""
        random = np.random.default_rng((self._seed, index, renewed))
        return self._degradation.random(self._source.original(index), self._source.scale, random)
