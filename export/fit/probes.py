"""The small networks whose latency tells that of others, and their files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from ailsr.export import targets
from ailsr.export.fit.architectures import ARCHITECTURES, pinned
from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
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
from ailsr.export.graph.quantization import BITS
from ailsr.runtime.card import Card, PixelType, Precision
from ailsr.runtime.errors import EngineError
from ailsr.runtime.fit.latency_model import Kind, Operator, Workload
from ailsr.runtime.upscaling.tiles import Size
from ailsr.runtime.upscaling.upscaler import UNKNOWN_RADIUS

TimedTarget = Literal["tflite", "onnx"]
"""The targets whose files an engine on Linux can time."""
PREFERRED: TimedTarget = "tflite"
_RELU = (0.0, math.inf)


@dataclass(frozen=True)
class ProbeNetwork:
    """A network of one of the families, at a size."""

    family: str
    depth: int
    width: int
    scale: int
    size: Size
    """(height, width) of the input."""

    def __str__(self) -> str:
        height, width = self.size
        return f"{self.family} {self.depth}x{self.width} x{self.scale} {height}x{width}"

    @property
    def graph(self) -> Graph:
        return ARCHITECTURES[self.family](self.depth, self.width, self.scale, self.size)


_SMALL, _MEDIUM, _LARGE = (90, 160), (180, 320), (360, 640)
PROBES: tuple[ProbeNetwork, ...] = (
    # Widths: the same 3×3 convolution once and five times.
    *(
        ProbeNetwork("sesr", depth, width, 2, _MEDIUM)
        for width in (4, 8, 12, 16, 20, 24, 32, 40, 48)
        for depth in (1, 5)
    ),
    *(ProbeNetwork("quicksrnet", depth, 64, 2, _MEDIUM) for depth in (0, 2)),
    # Other families and scales: what stands before and after the chain.
    *(ProbeNetwork("quicksrnet", depth, w, 2, _MEDIUM) for w in (16, 32) for depth in (1, 4)),
    *(ProbeNetwork("quicksrnet", 2, 28, scale, _MEDIUM) for scale in (3, 4)),
    *(ProbeNetwork("abpn", 2, w, 3, _MEDIUM) for w in (16, 28)),
    *(ProbeNetwork("abpn", 2, 24, scale, _MEDIUM) for scale in (2, 4)),
    *(ProbeNetwork("sesr", 2, 16, scale, _MEDIUM) for scale in (3, 4)),
    # Sizes: what fits in which cache.
    *(ProbeNetwork("sesr", d, w, 2, _SMALL) for w in (8, 16, 32) for d in (1, 5)),
    *(ProbeNetwork("sesr", d, w, 2, _LARGE) for w in (8, 16, 32) for d in (1, 4)),
    *(ProbeNetwork("quicksrnet", 2, w, 2, _LARGE) for w in (16, 28)),
    ProbeNetwork("abpn", 1, 28, 3, _LARGE),
    ProbeNetwork("sesr", 3, 16, 2, (32, 32)),
    ProbeNetwork("sesr", 2, 16, 2, (540, 960)),
)


def write(
    graph: Graph, scale: int, target: TimedTarget, precision: Precision, folder: Path
) -> Path:
    """A file of ``graph`` in ``folder``, to be timed only.

    Raises EngineError when a package is missing that writes it; torch is not one of them.
    """
    is_int8 = precision in BITS
    pixels: PixelType = "uint8" if is_int8 else "float32"
    _, height, width = graph.input_shape
    card = Card("probe", scale, "rgb", precision, pixels, (height, width), UNKNOWN_RADIUS)
    path = folder / f"probe.{target}"
    try:
        targets.write(target, graph, card, path, pinned(graph) if is_int8 else None)
    except ImportError as error:
        raise EngineError(
            f"{target} files need {error.name or error}: pip install "
            f"{targets.TARGETS[target].distributions}"
        ) from error
    return path


def workload(graph: Graph, size: Size | None = None) -> Workload:
    """The workload of ``graph``; ``size`` (height, width) replaces that of its input."""
    _, height, width = graph.input_shape
    pixels = height * width if size is None else math.prod(size)
    ratio = pixels / (height * width)
    operators = [o for node in graph.nodes for o in _operators(node, graph)]
    scaled = tuple(o._replace(pixels=round(o.pixels * ratio)) for o in operators)
    output = math.prod(graph.shapes[graph.output][1:])
    return Workload(scaled, pixels, round(output * ratio))


def _operators(node: Node, graph: Graph) -> list[Operator]:
    """``node``, and the clamp after it where it is not one that every engine fuses."""
    shapes = [graph.shapes[name] for name in node.inputs]
    outputs, height, width = graph.shapes[node.output]
    kind: Kind
    kernel, inputs = 1, shapes[0][0]
    match node:
        case Conv():
            kind, inputs = "conv", node.weight.shape[1]
            kernel = round(math.sqrt(math.prod(node.weight.shape[2:])))
        case Clip():
            kind = "clamp"
        case DepthToSpace():
            kind, inputs = "depth_to_space", outputs
        case Add() | PRelu() | Pointwise() | Mul() | MinMax() | Concat():
            kind = "add"
        case (
            Pad() | Crop() | Mean() | Normalize() | MaxPool() | Resize()
        ):  # no probe has them: counted as additions
            kind = "add"
        case _:
            assert_never(node)
    found = [Operator(kind, kernel, inputs, outputs, height * width)]
    if isinstance(node, Clamped) and node.clamp not in (_RELU, UNBOUNDED):
        found.append(Operator("clamp", 1, outputs, outputs, height * width))
    return found
