"""Rewrites of a graph that leave its function as it is and make it cheaper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from ailsr.export.graph.channel_map import ChannelMap, fold_back, fold_forward
from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
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
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.quantization import SAME_SCALE
from ailsr.export.graph.rewiring import renamed, uses_of, without_dead
from ailsr.export.graph.rewrites import prelu_as_two_relu
from ailsr.export.graph.splitting import in_parts
from ailsr.runtime.engines.encoding import Encoding, Range

PASSED = (DepthToSpace, Pad, Crop)
"""Nodes behind which a clamp does what it does before them."""
DENSE_CHANNELS = 4
"""Channels up to which a dense 1×1 convolution is as fast as a depthwise one."""


def optimized(nodes: Sequence[Node], output: str) -> tuple[list[Node], str]:
    """Equal nodes with everything folded that can be, and the name of their output."""
    remaining, output = fold_back(in_parts(without_dead(nodes, output), output), output)
    remaining = fold_forward(fuse_clips(remaining, output), output)
    return [_depthwise(node) for node in remaining], output


def fuse_clips(nodes: list[Node], output: str) -> list[Node]:
    """Move each Clip into the node before it, past what only moves samples if need be."""
    for name in [node.output for node in nodes if isinstance(node, Clip)]:
        producers, uses = {node.output: node for node in nodes}, uses_of(nodes, output)
        bound = producers[name]
        assert isinstance(bound, Clip)
        tensor = bound.input
        while uses[tensor] == 1 and isinstance(passed := producers.get(tensor), PASSED):
            tensor = passed.input
        target = producers.get(tensor)
        if uses[tensor] != 1 or not isinstance(target, Clamped | Clip):
            continue
        fused = replace(target, clamp=_both(target.clamp, bound.clamp))
        nodes = [fused if node is target else node for node in nodes if node is not bound]
        nodes = renamed(nodes, {bound.input: bound.output})
    return nodes


def _both(first: Clamp, second: Clamp) -> Clamp:
    """One clamp that does what ``first`` and then ``second`` do."""
    low, high = np.clip(first, *second)
    return float(low), float(high)


def _depthwise(node: Node) -> Node:
    """``node`` with as few products as it needs: a map of channels in their place is depthwise."""
    if not isinstance(node, Conv) or len(node.weight) <= DENSE_CHANNELS:
        return node
    channel_map = ChannelMap.of(replace(node, clamp=UNBOUNDED))
    if channel_map is None or channel_map.moves:
        return node
    weight = channel_map.scale.reshape(-1, 1, 1, 1)
    return replace(node, weight=weight, groups=len(weight))


def in_unit_range(
    encoding: Encoding, nodes: Sequence[Node], input: str, output: str
) -> tuple[list[Node], str, str]:
    """(nodes, input, output) that do for RGB in [0, 1] what ``nodes`` do in ``encoding``.

    The two ends are mapped; but if both only have another white, the biases and bounds are divided
    by it, as far as all nodes are homogeneous.
    """
    white, ends = encoding.output.white[0], (encoding.input, encoding.output)
    plain = encoding.channels == "rgb" and {*ends} == {Range.between(0, white)}
    if plain and all(map(_is_homogeneous, nodes)):
        return [_divided(node, white) for node in nodes], input, output
    first, last = (
        ChannelMap.in_place(3, scale, offset)
        for scale, offset in (
            (encoding.input.step, encoding.input.offset),
            (np.float32(1) / encoding.output.step, -encoding.output.offset / encoding.output.step),
        )
    )
    if encoding.channels == "bgr":
        swapped = np.arange(3)[::-1]
        first = replace(first, source=swapped, scale=first.scale[::-1], offset=first.offset[::-1])
        last = replace(last, source=swapped)
    before = first.conv(f"{input}, in [0, 1]", input)
    after = last.conv(output, f"{output}, in [0, 1]")
    return [before, *nodes, after], before.input, after.output


def on_levels(graph: Graph) -> Graph:
    """An equal graph for float files, which takes and returns levels in [0, 1]."""
    low, high = graph.ends
    if graph.ends == (0, 1):
        return graph
    channels = graph.input_shape[0]
    input, output = f"{graph.input}_levels", f"{graph.output}_levels"
    before = ChannelMap.in_place(channels, high - low, low).conv(input, graph.input)
    scale, offset = 1 / (high - low), -low / (high - low)
    after = ChannelMap.in_place(channels, scale, offset).conv(graph.output, output)
    nodes, end = optimized([before, *graph.nodes, after], output)
    names = {input: graph.input, end: graph.output, graph.input: f"{graph.input}_numbers"}
    return replace(graph, nodes=tuple(renamed(nodes, names)), ends=(0.0, 1.0))


def _is_homogeneous(node: Node) -> bool:
    """f(c x) = c f(x) for c > 0, once biases and bounds are multiplied by c too."""
    match node:
        case Mul() | Pointwise() | Normalize():
            return False
        case Conv() | Add() | Clip() | PRelu() | MinMax() | Concat() | DepthToSpace():
            return True
        case Pad() | Crop() | Mean() | MaxPool() | Resize():
            return True
        case _:
            assert_never(node)


def _divided(node: Node, divisor: float) -> Node:
    if isinstance(node, Conv):
        node = replace(node, bias=(node.bias / divisor).astype(np.float32))
    if isinstance(node, Clamped | Clip):
        low, high = node.clamp
        node = replace(node, clamp=(low / divisor, high / divisor))
    return node


def with_separate_pixels(graph: Graph) -> Graph:
    """An equal graph for int8, where pixels share their parameters with nothing else.

    Concat and DepthToSpace make their tensors share parameters, and those of the input and the
    output are fixed. A tensor that would share them, though other nodes need it finer or wider, is
    copied first, by a 1×1 convolution.
    """
    pixels = {graph.input}
    for node in graph.nodes:
        if isinstance(node, SAME_SCALE) and pixels.issuperset(node.inputs):
            pixels.add(node.output)
    shared: dict[tuple[str, str], Conv] = {}  # (tensor, output of its reader) -> the copy to read
    for node in graph.nodes:
        if isinstance(node, Concat) and node.output not in pixels:
            for tensor in pixels.intersection(node.inputs):
                shared[tensor, node.output] = _copy(graph, tensor, node)
    tensors = [graph.output]
    while tensors:
        producer = graph.producer(tensors.pop())
        if not isinstance(producer, SAME_SCALE):
            continue
        for tensor in set(producer.inputs) - pixels:
            if len(graph.consumers(tensor)) > 1:
                shared[tensor, producer.output] = _copy(graph, tensor, producer)
            else:
                tensors.append(tensor)
    nodes: list[Node] = []
    for node in graph.nodes:
        copies = {t: copy for (t, reader), copy in shared.items() if reader == node.output}
        nodes += [copies[tensor] for tensor in sorted(copies)]
        nodes += renamed([node], {tensor: copy.output for tensor, copy in copies.items()})
    return replace(graph, nodes=tuple(nodes))


def with_separate_gates(graph: Graph) -> Graph:
    """An equal graph for int8, where what a Pointwise reads is read by nothing else.

    x of x · sigmoid(x) is wanted over its whole range by the product and over that in which the
    function changes by the sigmoid. So the sigmoid reads a copy, by a depthwise convolution.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Pointwise) and len(graph.consumers(node.input)) > 1:
            copy = _depthwise(_copy(graph, node.input, node))
            nodes.append(copy)
            node = replace(node, input=copy.output)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def with_separate_convolutions(graph: Graph) -> tuple[Graph, frozenset[str]]:
    """An equal graph in which every convolution reads and writes tensors of its own, and the
    outputs of the nodes between these, which are to compute in float32.

    Between a convolution and what is no convolution comes a depthwise one, in float32 too, which
    multiplies channels by 1: ``equalized`` gives it other factors, so that each channel uses all
    levels. Factors go through a PReLU between two convolutions: one behind it is enough. Nodes that
    only move samples from one convolution to the next stay in int8.
    """
    moving = {n.output for n in graph.nodes if isinstance(n, SAME_SCALE) and len(n.inputs) == 1}
    convs = {node.output for node in graph.nodes if isinstance(node, Conv)}
    while True:
        levels = convs | moving | {graph.input}
        lost = {
            node.output
            for node in graph.nodes
            if node.output in moving
            and not levels.issuperset((*node.inputs, *_outputs_of_readers(graph, node.output)))
        }
        if not lost:
            break
        moving -= lost
    passed = {
        node.input
        for node in graph.nodes
        if isinstance(node, PRelu)
        and len(graph.consumers(node.input)) == 1
        and levels.issuperset(_outputs_of_readers(graph, node.output))
    }
    nodes: list[Node] = []
    factors: dict[str, str] = {}
    for node in graph.nodes:
        border = [t for t in node.inputs if (t in levels) != (node.output in levels)]
        border = [t for t in border if t not in passed]
        for tensor in border:
            if tensor not in factors:
                name = f"{tensor}_scaled"
                identity = ChannelMap.in_place(graph.shapes[tensor][0]).conv(tensor, name)
                weight = np.ones((len(identity.weight), 1, 1, 1), np.float32)
                nodes.append(replace(identity, weight=weight, groups=len(weight)))
                factors[tensor] = name
        nodes += renamed([node], {tensor: factors[tensor] for tensor in border})
    real = {node.output for node in graph.nodes} - levels
    return replace(graph, nodes=tuple(nodes)), frozenset(real | set(factors.values()))


