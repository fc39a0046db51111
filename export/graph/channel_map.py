"""Constants that scale, shift, reorder or select channels, and folding them into convolutions.

Such constants, slices, and torch's channel order of a pixel shuffle are read as 1×1 convolutions;
``fold_back`` and ``fold_forward`` make those disappear, exactly. One that cannot be folded stays
and is computed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Array,
    Clamp,
    Clip,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    MaxPool,
    Mean,
    MinMax,
    Mul,
    Node,
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.rewiring import renamed, uses_of, without_dead

Replacements = dict[str, list[Node]]
"""By a node's output: the nodes that take its place."""


@dataclass(frozen=True)
class ChannelMap:
    """y[o] = scale[o] * x[source[o]] + offset[o], where no channel of x is taken twice."""

    source: NDArray[np.intp]
    scale: Array
    offset: Array
    channels: int
    """Of x."""

    @classmethod
    def in_place(
        cls, channels: int, scale: float | Array = 1.0, offset: float | Array = 0.0
    ) -> ChannelMap:
        """The map that scales and shifts channels without moving them."""
        scales, offsets = np.empty((2, channels), np.float32)
        scales[:], offsets[:] = scale, offset
        return cls(np.arange(channels), scales, offsets, channels)

    @classmethod
    def crd_to_dcr(cls, channels: int, block: int) -> ChannelMap:
        """From torch's order before a pixel shuffle, (c, i, j), to the graph's, (i, j, c)."""
        order = np.arange(channels).reshape(-1, block**2).T.reshape(-1)
        return replace(cls.in_place(channels), source=order)

    @classmethod
    def of(cls, node: Node) -> ChannelMap | None:
        """The map that ``node`` computes, None if it does anything else."""
        if not isinstance(node, Conv) or node.weight.shape[2:] != (1, 1) or node.groups > 1:
            return None
        if any(node.pads) or node.stride != (1, 1) or node.clamp != UNBOUNDED:
            return None
        weight = node.weight[:, :, 0, 0]
        used = weight != 0
        if (used.sum(axis=0) > 1).any() or (used.sum(axis=1) != 1).any():
            return None
        source = used.argmax(axis=1)
        return cls(source, weight[np.arange(len(weight)), source], node.bias, weight.shape[1])

    def conv(self, input: str, output: str) -> Conv:
        """The map as a node."""
        channels = len(self.source)
        weight = np.zeros((channels, self.channels, 1, 1), np.float32)
        weight[np.arange(channels), self.source, 0, 0] = self.scale
        return Conv(input, output, weight, self.offset)

    @property
    def moves(self) -> bool:
        """True if a channel changes its place, or is left out."""
        return not np.array_equal(self.source, np.arange(self.channels))

    @property
    def scales(self) -> bool:
        """True if a channel is scaled by more than the rounding of a product of constants."""
        return not np.allclose(self.scale, 1, rtol=1e-6, atol=0)

    @property
    def shifts(self) -> bool:
        """True if zero becomes another value."""
        return bool(self.offset.any())

    def clamp(self, clamp: Clamp) -> Clamp | None:
        """``clamp`` as it has to be behind the map, None where one for all channels cannot be."""
        if clamp == UNBOUNDED:
            return clamp
        scale = float(self.scale[0])
        if scale <= 0 or (self.scale != self.scale[0]).any() or self.shifts:
            return None
        return clamp[0] * scale, clamp[1] * scale


def fold_back(nodes: list[Node], output: str) -> tuple[list[Node], str]:
    """Fold each map into the nodes that make its input; also the name of the output after that."""
    pending = [node.output for node in nodes if ChannelMap.of(node)]
    for map_output in pending:
        producers = {node.output: node for node in nodes}
        node = producers.get(map_output)
        channel_map = ChannelMap.of(node) if node else None
        if node is None or channel_map is None:  # another map was folded into this one
            continue
        source = node.inputs[0]
        folded: Replacements | None = {}
        if channel_map.moves or channel_map.scales or channel_map.shifts:
            folded = _pushed(source, channel_map, producers, uses_of(nodes, output))
        if folded is None:
            continue
        kept = (n for n in nodes if n is not node)
        nodes = [new for old in kept for new in folded.get(old.output, [old])]
        nodes = renamed(nodes, {map_output: source})
        output = source if output == map_output else output
        pending += folded  # two maps may have become none
    return without_dead(nodes, output), output


