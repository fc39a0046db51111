"""Reshapes, permutations, slices and repeats of tensors, recognised by what they do.

The many ways to write a pixel shuffle, a split, a repetition of channels or an assignment to some
of them come as chains of operators that only move samples. Such a chain is computed on the samples'
numbers; what comes out tells which of the few movements it is that every target has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import Concat, Conv, Crop, DepthToSpace, MaxPool, Node, Shape
from ailsr.export.reading.resampling import space_to_depth

Numbers = NDArray[np.int32]
"""For each sample of a tensor the number of the sample that it is a copy of."""

LARGEST_WINDOW = 16
"""Pixels along a side of a window whose places become channels."""


@dataclass(frozen=True)
class Rearrangement:
    """A tensor of any rank, made of samples of the tensors ``sources``."""

    sources: tuple[str, ...]
    shapes: tuple[Shape, ...]
    """Of the sources, whose samples are numbered one source after the other."""
    numbers: Numbers

    @classmethod
    def of(cls, source: str, shape: Shape) -> Rearrangement:
        """The source itself, with its batch of one."""
        numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(1, *shape)
        return cls((source,), (shape,), numbers)

    @classmethod
    def with_common_sources(cls, parts: Sequence[Rearrangement]) -> list[Rearrangement]:
        """``parts`` numbered alike, by all that they are made of."""
        shapes = {
            s: shape for part in parts for s, shape in zip(part.sources, part.shapes, strict=True)
        }
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        starts = dict(zip(shapes, np.cumsum([0, *sizes]), strict=False))
        common = []
        for part in parts:
            sizes = [int(np.prod(shape)) for shape in part.shapes]
            firsts = np.cumsum([0, *sizes[:-1]])
            moves = [starts[s] - i for s, i in zip(part.sources, firsts, strict=True)]
            numbers = part.numbers + np.repeat(moves, sizes).astype(np.int32)[part.numbers]
            common.append(cls(tuple(shapes), tuple(shapes.values()), numbers))
        return common

    def then(self, move: Callable[[Numbers], Numbers]) -> Rearrangement:
        """The same after one more operator."""
        return replace(self, numbers=move(self.numbers))

    @property
    def is_matrix(self) -> bool:
        """True if it is made of an image of one pixel, whose channels are along several axes."""
        numbers = self.numbers
        several = numbers.ndim > 1 and min(numbers.shape[-2:]) > 1
        return (
            several
            and self.shapes[0][1:] == (1, 1)
            and bool((numbers != numbers[..., :1, :1]).any())
        )

    def nodes(self, output: str) -> list[Node] | None:
        """Nodes that compute it as the tensor ``output``; none if it is the source itself, or its
        one value per channel spread over an image. None when no target has such a movement."""
        if self.numbers.ndim != 4 or len(self.numbers) != 1:
            return None
        if len(self.sources) > 1:
            return self._joined(output)
        return _moved(self.sources[0], self.shapes[0], self.numbers[0], output)

    def _joined(self, output: str) -> list[Node] | None:
        """Of several images of one size."""
        if len({shape[1:] for shape in self.shapes}) > 1:
            return None
        owner = np.repeat(range(len(self.shapes)), [np.prod(shape) for shape in self.shapes])
        nodes: list[Node] = []
        parts: list[str] = []
        if self.numbers.shape[2:] == self.shapes[0][1:]:
            runs = groupby(self.numbers[0], lambda plane: int(owner[plane[0, 0]]))
            for number, (place, planes) in enumerate(runs):
                first = np.int32(np.searchsorted(owner, place))
                part = f"{output}, part {number + 1}"
                moved = _moved(
                    self.sources[place], self.shapes[place], np.stack([*planes]) - first, part
                )
                if moved is None or number > 8:
                    return None
                parts.append(moved[-1].output if moved else self.sources[place])
                nodes += moved
            return [*nodes, Concat(tuple(parts), output)] if len(parts) > 1 else None
        whole = f"{output}, joined"
        shape = sum(shape[0] for shape in self.shapes), *self.shapes[0][1:]
        moved = _moved(whole, shape, self.numbers[0], output)
        return moved and [Concat(self.sources, whole), *moved]


def _moved(source: str, shape: Shape, numbers: Numbers, output: str) -> list[Node] | None:
    """Nodes that make ``output``, an image of the samples ``numbers`` of ``source``."""
    _, height, width = shape
    if numbers.min() < 0 or numbers.max() >= np.prod(shape):
        return None
    if shape[1:] == (1, 1) and (numbers == numbers[:, :1, :1]).all():
        return gathered_channels(source, shape, numbers[:, 0, 0], output)
    nodes = None
    block, rest = np.divmod(numbers.shape[1:], (height, width))
    if block[0] == block[1] >= 1 and not rest.any():
        nodes = _shuffled(source, shape, numbers, int(block[0]), output)
    block, rest = np.divmod((height, width), numbers.shape[1:])
    if nodes is None and block[0] == block[1] > 1 and not rest.any():
        nodes = _unshuffled(source, shape, numbers, int(block[0]), output)
    for movement in (_part, _windows):
        nodes = movement(source, shape, numbers, output) if nodes is None else nodes
    return nodes


def gathered_channels(
    source: str, shape: Shape, channels: NDArray[np.integer], output: str
) -> list[Node]:
    """Channel c of the result is channel ``channels[c]``."""
    every = np.arange(shape[0])
    if np.array_equal(channels, every):
        return []
    if len(channels) % shape[0] == 0 and (channels.reshape(-1, shape[0]) == every).all():
        return [Concat((source,) * (len(channels) // shape[0]), output)]
    weight = np.zeros((len(channels), shape[0], 1, 1), np.float32)
    weight[np.arange(len(channels)), channels] = 1
    return [Conv(source, output, weight, np.zeros(len(channels), np.float32))]


def _shuffled(
    source: str, shape: Shape, numbers: Numbers, block: int, output: str
) -> list[Node] | None:
    """Sample (i, j) of each block comes from a channel of its own."""
    area = shape[1] * shape[2]
    grid = np.arange(area, dtype=np.int32).reshape(shape[1:])
    corner = numbers[:, :block, :block] // area  # channel, i, j
    expected = corner[:, None, :, None, :] * area + grid[:, None, :, None]
    if not np.array_equal(numbers, expected.reshape(numbers.shape)):
        return None
    channels = corner.transpose(1, 2, 0).reshape(-1)
    if block == 1:
        return gathered_channels(source, shape, channels, output)
    gathered = gathered_channels(source, shape, channels, f"{output}, before the shuffle")
    wide = gathered[-1].output if gathered else source
    return [*gathered, DepthToSpace(wide, output, block)]


def _unshuffled(
    source: str, shape: Shape, numbers: Numbers, block: int, output: str
) -> list[Node] | None:
    """Each channel of the result is one sample of each block."""
    first = np.stack(np.unravel_index(numbers[:, 0, 0], shape), axis=1)
    steps = np.arange(numbers[0].size, dtype=np.int32).reshape(numbers.shape[1:])
    y, x = np.divmod(steps, numbers.shape[2])
    offset = (y * shape[2] + x) * block
    if first[:, 1:].max() >= block or not (numbers == numbers[:, :1, :1] + offset).all():
        return None
    if len(first) != shape[0] * block**2:
        return None
    return [space_to_depth(source, output, shape[0], first)]


def _step(numbers: Numbers, width: int) -> int | None:
    """Pixels from each pixel of the result to the next, along both axes, in an image of ``width``;
    None where they are not the same everywhere."""
    _, rows, columns = numbers.shape
    step = 1
    if columns > 1:
        step = int(numbers[0, 0, 1] - numbers[0, 0, 0])
    elif rows > 1:
        step = int(numbers[0, 1, 0] - numbers[0, 0, 0]) // width
    grid = np.arange(rows)[:, None] * width + np.arange(columns)
    return step if step > 0 and (numbers == numbers[:, :1, :1] + grid * step).all() else None


def _part(source: str, shape: Shape, numbers: Numbers, output: str) -> list[Node] | None:
    """A part of the image, of all its pixels or of each second, third and so on."""
    (_, height, width), (_, rows, columns) = shape, numbers.shape
    channels, top, left = np.unravel_index(numbers[:, 0, 0], shape)
    step = _step(numbers, width)
    if step is None:
        return None
    bottom, right = (
        (height - 1 - top - step * (rows - 1)),
        (width - 1 - left - step * (columns - 1)),
    )
    border = int(top[0]), int(left[0]), int(bottom[0]), int(right[0])
    if min(border) < 0 or (top != top[0]).any() or (left != left[0]).any():
        return None
    nodes = gathered_channels(source, shape, channels, f"{output}, before the crop")
    if step > 1:  # what is left at the end is less than a step
        border = *border[:2], border[2] // step * step, border[3] // step * step
    if any(border):
        name = output if step == 1 else f"{output}, cropped"
        nodes.append(Crop(nodes[-1].output if nodes else source, name, border))
    if step > 1:
        before = nodes[-1].output if nodes else source
        nodes.append(MaxPool(before, output, (1, 1), (step, step)))
    return nodes


def _windows(source: str, shape: Shape, numbers: Numbers, output: str) -> list[Node] | None:
    """Each channel of the result is one place of windows that lie a step apart, as of
    ``unfold``."""
    (inputs, height, width), (outputs, rows, columns) = shape, numbers.shape
    channels, top, left = np.unravel_index(numbers[:, 0, 0], shape)
    step, kernel = _step(numbers, width), (int(top.max()) + 1, int(left.max()) + 1)
    if step is None or max(kernel) > LARGEST_WINDOW:
        return None
    bottom, right = (
        side - extent - step * (count - 1)
        for side, extent, count in zip((height, width), kernel, (rows, columns), strict=True)
    )
    if min(bottom, right) < 0:
        return None
    each = np.array_equal(channels, np.repeat(range(inputs), outputs // inputs))
    weight = np.zeros((outputs, 1 if each else inputs, *kernel), np.float32)
    weight[np.arange(outputs), 0 if each else channels, top, left] = 1
    nodes: list[Node] = []
    if max(bottom, right) >= step:
        nodes.append(Crop(source, f"{output}, cropped", (0, 0, bottom, right)))
    image, bias = nodes[0].output if nodes else source, np.zeros(outputs, np.float32)
    groups = inputs if each else 1
    return [*nodes, Conv(image, output, weight, bias, stride=(step, step), groups=groups)]
