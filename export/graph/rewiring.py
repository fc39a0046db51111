"""Lists of nodes while they are being rewritten: renaming, counting uses, dropping dead nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from ailsr.export.graph.graph import Binary, Concat, Node, Unary


def renamed(nodes: Sequence[Node], names: Mapping[str, str]) -> list[Node]:
    """``nodes`` with their tensors called as ``names`` says, the others as before."""
    return [_renamed(node, names) for node in nodes]


def uses_of(nodes: Sequence[Node], output: str) -> Counter[str]:
    """The number of times each tensor is read; the output counts once more."""
    return Counter([output, *(tensor for node in nodes for tensor in node.inputs)])


def without_dead(nodes: Sequence[Node], output: str) -> list[Node]:
    """The nodes on which the tensor ``output`` depends."""
    needed, alive = {output}, []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            alive.append(node)
    return alive[::-1]


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    def name(tensor: str) -> str:
        return names.get(tensor, tensor)

    output = name(node.output)
    match node:
        case Binary():
            return replace(node, first=name(node.first), second=name(node.second), output=output)
        case Concat():
            return replace(node, inputs=tuple(map(name, node.inputs)), output=output)
        case Unary():
            return replace(node, input=name(node.input), output=output)
        case _:
            assert_never(node)
