"""The few nodes of a network that int8 costs the most, to be left in float32.

A tensor is not rounded when those that write it and those that read it compute in float32. Such
sets of nodes, and single convolutions, are added one after the other, the one first that saves the
most for its share of the products, until the loss is small or MOST of them are in float32.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.passes import macs
from ailsr.export.graph.quantization import Quantization, groups_of
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.simulation import output_of

MOST = 0.1
"""Share of the products of a network that may be in float32."""
BORDER = 0.005
"""Of the products, what a set costs at least: it is converted at its border."""
CANDIDATES = 16
"""Sets that are tried, those with the largest errors of their own."""
LEAST_SAVED = 0.03
"""Share of the error that a set has to save."""


def share_in_float(graph: Graph, quantization: Quantization) -> float:
    """Of the products of ``graph``, those of convolutions in float32."""
    products = macs(graph)
    real = sum(count for output, count in products.items() if output in quantization.real)
    return real / sum(products.values())


def means_of(method: str | None, graph: Graph, quantization: Quantization | None) -> str | None:
    """The card's name for what kept a file close to the network: ``method``, with what is not in
    int8."""
    if quantization is None or not quantization.real:
        return method
    operators = f"{len(quantization.real)} of {len(graph.nodes)} operators in float32"
    return f"{method}: {operators}, {share_in_float(graph, quantization):.1%} of the MACs"


@torch.no_grad()
def in_float(
    graph: Graph, quantization: Quantization, responses: Responses, sufficient: float
) -> frozenset[str]:
    """The outputs of the nodes of ``graph``, of the function of ``responses``, that are best left
    in float32, beside those that ``quantization`` leaves there already; ``sufficient`` is the mean
    square error that may remain."""
    image, wanted = responses.image, responses.output
    costs, total = macs(graph), sum(macs(graph).values())

    def error(real: frozenset[str]) -> float:
        return square_error(output_of(graph, image, replace(quantization, real=real)), wanted)

    def share(real: frozenset[str]) -> float:
        return sum(costs.get(output, 0) for output in real) / total

    chosen = quantization.real
    least = error(chosen)
    if least <= sufficient:
        return chosen
    sets = _candidates(graph, quantization, responses)
    while least > sufficient:
        tried = []
        for candidate in sets:
            real = chosen | candidate
            if candidate <= chosen or share(real) > MOST:
                continue
            found = error(real)
            if found < (1 - LEAST_SAVED) * least:
                tried.append(
                    ((least - found) / (share(real) - share(chosen) + BORDER), found, real)
                )
        if not tried:
            break
        _, least, chosen = max(tried, key=lambda one: one[0])
    return chosen


def _candidates(
    graph: Graph, quantization: Quantization, responses: Responses
) -> list[frozenset[str]]:
    """The sets with the largest errors of their own, those first."""
    group, members = groups_of(graph), dict[str, list[str]]()
    for tensor in graph.shapes:
        members.setdefault(group[tensor], []).append(tensor)
    found: dict[frozenset[str], float] = {}
    source = Responses(graph, responses.image)
    for tensors in members.values():
        if graph.input in tensors or graph.output in tensors:
            continue
        touching = [n for n in graph.nodes if not {n.output, *n.inputs}.isdisjoint(tensors)]
        nodes = frozenset(node.output for node in touching)
        if not nodes <= quantization.real:
            found[nodes] = source.error(quantization, tensors)
    for node in graph.nodes:
        if isinstance(node, Conv) and node.output not in quantization.real:
            alone = frozenset([node.output])
            found[alone] = source.error(quantization, (), [node.output])
    return sorted(found, key=lambda nodes: -found[nodes])[:CANDIDATES]
