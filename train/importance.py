"""What AIL says of each training pixel, computed once a round over whole pictures.

It depends on frozen networks alone, so it costs nothing per step: maps are cut with the patches,
and where patches are drawn is a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ailsr.train.ail import Importance, initial_importance, lacking, raised_importance
from ailsr.train.networks import Network
from ailsr.train.networks.skip import BicubicUpsampler
from ailsr.train.patches import PatchSource

Output = Callable[[Network, Tensor], Tensor]
"""(network, lr (1, 3, h, w)) -> its output (1, C, H, W) in the student's colour."""
Color = Callable[[Tensor], Tensor]
"""RGB (1, 3, H, W) -> the student's colour (1, C, H, W)."""


class ImportanceMaps:
    """The maps of a run; sets them in its ``source``."""

    def __init__(
        self, source: PatchSource, output: Output, in_color: Color, tick: Callable[[int], None]
    ) -> None:
        """``tick(done)`` is called after each picture."""
        self._source, self._output, self._in_color, self._tick = source, output, in_color, tick
        self._teacher: Network | None = None
        self._taught: list[Tensor] = []
        """The teacher's T(x) − y on each picture, as far as it has been run; float16."""

    def unset(self) -> None:
        """Plain training: no maps, and patches drawn everywhere alike."""
        self._source.set_maps(None)
        self._source.draw_by(None)

    def weigh(self, teacher: Network, previous: Network | None, k: int, c: Importance) -> float:
        """Maps of w in round ``k``, ``previous`` being the student at its start; the mean of w."""
        mean = _Mean()

        def maps() -> Iterator[Tensor]:
            for lr, target, taught in self._pictures(teacher):
                w = initial_importance((taught - target).abs(), c)
                if k > 0 and previous is not None:
                    w = raised_importance(w, (self._output(previous, lr) - target).abs(), k, c)
                yield mean.of(w)

        self._source.set_maps(maps())
        return mean.value

    def teach(self, teacher: Network) -> None:
        """Maps of the teacher's output T(x), unless they are there already."""
        if teacher is not self._teacher:
            self._source.set_maps(taught for _, _, taught in self._pictures(teacher))

    def draw(self, teacher: Network, student: Network | None) -> float:
        """Patches drawn by what ``student`` lacks to ``teacher``; the mean of that.

        None stands for plain enlargement.
        """
        mean = _Mean()
        enlarge = BicubicUpsampler(3, self._source.scale).to(self._source.device)

        def importance() -> Iterator[Tensor]:
            for lr, _, taught in self._pictures(teacher):
                if student is None:
                    output = self._in_color(enlarge(lr))
                else:
                    output = self._output(student, lr)
                yield mean.of(lacking(taught, output))

        self._source.draw_by(importance())
        return mean.value

    def _pictures(self, teacher: Network) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(lr, target, teacher's output) of each picture; a teacher is run only once."""
        if teacher is not self._teacher:
            self._teacher, self._taught = teacher, []
        for index in range(len(self._source)):
            lr, hr = self._source.pair(index)
            target = self._in_color(hr)
            if index == len(self._taught):
                self._taught.append((self._output(teacher, lr) - target).half())
            self._tick(index + 1)
            yield lr, target, target + self._taught[index].float()


class _Mean:
    """The mean over the pixels of all maps that it is given."""

    def __init__(self) -> None:
        self._total, self._pixels = torch.zeros((), dtype=torch.float64), 0

    def of(self, values: Tensor) -> Tensor:
        self._total += values.sum(dtype=torch.float64).cpu()
        self._pixels += values.numel()
        return values

    @property
    def value(self) -> float:
        return float(self._total / max(1, self._pixels))
