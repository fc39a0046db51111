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
from ailsr.train.events import Progress, silent
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
        self._done: int | None = None
        """Number of renewals that the source has seen; None: its images are not degraded yet."""
        self._coming: dict[int, Future[Rgb]] = {}
        """By number of the renewal."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown(cancel_futures=True)

    def advance(self, step: int, progress: Progress = silent) -> None:
        """Bring the images to ``step``, which is not before that of the last call.

        Replaces one that is due at most, but for the first call and after a leap.
        """
        due, done = step // EVERY, self._done
        if not self._degradation.steps or due == done:
            return
        count, self._done = len(self._source), due
        if done == due - 1:
            self._source.replace((due - 1) % count, self._coming.pop(due).result())
        else:
            for index in range(count):
                renewed = (due + count - 1 - index) // count
                self._source.replace(index, self._image(index, renewed))
                progress("degrading images", index + 1, count, "")
            self._coming.clear()
        for number in range(due + 1, due + 1 + AHEAD):
            if number not in self._coming:
                renewed, index = divmod(number - 1, count)
                self._coming[number] = self._worker.submit(self._image, index, renewed + 1)

    def _image(self, index: int, renewed: int) -> Rgb:
        """Image ``index`` after so many renewals."""
        random = np.random.default_rng((self._seed, index, renewed))
        return self._degradation.sample(self._source.original(index), self._source.scale, random)
