"""Cross-layer equalisation: channels of one tensor brought to use its int8 levels alike.

One scale for a tensor gives a channel that reaches a tenth as far only a tenth of the levels. ReLU
commutes with positive factors, so a channel may be made larger by the convolutions that write it
and smaller again by those that read it (Nagel et al., arXiv 1906.04721). Weights have a scale for
each output channel, so rescaling costs those that write a channel nothing; those that read it lose
levels where they become the largest of their output channel. The factor is the one that shares the
burden between activations and the weights that read them (SmoothQuant's, arXiv 2211.10438, at
α = 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Array,
    Clamp,
    Clamped,
    Clip,
    Conv,
    Graph,
    Node,
    Pad,
    PRelu,
)
from ailsr.export.int8.calibration import ChannelRanges

LARGEST_FACTOR = 64.0
"""By which one channel may grow against another: silent channels are not blown up without end."""


def equalized(graph: Graph, channels: ChannelRanges) -> tuple[Graph, ChannelRanges]:
    """``graph`` with its channels rescaled, and ``channels``, their ranges, likewise.

    It computes the same but for float rounding.
    """
    nodes, channels = list(graph.nodes), dict(channels)
    for tensors in scalable(graph):
        known = [name for name in tensors if name in channels]
        factor = _factors(nodes, tensors, [channels[name] for name in known])
        nodes = [_rescaled(node, tensors, factor) for node in nodes]
        for name in known:
            low, high = channels[name]
            channels[name] = low * factor, high * factor
    return replace(graph, nodes=tuple(nodes)), channels


def scalable(graph: Graph) -> Iterator[set[str]]:
    """Sets of tensors whose channels can be multiplied by any positive factors, together.

    Between them are only nodes that commute with that; they are written and read, beyond those, by
    convolutions alone, none of them grouped.
    """
    group = {tensor: {tensor} for tensor in graph.shapes}
    fixed = {graph.input, graph.output}
    for node in graph.nodes:
        if isinstance(node, Conv) and node.groups == 1:
            fixed.update(() if _commutes(node.clamp) else {node.output})
        elif isinstance(node, Add | Clip | PRelu | Pad) and _commutes(_clamp(node)):
            tied = group[node.output].union(*(group[tensor] for tensor in node.inputs))
            group.update(dict.fromkeys(tied, tied))
        else:
            fixed.update((*node.inputs, node.output))
    yield from (
        tensors
        for name, tensors in group.items()
        if tensors.isdisjoint(fixed) and name == min(tensors)
    )


def _commutes(clamp: Clamp) -> bool:
    return all(bound in (0, np.inf, -np.inf) for bound in clamp)


def _clamp(node: Node) -> Clamp:
    return node.clamp if isinstance(node, Clamped | Clip) else UNBOUNDED


def _factors(
    nodes: list[Node], tensors: set[str], channels: Sequence[tuple[Array, Array]]
) -> Array:
    """√(r_w / r_x) for each channel: r_x its reach, r_w that of the weights that read it, relative
    to the largest weight of their output channel. The largest reach remains what it is."""
    reach = np.maximum.reduce([np.maximum(-low, high) for low, high in channels])
    readers = [n.weight for n in nodes if isinstance(n, Conv) and n.input in tensors]
    read = np.maximum.reduce([_relative_reach(weight) for weight in readers])
    known = (reach > 0) & (read > 0)
    if not known.any():
        return np.ones(len(reach), np.float32)
    factor = np.ones(len(reach))
    factor[known] = np.sqrt(read[known] / reach[known])
    factor[known] *= reach.max() / (reach * factor)[known].max()
    return np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR).astype(np.float32)


def _relative_reach(weight: Array) -> NDArray[np.float32]:
    largest = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    relative: NDArray[np.float32] = (np.abs(weight) / np.where(largest > 0, largest, 1)).max(
        axis=(0, 2, 3)
    )
    return relative


def _rescaled(node: Node, tensors: set[str], factor: Array) -> Node:
    if isinstance(node, Conv) and node.output in tensors:
        weight = node.weight * factor.reshape(-1, 1, 1, 1)
        node = replace(node, weight=weight, bias=node.bias * factor)
    if isinstance(node, Conv) and node.input in tensors:
        node = replace(node, weight=node.weight / factor.reshape(-1, 1, 1))
    return node
