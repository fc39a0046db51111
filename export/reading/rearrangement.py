"""Reshapes, permutations, slices and repeats of a tensor, recognised by what they do.

The many ways to write a pixel shuffle, a split or a repetition of channels come as chains of
operators that only move samples. Such a chain is computed on the samples' numbers; what comes out
tells which of the few movements it is that every target has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import Concat, Conv, DepthToSpace, Node, Shape
from ailsr.export.reading.resampling import space_to_depth

Numbers = NDArray[np.int32]
"""For each sample of a tensor the number of the sample that it is a copy of."""


@dataclass(frozen=True)
class Rearrangement:
    """A tensor of any rank, made of samples of the tensor ``source``."""

    source: str
    shape: Shape
    """Of the source."""
    numbers: Numbers

    @classmethod
    def of(cls, source: str, shape: Shape) -> Rearrangement:
        """The source itself, with its batch of one."""
        return cls(source, shape, np.arange(np.prod(shape), dtype=np.int32).reshape(1, *shape))

    def then(self, move: Callable[[Numbers], Numbers]) -> Rearrangement:
        """The same after one more operator."""
        return Rearrangement(self.source, self.shape, move(self.numbers))

    def nodes(self, output: str) -> list[Node] | None:
        """Nodes that compute it as the tensor ``output``; none if it is the source itself, or its
        one value per channel spread over a picture. None when no target has such a movement."""
        if self.numbers.ndim != 4 or len(self.numbers) != 1:
            return None
        numbers, (_, height, width) = self.numbers[0], self.shape
        if self.shape[1:] == (1, 1) and (numbers == numbers[:, :1, :1]).all():
            return self._gathered(numbers[:, 0, 0], output)
        block, rest = np.divmod(numbers.shape[1:], (height, width))
        if block[0] == block[1] >= 1 and not rest.any():
            return self._shuffled(numbers, int(block[0]), output)
        block, rest = np.divmod((height, width), numbers.shape[1:])
        if block[0] == block[1] > 1 and not rest.any():
            return self._unshuffled(numbers, int(block[0]), output)
        return None

    def _gathered(self, source: NDArray[np.integer], output: str) -> list[Node]:
        """Channel c of the result is channel ``source[c]``."""
        channels = self.shape[0]
        every = np.arange(channels)
        if np.array_equal(source, every):
            return []
        if len(source) % channels == 0 and (source.reshape(-1, channels) == every).all():
            return [Concat((self.source,) * (len(source) // channels), output)]
        weight = np.zeros((len(source), channels, 1, 1), np.float32)
        weight[np.arange(len(source)), source] = 1
        return [Conv(self.source, output, weight, np.zeros(len(source), np.float32))]

    def _shuffled(self, numbers: Numbers, block: int, output: str) -> list[Node] | None:
        """Sample (i, j) of each block comes from a channel of its own."""
        area = self.shape[1] * self.shape[2]
        grid = np.arange(area, dtype=np.int32).reshape(self.shape[1:])
        corner = numbers[:, :block, :block] // area  # channel, i, j
        expected = corner[:, None, :, None, :] * area + grid[:, None, :, None]
        if not np.array_equal(numbers, expected.reshape(numbers.shape)):
            return None
        source = corner.transpose(1, 2, 0).reshape(-1)
        if block == 1:
            return self._gathered(source, output)
        gathered = self._gathered(source, f"{output}, before the shuffle")
        wide = gathered[-1].output if gathered else self.source
        return [*gathered, DepthToSpace(wide, output, block)]

    def _unshuffled(self, numbers: Numbers, block: int, output: str) -> list[Node] | None:
        """Each channel of the result is one sample of each block."""
        first = np.stack(np.unravel_index(numbers[:, 0, 0], self.shape), axis=1)
        steps = np.arange(numbers[0].size, dtype=np.int32).reshape(numbers.shape[1:])
        y, x = np.divmod(steps, numbers.shape[2])
        offset = (y * self.shape[2] + x) * block
        if first[:, 1:].max() >= block or not (numbers == numbers[:, :1, :1] + offset).all():
            return None
        if len(first) != self.shape[0] * block**2:
            return None
        return [space_to_depth(self.source, output, self.shape[0], first)]