def _outputs_of_readers(graph: Graph, tensor: str) -> list[str]:
    return [node.output for node in graph.consumers(tensor)]


def forms(graph: Graph) -> list[Graph]:
    """Graphs for int8 that are equal to ``graph``, each finer, and slower, than the one before."""
    apart = with_separate_gates(graph)
    split = replace(apart, nodes=tuple(prelu_as_two_relu(apart)))
    return [apart, split] if any(isinstance(node, PRelu) for node in graph.nodes) else [apart]


def macs(graph: Graph) -> dict[str, int]:
    """Products of weights and samples in one inference, by the output of each convolution."""
    return {
        node.output: node.weight.size * math.prod(graph.shapes[node.output][1:])
        for node in graph.nodes
        if isinstance(node, Conv)
    }


def resized(graph: Graph, wanted: Graph) -> Graph:
    """``graph`` for images of the size of ``wanted``, the same network."""
    sizes = {node.output: node.size for node in wanted.nodes if isinstance(node, Resize)}
    nodes = tuple(
        replace(node, size=sizes[node.output]) if isinstance(node, Resize) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, input_shape=wanted.input_shape)


def _copy(graph: Graph, tensor: str, reader: Node) -> Conv:
    identity = ChannelMap.in_place(graph.shapes[tensor][0])
    return identity.conv(tensor, f"{tensor}_for_{reader.output}")
