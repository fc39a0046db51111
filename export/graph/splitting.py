"""Convolutions whose result is split among several readers, as one convolution for each part.

A split is translated into 1×1 convolutions that select channels. Behind a convolution it then costs
nothing: the convolution computes the parts apart, and no target has to move data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.channel_map import ChannelMap
from ailsr.export.graph.graph import Clip, Conv, Node, Pointwise, PRelu
from ailsr.export.graph.rewiring import renamed, uses_of

ChannelWise = Conv | PRelu | Clip | Pointwise
"""Nodes that can compute a part of their channels alone."""


def in_parts(nodes: list[Node], output: str) -> list[Node]:
    """Equal nodes in which no convolution's result is read in parts that do not overlap."""
    for tensor in [node.output for node in nodes]:
        readers = [node for node in nodes if tensor in node.inputs]
        parts = _parts(readers)
        chain = _chain(nodes, tensor, output)
        if len(readers) < 2 or tensor == output or parts is None or chain is None:
            continue
        computed = [
            new
            for reader, part in zip(readers, parts, strict=True)
            for new in _part_of(chain, part, reader.output)
        ]
        gone = {node.output for node in (*chain, *readers)} - {tensor}
        nodes = [node for node in nodes if node.output not in gone]
        place = [node.output for node in nodes].index(tensor)
        nodes[place : place + 1] = computed
    return nodes


def _parts(readers: Sequence[Node]) -> list[NDArray[np.intp]] | None:
    """The channels that each reader selects; None when one does anything else, or they overlap."""
    maps = [ChannelMap.of(reader) for reader in readers]
    parts = [m.source for m in maps if m is not None and m.moves and not m.scales and not m.shifts]
    taken = [channel for part in parts for channel in part]
    return parts if len(parts) == len(maps) and len(taken) == len(set(taken)) else None


def _chain(nodes: Sequence[Node], tensor: str, output: str) -> list[ChannelWise] | None:
    """The convolution behind ``tensor`` and what follows it channel by channel, if only that."""
    producers, uses = {node.output: node for node in nodes}, uses_of(nodes, output)
    chain: list[ChannelWise] = []
    while isinstance(node := producers.get(tensor), ChannelWise):
        if chain and uses[tensor] > 1:
            return None
        chain.insert(0, node)
        if isinstance(node, Conv):
            return chain if node.groups == 1 else None
        tensor = node.input
    return None


def _part_of(chain: Sequence[ChannelWise], part: NDArray[np.intp], output: str) -> list[Node]:
    """``chain`` for the channels ``part`` alone, ending in the tensor ``output``."""
    source, result = chain[0].inputs[0], list[Node]()
    for node in chain:
        names = {node.inputs[0]: source, node.output: f"{node.output}, part for {output}"}
        if node is chain[-1]:
            names[node.output] = output
        match node:
            case Conv():
                node = replace(node, weight=node.weight[part], bias=node.bias[part])
            case PRelu():
                node = replace(node, slope=node.slope[part])
            case Clip() | Pointwise():
                pass
            case _:
                assert_never(node)
        result += renamed([node], names)
        source = names[node.output]
    return result
