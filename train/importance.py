"""Importance and teacher's output of every training pixel, computed once a round.

Both depend on frozen networks alone, so they are computed on whole images and cost nothing per
step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ailsr.train.ail import Importance, initial_importance, raised_importance, teacher_gap
from ailsr.train.events import Progress
from ailsr.train.networks import Network
from ailsr.train.networks.skip import BicubicUpsampler
from ailsr.train.patches import PatchSource

Output = Callable[[Network, Tensor], Tensor]
"""(network, lr (1, 3, h, w)) -> its output (1, C, H, W) in the student's colour."""
InColor = Callable[[Tensor], Tensor]
"""RGB (1, 3, H, W) -> the student's colour (1, C, H, W)."""


class ImportanceMaps:
    """The importance maps of a run, set in its ``source``."""

    def __init__(
        self,
        source: PatchSource,
        output: Output,
        in_color: InColor,
        progress: Progress,
        *,
        teacher_sees_clean: bool = False,
    ) -> None:
        """``progress`` is called per image and pass ("importance").

        ``teacher_sees_clean``: the teacher gets the bicubic reduction of an image instead of its
        low-resolution pixels in ``source``.
        """
        self._source, self._output, self._in_color = source, output, in_color
        self._teacher_sees_clean = teacher_sees_clean
        self._progress = progress
        self._taught_by: Network | None = None
        """Whose output T(x) the source holds."""
        self._errors_of: Network | None = None
        self._errors: list[Tensor] = []
        """|T(x) − y| of that teacher on each image, as far as it has been run; float16."""

    def clear(self) -> None:
        """Plain training: no maps, uniform sampling."""
        self._taught_by = None
        self._source.set_weights(None)
        self._source.set_taught(None)
        self._source.set_sampling(None)

    def set_weights(
        self, teacher: Network, previous: Network | None, k: int, c: Importance
    ) -> float:
        """Weigh residuals by w of round ``k``; returns the mean of w.

        ``previous`` is the student at the start of the round, None in round 0.
        """
        if teacher is not self._errors_of:
            self._errors_of, self._errors = teacher, []
        mean = _Mean()

        def maps() -> Iterator[Tensor]:
            for index, lr, target in self._images():
                if index == len(self._errors):
                    self._errors.append((self._taught(teacher, index) - target).abs().half())
                w = initial_importance(self._errors[index].float(), c)
                if previous is not None:
                    w = raised_importance(w, (self._output(previous, lr) - target).abs(), k, c)
                yield mean.of(w)

        self._source.set_weights(maps())
        return mean.value

    def set_taught(self, teacher: Network) -> None:
        """Train towards T(x); computed only when ``teacher`` is new."""
        if teacher is not self._taught_by:
            self._source.set_taught(self._taught(teacher, index) for index, _, _ in self._images())
            self._taught_by = teacher

    def set_sampling(self, teacher: Network, student: Network | None) -> float:
        """Sample patches in proportion to ``teacher_gap``; returns its mean.

        A ``student`` of None stands for bicubic enlargement.
        """
        mean, known = _Mean(), teacher is self._taught_by
        enlarge = BicubicUpsampler(3, self._source.scale).to(self._source.device)

        def importance() -> Iterator[Tensor]:
            for index, lr, _ in self._images():
                taught = self._source.taught(index) if known else self._taught(teacher, index)
                if student is None:
                    output = self._in_color(enlarge(lr))
                else:
                    output = self._output(student, lr)
                yield mean.of(teacher_gap(taught, output))

        self._source.set_sampling(importance())
        return mean.value

    def _taught(self, teacher: Network, index: int) -> Tensor:
        """T(x) of image ``index``."""
        clean = self._teacher_sees_clean
        return self._output(
            teacher, self._source.clean(index) if clean else self._source.pair(index)[0]
        )

    def _images(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(number, lr, target in the student's colour) of each image."""
        for index in range(len(self._source)):
            lr, hr = self._source.pair(index)
            self._progress("importance", index + 1, len(self._source), "")
            yield index, lr, self._in_color(hr)


class _Mean:
    """The mean over all pixels of several maps."""

    def __init__(self) -> None:
        self._total, self._pixels = torch.zeros((), dtype=torch.float64), 0

    def of(self, values: Tensor) -> Tensor:
        self._total += values.sum().cpu()  # there in float64, which not every GPU has
        self._pixels += values.numel()
        return values

    @property
    def value(self) -> float:
        return float(self._total / max(1, self._pixels))
