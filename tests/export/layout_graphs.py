"""Graphs whose ends RGBA changes, each in its own way, for the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from graph_reference import run
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    MinMax,
    Node,
    Pad,
    Pointwise,
)
from ailsr.export.graph.quantization import Quantization, quantization_of

SIZE = (12, 14)
STRUCTURES: dict[str, Callable[[], tuple[list[Node], int]]] = {}
"""By name: (nodes, convolutions that RGBA adds)."""


def conv(
    source: str, output: str, inputs: int, outputs: int, side: int = 3, **more: object
) -> Conv:
    random = np.random.default_rng(outputs)
    weight = random.normal(0, (0.5 / (inputs * side**2)) ** 0.5, (outputs, inputs, side, side))
    bias = random.normal(0, 0.05, outputs).astype(np.float32)
    return Conv(
        source, output, weight.astype(np.float32), bias, **{"pads": (side // 2,) * 4} | more
    )


def copies(source: str, output: str, count: int) -> Conv:
    weight = np.tile(np.eye(3, dtype=np.float32), (count, 1))[:, :, None, None]
    return Conv(source, output, weight, np.zeros(3 * count, np.float32))


def structure(added: int) -> Callable[[Callable[[], list[Node]]], Callable[[], list[Node]]]:
    def enter(make: Callable[[], list[Node]]) -> Callable[[], list[Node]]:
        STRUCTURES[make.__name__] = lambda: (make(), added)
        return make

    return enter


@structure(added=0)
def anchor_before_the_shuffle() -> list[Node]:  # SESR, ABPN
    return [
        conv("image", "a", 3, 8, clamp=(0.0, np.inf)),
        conv("a", "residual", 8, 12),
        copies("image", "anchor", 4),
        Add("residual", "anchor", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    ]


@structure(added=0)
def skip_after_the_shuffle() -> list[Node]:  # VDSR
    return [
        Pad("image", "padded", (2, 2, 2, 2)),
        replace(copies("padded", "phases", 4), pads=(0, 0, 0, 0), weight=_blurs()),
        DepthToSpace("phases", "enlarged", 2),
        conv("enlarged", "a", 3, 8, clamp=(0.0, np.inf)),
        conv("a", "residual", 8, 3),
        Add("enlarged", "residual", "upscaled", clamp=(0.0, 1.0)),
    ]


@structure(added=0)
def clamped_convolution_before_the_shuffle() -> list[Node]:  # QuickSRNet
    return [
        conv("image", "a", 3, 8, clamp=(0.0, 1.0)),
        conv("a", "phases", 8, 12, clamp=(0.0, 1.0)),
        DepthToSpace("phases", "upscaled", 2),
    ]


@structure(added=2)
def image_joined_to_itself() -> list[Node]:
    return [
        conv("image", "a", 3, 12),
        Concat(("image",) * 4, "anchor"),
        Add("a", "anchor", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    ]


@structure(added=1)
def output_of_another_node() -> list[Node]:
    return [
        conv("image", "a", 3, 12),
        copies("image", "b", 4),
        MinMax("a", "b", "larger", "max"),
        DepthToSpace("larger", "upscaled", 2),
    ]


@structure(added=1)
def grouped_convolution_at_the_end() -> list[Node]:
    return [
        copies("image", "a", 4),
        DepthToSpace("a", "enlarged", 2),
        conv("enlarged", "upscaled", 1, 3, groups=3),
    ]


@structure(added=1)
def image_read_by_a_function() -> list[Node]:
    return [
        Pointwise("image", "bent", "tanh"),
        conv("bent", "phases", 3, 12),
        DepthToSpace("phases", "upscaled", 2),
    ]


def _blurs() -> NDArray[np.float32]:
    weight = np.zeros((12, 3, 5, 5), np.float32)
    for phase in range(4):
        for channel in range(3):
            weight[3 * phase + channel, channel, 1:4, 1:4] = 1 / 9
    return weight


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[80 : 80 + height, 180 : 180 + width])


def quantized(graph: Graph, bits: int, real: frozenset[str] = frozenset()) -> Quantization:
    tensors = run(graph, photograph(*SIZE) / 255)
    ranges = {name: (float(t.min()), float(t.max())) for name, t in tensors.items()}
    ranges["phases"] = (-0.05, 1.05)  # as interpolation reaches
    return replace(quantization_of(graph, ranges, bits), real=real)  # type: ignore[arg-type]
