"""The few nodes of a network that int8 costs the most, to be left in float32.

A tensor is not rounded when those that write it and those that read it compute in float32. Such
sets of nodes, and single convolutions, are added one after the other, the one first that saves the
most for its share of the products, until the loss is small or MOST of them are in float32. A set
saves about what it errs by alone, and is hardly worth more once others are chosen: those that are
likely to be worth less than the best that was tried are not.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import numpy as np
import torch
from torch import Tensor

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.passes import macs
from ailsr.export.graph.quantization import Quantization, groups_of
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.simulation import constants_of, output_of, rounded_weight

MOST = 0.1
"""Share of the products of a network that may be in float32."""
BORDER = 0.005
"""Of the products, what a set costs at least: it is converted at its border."""
FEW = 4
"""Of so many images one is looked at for what each set errs by alone."""
TRUTH = (0.3, 1)
"""Of that estimate, what a set saves at least and at most."""
LEAST_SAVED = 0.01
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
    graph: Graph,
    corrected: Graph,
    quantization: Quantization,
    responses: Responses,
    sufficient: float,
) -> frozenset[str]:
    """The outputs of the nodes of ``graph``, of the function of ``responses``, that are best left
    in float32, beside those that ``quantization`` leaves there already; ``sufficient`` is the mean
    square error that may remain. ``corrected`` is ``graph`` with the weights and biases of int8."""
    image, wanted = responses.image, responses.output
    costs, total = macs(graph), sum(macs(graph).values())
    exact = {node.output: constants_of(node) for node in graph.nodes if isinstance(node, Conv)}

    def computed(real: frozenset[str], known: dict[str, Tensor]) -> dict[str, Tensor]:
        """All tensors; ``known`` are those with ``chosen`` in float32."""
        unchanged = takewhile(lambda node: node.output not in real - chosen, graph.nodes)
        tensors = {node.output: known[node.output] for node in unchanged if known}
        own = {conv: exact[conv] for conv in exact.keys() & real - quantization.real}
        output_of(corrected, image, replace(quantization, real=real), own, tensors)
        return tensors

    def share(real: frozenset[str]) -> float:
        return sum(costs.get(output, 0) for output in real) / total

    chosen = quantization.real
    known = computed(chosen, {})
    least = square_error(known[graph.output], wanted)
    if least <= sufficient:
        return chosen
    worth = {  # by estimate, until it is tried
        candidate: error / (share(chosen | candidate) - share(chosen) + BORDER)
        for candidate, error in _candidates(graph, corrected, quantization, image).items()
    }
    tried, truth = set[frozenset[str]](), 1.0  # what the last set saved, of its estimate
    while least > sufficient:
        best, saved = None, 0.0
        for candidate in sorted(worth, key=lambda one: -worth[one]):
            real = chosen | candidate
            if candidate <= chosen or share(real) > MOST:
                continue
            cost = share(real) - share(chosen) + BORDER
            hoped = worth[candidate] * (1 if candidate in tried else truth)
            if hoped <= saved or hoped * cost < LEAST_SAVED * least:
                continue
            tensors = computed(real, known)
            found = square_error(tensors[graph.output], wanted)
            if candidate not in tried:
                truth = float(np.clip((least - found) / cost / worth[candidate], *TRUTH))
            tried.add(candidate)
            worth[candidate] = (least - found) / cost
            if found < (1 - LEAST_SAVED) * least and worth[candidate] > saved:
                best, saved = (found, real, tensors), worth[candidate]
        if best is None:
            break
        least, chosen, known = best
    return chosen


def _candidates(
    graph: Graph, corrected: Graph, quantization: Quantization, image: Tensor
) -> dict[frozenset[str], float]:
    """Sets of nodes, with the mean square error that is not made when these are in float32."""
    group, members = groups_of(graph), dict[str, list[str]]()
    for tensor in graph.shapes:
        members.setdefault(group[tensor], []).append(tensor)
    touching = {  # the nodes that write or read each group of tensors
        one: frozenset(
            node.output
            for node in graph.nodes
            if not {node.output, *node.inputs}.isdisjoint(tensors)
        )
        for one, tensors in members.items()
        if one not in (group[graph.input], group[graph.output])
    }
    convs = {}
    for node in corrected.nodes:
        if isinstance(node, Conv) and node.output not in quantization.real:
            weight, bias = constants_of(node)
            convs[node.output] = rounded_weight(weight, node, quantization), bias
    sets = {nodes - quantization.real for nodes in touching.values()}
    source = Responses(graph, image[: -(-len(image) // FEW)])
    found = dict[frozenset[str], float]()
    for nodes in (sets | {frozenset([output]) for output in convs}) - {frozenset()}:
        real = quantization.real | nodes
        freed = [one for one, every in touching.items() if every <= real and every & nodes]
        tensors = [tensor for one in freed for tensor in members[one]]
        rounded = convs.keys() & nodes
        found[nodes] = source.error(quantization, tensors, rounded, corrected=convs)
    return dict(sorted(found.items(), key=lambda one: (-one[1], sorted(one[0]))))
