"""What AIL says of each training pixel, computed once a round over whole pictures.

It depends on frozen networks alone, so it costs nothing per step: maps are cut with the patches,
and where patches are drawn is a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ailsr.train.ail import Importance, initial_importance, lacking, raised_importance
from ailsr.train.events import Progress
from ailsr.train.networks import Network
from ailsr.train.networks.skip import BicubicUpsampler
from ailsr.train.patches import PatchSource

Output = Callable[[Network, Tensor], Tensor]
"""(network, lr (1, 3, h, w)) -> its output (1, C, H, W) in the student's colour."""
InColor = Callable[[Tensor], Tensor]
"""RGB (1, 3, H, W) -> the student's colour (1, C, H, W)."""


class ImportanceMaps:
    """The maps of a run; sets them in its ``source``."""

    def __init__(
        self, source: PatchSource, output: Output, in_color: InColor, progress: Progress
    ) -> None:
        """``progress`` is called per image and map."""
        self._source, self._output, self._in_color = source, output, in_color
        self._progress = progress
        self._taught_by: Network | None = None
        """Whose output T(x) the source holds."""
        self._errors_of: Network | None = None
        self._errors: list[Tensor] = []
        """|T(x) − y| of that teacher on each image, as far as it has been run; float16."""

    def unset(self) -> None:
        """Plain training: no maps, and patches drawn everywhere alike."""
        self._taught_by = None
        self._source.set_weights(None)
        self._source.set_taught(None)
        self._source.draw_by(None)

    def weigh(self, teacher: Network, previous: Network | None, k: int, c: Importance) -> float:
        """Maps of w in round ``k``, ``previous`` being the student at its start (None: of round
        0); the mean of w."""
        if teacher is not self._errors_of:
            self._errors_of, self._errors = teacher, []
        mean = _Mean()

        def maps() -> Iterator[Tensor]:
            for index, lr, target in self._pictures():
                if index == len(self._errors):
                    self._errors.append((self._output(teacher, lr) - target).abs().half())
                w = initial_importance(self._errors[index].float(), c)
                if previous is not None:
                    w = raised_importance(w, (self._output(previous, lr) - target).abs(), k, c)
                yield mean.of(w)

        self._source.set_weights(maps())
        return mean.value

    def teach(self, teacher: Network) -> None:
        """Maps of the teacher's output T(x), unless they are there already."""
        if teacher is not self._taught_by:
            self._source.set_taught(self._output(teacher, lr) for _, lr, _ in self._pictures())
            self._taught_by = teacher

    def draw(self, teacher: Network, student: Network | None) -> float:
        """Patches drawn by what ``student`` lacks to ``teacher``; the mean of that.

        None stands for plain enlargement.
        """
        mean, known = _Mean(), teacher is self._taught_by
        enlarge = BicubicUpsampler(3, self._source.scale).to(self._source.device)

        def importance() -> Iterator[Tensor]:
            for index, lr, _ in self._pictures():
                taught = self._source.taught(index) if known else self._output(teacher, lr)
                if student is None:
                    output = self._in_color(enlarge(lr))
                else:
                    output = self._output(student, lr)
                yield mean.of(lacking(taught, output))

        self._source.draw_by(importance())
        return mean.value

    def _pictures(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(number, lr, target in the student's colour) of each picture."""
        for index in range(len(self._source)):
            lr, hr = self._source.pair(index)
            self._progress("importance", index + 1, len(self._source), "")
            yield index, lr, self._in_color(hr)


class _Mean:
    """The mean over the pixels of all maps that it is given."""

    def __init__(self) -> None:
        self._total, self._pixels = torch.zeros((), dtype=torch.float64), 0

    def of(self, values: Tensor) -> Tensor:
        self._total += values.sum().cpu()  # there in float64, which not every GPU has
        self._pixels += values.numel()
        return values

    @property
    def value(self) -> float:
        return float(self._total / max(1, self._pixels))
