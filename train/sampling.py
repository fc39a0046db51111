"""Random positions of patches: uniform, or in proportion to importance.

The positions in an image are grouped into cells of CELL×CELL; a table holds the probability of each
cell of each image, 16 thousand entries per million pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 8
"""Side of a cell in low-resolution pixels."""
UNIFORM_SHARE = 0.2
"""Share of the patches that ignore importance, so that every position is seen."""


class PatchSampler:
    """Random positions of patches in images of given sizes."""

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        patch: int,
        scale: int,
        importance: Iterable[Tensor] | None = None,
    ) -> None:
        """``sizes`` (h, w) and ``patch`` are in low-resolution pixels, no side below ``patch``.

        ``importance`` is one map (1, 1, scale·h, scale·w) ≥ 0 per image. The probability of a
        position is then proportional to the mean importance of the first patch of its cell, except
        for a share of UNIFORM_SHARE. Without importance it is uniform: images count by their area.
        """
        self._patch = patch
        self._sides = torch.tensor(sizes)
        cells = [_positions(h, patch)[:, None] * _positions(w, patch) for h, w in sizes]
        self._ends = torch.tensor([cell.numel() for cell in cells]).cumsum(0)
        areas = (h * w for h, w in sizes)
        even = [cell * (area / cell.sum()) for cell, area in zip(cells, areas, strict=True)]
        table = _table(even)
        if importance is not None:
            means = (
                F.avg_pool2d(w.float(), patch * scale, CELL * scale)[0, 0].cpu() for w in importance
            )
            important = _table([cell * mean for cell, mean in zip(even, means, strict=True)])
            table = UNIFORM_SHARE * table + (1 - UNIFORM_SHARE) * important
        self._upto = table.cumsum(0)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(image, top, left) of ``count`` patches, in low-resolution pixels.

        ``generator`` is on the CPU.
        """
        chance = torch.rand(count, generator=generator, dtype=torch.float64) * self._upto[-1]
        cell = torch.searchsorted(self._upto, chance, right=True).clamp(max=len(self._upto) - 1)
        image = torch.searchsorted(self._ends, cell, right=True)
        first = torch.cat([self._ends.new_zeros(1), self._ends])[image]
        height, width = (self._sides[image] - self._patch + 1).unbind(1)  # positions
        columns = (width + CELL - 1) // CELL
        row, column = (cell - first) // columns * CELL, (cell - first) % columns * CELL
        down, right = torch.rand(2, count, generator=generator)
        top = row + (down * (height - row).clamp(max=CELL)).long()
        left = column + (right * (width - column).clamp(max=CELL)).long()
        return image, top, left


def _positions(side: int, patch: int) -> Tensor:
    """Number of positions in each cell along a side: CELL, in the last one the rest."""
    starts = torch.arange(0, side - patch + 1, CELL)
    return (side - patch + 1 - starts).clamp(max=CELL).double()


def _table(cells: list[Tensor]) -> Tensor:
    """``cells`` of all images as one table of sum 1, unless all are 0."""
    table = torch.cat([cell.flatten() for cell in cells])
    return table / table.sum().clamp(min=1e-12)
