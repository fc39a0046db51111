"""Cross-layer equalisation: channels of one tensor brought to use its int8 levels alike.

One scale for a tensor gives a channel that reaches a tenth as far only a tenth of the levels. ReLU
commutes with positive factors, so a channel may be made larger by the convolutions that write it
and smaller again by those that read it (Nagel et al., arXiv 1906.04721). Weights have a scale for
each output channel, so rescaling costs those that write a channel nothing; those that read it lose
levels where they become the largest of their output channel. The factor is the one that shares the
burden between activations and the weights that read them (SmoothQuant's, arXiv 2211.10438, at
α = 0.5).

Where several tensors have their channels in common, each has its own that reach furthest: what
evens one may spread another. So the factors can be chosen, for each such set, by what it costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Array,
    Clamp,
    Clamped,
    Clip,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    Graph,
    MaxPool,
    Mean,
    MinMax,
    Mul,
    Node,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.quantization import quantization_of
from ailsr.export.int8.calibration import ChannelRanges, ranges
from ailsr.export.int8.responses import Responses

LARGEST_FACTOR = 64.0
"""By which one channel may grow against another: silent channels are not blown up without end."""

Places = NDArray[np.intp]
"""(channels,): which of a set of factors each channel of a tensor is multiplied by."""


def equalized(
    graph: Graph,
    channels: ChannelRanges,
    responses: Responses | None = None,
    *,
    evenly: bool = False,
) -> tuple[Graph, ChannelRanges]:
    """``graph`` with its channels rescaled, and ``channels``, their ranges, likewise.

    It computes the same but for float rounding. With ``responses`` of ``graph``, each set of
    channels has the factors, or none, by which its rounding costs the output least. ``evenly``: all
    channels reach as far, whatever weights read them.
    """
    unscaled = dict(channels)
    nodes, channels = list(graph.nodes), dict(channels)
    for tensors, free in scalable(graph):
        known = {name: channels[name] for name in tensors if name in channels}
        ways = [_factors(nodes, tensors, free, known, evenly)]
        if responses is not None:
            ways += [_factors(nodes, tensors, free, _of_equal_reach(known)), np.ones_like(ways[0])]
        every = [{name: way[places] for name, places in tensors.items()} for way in ways]
        factors = every[0]
        if responses is not None:
            factors = min(every, key=partial(_cost, graph, unscaled, responses))
        nodes = [_rescaled(node, factors) for node in nodes]
        for name, (low, high) in known.items():
            channels[name] = low * factors[name], high * factors[name]
    return replace(graph, nodes=tuple(nodes)), channels


def _of_equal_reach(channels: ChannelRanges) -> ChannelRanges:
    """``channels`` in units of the furthest of each tensor."""
    reaches = {name: max(-low.min(), high.max()) or 1 for name, (low, high) in channels.items()}
    return {
        name: (low / reaches[name], high / reaches[name]) for name, (low, high) in channels.items()
    }


def _cost(
    graph: Graph, channels: ChannelRanges, responses: Responses, factors: Mapping[str, Array]
) -> float:
    """Mean square error of the output when the tensors of ``factors`` are multiplied by these and
    rounded."""
    scaled = {
        name: (channels[name][0] * factor, channels[name][1] * factor)
        for name, factor in factors.items()
        if name in channels
    }
    quantization = quantization_of(graph, ranges(channels | scaled))
    return responses.error(quantization, factors.keys(), factors=factors)


def scalable(graph: Graph) -> Iterator[tuple[dict[str, Places], NDArray[np.bool_]]]:
    """Sets of tensors whose channels can be multiplied by factors, together.

    Of each set the place of every channel's factor, by tensor, and which factors may be any
    positive number, (factors,): the others are 1. Between the tensors of a set are only nodes that
    commute with that; they are written and read, beyond those, by convolutions alone.
    """
    first = {}  # number of a tensor's first channel
    total = 0
    for tensor, shape in graph.shapes.items():
        first[tensor], total = total, total + shape[0]
    own = {t: np.arange(shape[0]) + first[t] for t, shape in graph.shapes.items()}
    group = np.arange(total)  # of each channel: the least channel that it is tied to
    fixed = np.zeros(total, bool)
    gates = {node.output for node in graph.nodes if isinstance(node, Pointwise)}

    def tie(one: Places, other: Places) -> None:
        for a, b in zip(group[one].tolist(), group[other].tolist(), strict=True):
            a, b = group[a], group[b]
            if a != b:
                group[group == max(a, b)] = min(a, b)

    for tensor in (graph.input, graph.output):
        fixed[own[tensor]] = True
    for node in graph.nodes:
        result = own[node.output]
        match node:
            case Conv() if _commutes(node.clamp):
                pass
            case Conv():
                fixed[result] = True
            case (
                Add() | Clip() | PRelu() | Pad() | Crop() | Mean() | MaxPool() | MinMax() | Resize()
            ) if _commutes(_clamp(node)):
                for tensor in node.inputs:
                    tie(own[tensor], result)
            case Mul() if _commutes(node.clamp) and len(own[node.first]) == len(result):
                scaled, gate = node.inputs if node.first not in gates else node.inputs[::-1]
                fixed[own[gate]] = True
                if graph.shapes[scaled] == graph.shapes[node.output]:
                    tie(own[scaled], result)
                else:
                    fixed[own[scaled]] = fixed[result] = True
            case Concat():
                tie(np.concatenate([own[tensor] for tensor in node.inputs]), result)
            case DepthToSpace():
                tie(own[node.input], np.tile(result, node.block**2))
            case _:
                for tensor in (*node.inputs, node.output):
                    fixed[own[tensor]] = True
    blocked = np.zeros(total, bool)
    np.logical_or.at(blocked, group, fixed)
    for tensors in _connected(graph, {t: group[channels] for t, channels in own.items()}):
        labels, places = np.unique(np.concatenate(list(tensors.values())), return_inverse=True)
        if not blocked[labels].all():
            ends = np.cumsum([len(channels) for channels in tensors.values()])[:-1]
            yield dict(zip(tensors, np.split(places, ends), strict=True)), ~blocked[labels]


def _connected(graph: Graph, groups: Mapping[str, Places]) -> list[dict[str, Places]]:
    """The tensors that have a group of channels in common, in sets."""
    sets: list[dict[str, Places]] = []
    for tensor in graph.shapes:
        touching = [s for s in sets if any(np.isin(groups[tensor], g).any() for g in s.values())]
        joined = {name: places for s in touching for name, places in s.items()}
        sets = [s for s in sets if not any(s is t for t in touching)]
        sets.append(joined | {tensor: groups[tensor]})
    order = list(graph.shapes)
    return sorted(sets, key=lambda tensors: order.index(min(tensors)))


def _commutes(clamp: Clamp) -> bool:
    return all(bound in (0, np.inf, -np.inf) for bound in clamp)


def _clamp(node: Node) -> Clamp:
    return node.clamp if isinstance(node, Clamped | Clip) else UNBOUNDED


def _factors(
    nodes: Sequence[Node],
    tensors: Mapping[str, Places],
    free: NDArray[np.bool_],
    channels: Mapping[str, tuple[Array, Array]],
    evenly: bool = False,
) -> Array:
    """√(r_w / r_x) for each factor: r_x the reach of its channels, r_w that of the weights that
    read them, relative to the largest weight of their output channel. Channels that only
    depthwise convolutions read all reach as far, ``evenly`` those of every tensor. The largest
    reach remains what it is."""
    reach, read = np.zeros((2, len(free)), np.float32)
    alone = np.zeros(len(free), bool)
    for name, (low, high) in channels.items():
        np.maximum.at(reach, tensors[name], np.maximum(-low, high))
    for node in nodes:
        if not isinstance(node, Conv) or node.input not in tensors:
            continue
        if node.weight.shape[1] > 1:
            np.maximum.at(read, tensors[node.input], _relative_reach(node))
        else:  # a depthwise one has a scale for each channel that it reads: it loses nothing
            alone[tensors[node.input]] = True
    known, alone = (reach > 0) & (read > 0), (reach > 0) & (read == 0) & alone
    if evenly:
        known, alone = np.zeros_like(known), known | alone
    factor = np.ones(len(reach))
    if known.any():
        factor[known] = np.sqrt(read[known] / reach[known])
        factor[known] *= reach.max() / (reach * factor)[known].max()
    factor[alone] = reach.max() / reach[alone]
    factor = np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return np.where(free, factor, 1).astype(np.float32)


def _relative_reach(node: Conv) -> NDArray[np.float32]:
    """(channels of the input,)"""
    weight = np.abs(node.weight)
    largest = weight.max(axis=(1, 2, 3), keepdims=True)
    relative = (weight / np.where(largest > 0, largest, 1)).max(axis=(2, 3))
    found: NDArray[np.float32] = relative.reshape(node.groups, -1, relative.shape[1]).max(axis=1)
    return found.reshape(-1)


def _rescaled(node: Node, factors: Mapping[str, Array]) -> Node:
    if isinstance(node, Conv) and node.output in factors:
        factor = factors[node.output]
        weight = node.weight * factor.reshape(-1, 1, 1, 1)
        node = replace(node, weight=weight, bias=node.bias * factor)
    if isinstance(node, Conv) and node.input in factors:
        outputs, inputs = node.weight.shape[:2]
        factor = factors[node.input].reshape(node.groups, inputs)
        of_row = np.repeat(factor, outputs // node.groups, axis=0)[:, :, None, None]
        node = replace(node, weight=node.weight / of_row)
    return node