def fold_forward(nodes: list[Node], output: str) -> list[Node]:
    """Fold maps and zero borders into the convolutions that read them, if nothing else does."""
    for place, node in enumerate(nodes):
        if not isinstance(node, Conv) or node.output == output:
            continue
        channel_map = ChannelMap.of(replace(node, pads=(0, 0, 0, 0)))
        if (
            channel_map is None
            or channel_map.shifts
            or len(channel_map.source) < len(node.weight[0])
        ):
            continue
        readers = [reader for reader in nodes if node.output in reader.inputs]
        if not all(isinstance(reader, Conv) and reader.groups == 1 for reader in readers):
            continue
        for index, reader in enumerate(nodes[place:], place):
            if isinstance(reader, Conv) and reader.input == node.output:
                nodes[index] = _reading_unmapped(reader, node, channel_map)
    return without_dead(nodes, output)


def _reading_unmapped(reader: Conv, node: Conv, channel_map: ChannelMap) -> Conv:
    """``reader`` reading what ``node``, which computes ``channel_map`` and pads, reads."""
    weight = np.empty_like(reader.weight)
    weight[:, channel_map.source] = reader.weight * channel_map.scale.reshape(-1, 1, 1)
    top, left, bottom, right = (a + b for a, b in zip(reader.pads, node.pads, strict=True))
    return replace(reader, input=node.input, weight=weight, pads=(top, left, bottom, right))


def _pushed(
    tensor: str, channel_map: ChannelMap, producers: dict[str, Node], uses: Counter[str]
) -> Replacements | None:
    """Nodes that compute ``tensor`` already mapped; None when that would save no node."""
    node = producers.get(tensor)
    if node is None or uses[tensor] != 1:
        return None
    match node:
        case Conv() if node.groups == 1 or not channel_map.moves:
            return _pushed_into_conv(node, channel_map)
        case Add():
            return _pushed_into_add(node, channel_map, producers, uses)
        case Mul() if not channel_map.moves and not channel_map.shifts:
            clamp = channel_map.clamp(node.clamp)
            before = _pushed(node.first, channel_map, producers, uses)
            if clamp is None or before is None:
                return None
            return {**before, tensor: [replace(node, clamp=clamp)]}
        case Mean() | Resize() | Pad() | Crop():
            return _pushed(node.input, channel_map, producers, uses)
        case Pointwise() if not channel_map.scales and not channel_map.shifts:
            return _pushed(node.input, channel_map, producers, uses)
        case Clip():
            clamp = channel_map.clamp(node.clamp)
            before = _pushed(node.input, channel_map, producers, uses)
            if clamp is None or before is None:
                return None
            return {**before, tensor: [replace(node, clamp=clamp)]}
        case PRelu() if not channel_map.shifts and (channel_map.scale > 0).all():
            before = _pushed(node.input, channel_map, producers, uses)
            if before is None:
                return None
            return {**before, tensor: [replace(node, slope=node.slope[channel_map.source])]}
        case DepthToSpace(block=block) if not channel_map.moves:
            scale, offset = (np.tile(v, block**2) for v in (channel_map.scale, channel_map.offset))
            wide = ChannelMap.in_place(len(scale), scale, offset)
            return _pushed(node.input, wide, producers, uses)
        case Concat() | MinMax() | MaxPool() | Normalize():
            return None
        case Conv() | Mul() | Pointwise() | PRelu() | DepthToSpace():  # not such a map
            return None
        case _:
            assert_never(node)


def _pushed_into_conv(node: Conv, channel_map: ChannelMap) -> Replacements | None:
    clamp = channel_map.clamp(node.clamp)
    if clamp is None:
        return None
    source, scale = channel_map.source, channel_map.scale
    weight = node.weight[source] * scale.reshape(-1, 1, 1, 1)
    bias = node.bias[source] * scale + channel_map.offset
    return {node.output: [replace(node, weight=weight, bias=bias, clamp=clamp)]}


def _pushed_into_add(
    node: Add, channel_map: ChannelMap, producers: dict[str, Node], uses: Counter[str]
) -> Replacements | None:
    """Both summands take the map, the first one its offset; one of the two may need a new node."""
    clamp = channel_map.clamp(node.clamp)
    if clamp is None:
        return None
    linear = replace(channel_map, offset=np.zeros_like(channel_map.offset))
    result: Replacements = {}
    names: list[str] = []
    before: list[Node] = []
    for tensor, summand_map in ((node.first, channel_map), (node.second, linear)):
        folded = _pushed(tensor, summand_map, producers, uses)
        if folded is None:
            names.append(f"{tensor}, mapped for {node.output}")
            before.append(summand_map.conv(tensor, names[-1]))
        else:
            names.append(tensor)
            result.update(folded)
    if len(before) == 2:
        return None
    first, second = names
    summed = replace(node, first=first, second=second, clamp=clamp)
    return {**result, node.output: [*before, summed]}
