"""Graphs that int8 costs something, and how much, for the tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from graph_reference import run, simulate

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Mul,
    Pointwise,
    PRelu,
)

RELU = (0.0, np.inf)
SIZE = (24, 28)


def conv(source, output, inputs, outputs, clamp=RELU, spread=1.0) -> Conv:
    """Random; ``spread`` is the ratio of the largest to the smallest output channel."""
    weight = np.random.default_rng(len(output)).normal(size=(outputs, inputs, 3, 3)) * 0.2
    weight *= np.geomspace(1, 1 / spread, outputs).reshape(-1, 1, 1, 1)
    bias = np.linspace(-0.1, 0.1, outputs)
    return Conv(
        source, output, np.float32(weight), np.float32(bias), pads=(1, 1, 1, 1), clamp=clamp
    )


def residual(clamp=RELU, spread=100.0) -> Graph:
    nodes = (
        conv("image", "first", 3, 8, clamp, spread),
        conv("first", "second", 8, 8, clamp, spread),
        Add("first", "second", "sum"),
        conv("sum", "phases", 8, 12, UNBOUNDED),
        DepthToSpace("phases", "upscaled", 2),
    )
    return Graph(nodes, (3, *SIZE))


def error(graph, quantization, exact, image) -> float:
    """Root mean square of int8's error in the output, in grey levels."""
    image = image[: SIZE[0], : SIZE[1]] / 255
    wanted = np.clip(run(exact, image)["upscaled"], 0, 1)
    found = np.clip(simulate(graph, quantization, image)["upscaled"], 0, 1)
    return float(np.sqrt(np.mean((found - wanted) ** 2)) * 255)


def gated(reach=60.0) -> Graph:
    """x · tanh(x) of a convolution that reaches far beyond where tanh changes, beside the image."""
    first = conv("image", "x", 3, 8, UNBOUNDED, 10.0)
    first = replace(first, weight=first.weight * reach, bias=first.bias * 0)
    nodes = (
        first,
        Pointwise("x", "gate", "tanh"),
        Mul("x", "gate", "product"),
        conv("image", "skip", 3, 4, UNBOUNDED),
        Concat(("skip", "product"), "joined"),
        conv("joined", "phases", 12, 12, UNBOUNDED),
        DepthToSpace("phases", "upscaled", 2),
    )
    last = replace(nodes[5], weight=nodes[5].weight / reach)
    return Graph((*nodes[:5], last, nodes[6]), (3, *SIZE))


def bent(graph: Graph) -> Graph:
    """``residual`` with a PReLU in it."""
    slopes = PRelu("sum", "bent", np.linspace(-0.5, 0.5, 8, dtype=np.float32))
    last = replace(graph.nodes[3], input="bent")
    return replace(graph, nodes=(*graph.nodes[:3], slopes, last, graph.nodes[4]))
