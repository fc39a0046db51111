"""Where patches are drawn: in pictures by their area, and within them by importance.

The positions of a patch in a picture are shared out among cells of CELL×CELL; a table over all
cells of all pictures says how likely each is. A million pixels take 16 thousand entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 8
"""Side of a cell in low-resolution pixels."""
UNIFORM = 0.2
"""Share of the patches that are drawn without regard to importance, so that all are seen."""


class Places:
    """Positions of patches in pictures of given sizes, drawn at random."""

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        patch: int,
        scale: int,
        importance: Iterable[Tensor] | None = None,
    ) -> None:
        """``sizes`` (h, w) and ``patch`` are in low-resolution pixels, no side below ``patch``.

        ``importance`` is one map (1, 1, scale·h, scale·w) ≥ 0 per picture. A patch is then drawn in
        proportion to its mean, taken of the first patch of a cell for all of them, but for a share
        of UNIFORM, which is drawn as if there were none: by the area of the pictures, everywhere
        alike.
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
            table = UNIFORM * table + (1 - UNIFORM) * important
        self._upto = table.cumsum(0)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(picture, top, left) of ``count`` patches; ``generator`` lives on the CPU."""
        chance = torch.rand(count, generator=generator, dtype=torch.float64) * self._upto[-1]
        cell = torch.searchsorted(self._upto, chance, right=True).clamp(max=len(self._upto) - 1)
        picture = torch.searchsorted(self._ends, cell, right=True)
        first = torch.cat([self._ends.new_zeros(1), self._ends])[picture]
        height, width = (self._sides[picture] - self._patch + 1).unbind(1)  # positions
        columns = (width + CELL - 1) // CELL
        row, column = (cell - first) // columns * CELL, (cell - first) % columns * CELL
        down, right = torch.rand(2, count, generator=generator)
        top = row + (down * (height - row).clamp(max=CELL)).long()
        left = column + (right * (width - column).clamp(max=CELL)).long()
        return picture, top, left


def _positions(side: int, patch: int) -> Tensor:
    """How many positions each cell along a side holds: CELL, the last one what remains."""
    starts = torch.arange(0, side - patch + 1, CELL)
    return (side - patch + 1 - starts).clamp(max=CELL).double()


def _table(cells: list[Tensor]) -> Tensor:
    """``cells`` of all pictures one after the other, of sum 1 unless all are 0."""
    table = torch.cat([cell.flatten() for cell in cells])
    return table / table.sum().clamp(min=1e-12)
