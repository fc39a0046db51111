"""Exact rewrites of a graph for accelerators that lack an operator; chosen by the user.

They cost arithmetic on a CPU, so nothing of this is done unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from ailsr.export.graph.graph import UNBOUNDED, Conv, Graph, Node, Pad, PRelu
from ailsr.export.graph.rewiring import uses_of


class RewriteName(StrEnum):
    """Names of the rewrites for users, in the order in which they are applied."""

    PRELU = "prelu"
    GROUPS = "groups"
    PADDING = "padding"


def rewritten(graph: Graph, names: Sequence[RewriteName]) -> Graph:
    """``graph`` after the rewrites called ``names``: the same function, within rounding."""
    for name in RewriteName:
        if name in names:
            graph = replace(graph, nodes=tuple(_REWRITES[name](graph)))
    return graph


def halves_of(node: PRelu) -> str:
    """The tensor of both signs of what ``node`` reads, in ``prelu_as_two_relu``."""
    return f"{node.output}_halves"


def prelu_as_two_relu(graph: Graph) -> list[Node]:
    """PReLU as relu(x) − slope · relu(−x).

    One convolution makes both, x beside −x and clamped, and a 1×1 convolution adds them up. Where
    x is made by a convolution that nothing else reads, that one makes both.
    """
    uses = uses_of(graph.nodes, graph.output)
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if not isinstance(node, PRelu):
            nodes[node.output] = node
            continue
        halves = halves_of(node)
        producer = nodes.get(node.input)
        if not _can_negate(producer) or uses[node.input] != 1:
            identity = np.eye(len(node.slope), dtype=np.float32)[:, :, None, None]
            producer = Conv(node.input, halves, identity, np.zeros(len(identity), np.float32))
        else:
            del nodes[node.input]
        assert isinstance(producer, Conv)
        nodes[halves] = replace(
            producer,
            output=halves,
            weight=np.concatenate([producer.weight, -producer.weight]),
            bias=np.concatenate([producer.bias, -producer.bias]),
            clamp=(0.0, np.inf),
        )
        both = np.concatenate([np.eye(len(node.slope)), -np.diag(node.slope)], axis=1)
        nodes[node.output] = Conv(
            halves,
            node.output,
            both[:, :, None, None].astype(np.float32),
            np.zeros(len(node.slope), np.float32),
        )
    return list(nodes.values())


def groups_as_one(graph: Graph) -> list[Node]:
    """Grouped and depthwise convolutions as whole ones, with zeros between the groups."""
    return [_ungrouped(node) if isinstance(node, Conv) else node for node in graph.nodes]


def padding_as_slices(graph: Graph) -> list[Node]:
    """Reflection and replication of the border as slices of the image, joined to it.

    The node stays one, so that int8 takes the same parameters; the writers take it apart.
    """
    return [
        replace(node, sliced=True) if isinstance(node, Pad) and any(node.pads) else node
        for node in graph.nodes
    ]


def _can_negate(node: Node | None) -> bool:
    return isinstance(node, Conv) and node.groups == 1 and node.clamp == UNBOUNDED


def _ungrouped(node: Conv) -> Conv:
    outputs, inputs, *kernel = node.weight.shape
    weight = np.zeros((outputs, inputs * node.groups, *kernel), np.float32)
    per_group = outputs // node.groups
    for group in range(node.groups):
        rows = slice(group * per_group, (group + 1) * per_group)
        weight[rows, group * inputs : (group + 1) * inputs] = node.weight[rows]
    return replace(node, weight=weight, groups=1)


_REWRITES: dict[RewriteName, Callable[[Graph], list[Node]]] = {
    RewriteName.PRELU: prelu_as_two_relu,
    RewriteName.GROUPS: groups_as_one,
    RewriteName.PADDING: padding_as_slices,
}
