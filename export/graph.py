"""The graph of a super-resolution network: the few operators that every target has.

A network becomes a ``Graph`` once (``hub.py``); each target is one translator of it. Tensors are
named and have the shape (channels, height, width); the batch is always one image. Constants live
in the nodes that use them. Channels of a ``DepthToSpace`` are in DCR order, as TFLite, ONNX and
Core ML all have it: channel ``(i * block + j) * C + c`` becomes pixel (i, j) of channel c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, int, int]
"""(channels, height, width)"""
Clamp = tuple[float, float]
"""Lower and upper bound that a node applies to its own result: (0, inf) is ReLU."""
UNBOUNDED: Clamp = (-np.inf, np.inf)


@dataclass(frozen=True)
class Conv:
    """A convolution with its bias and fused clamp."""

    input: str
    output: str
    weight: Array  # (out, in / groups, kh, kw)
    bias: Array  # (out,)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right; zeros
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    clamp: Clamp = UNBOUNDED

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class PRelu:
    """max(x, 0) + slope * min(x, 0), one slope per channel."""

    input: str
    output: str
    slope: Array  # (channels,)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Bound:
    """A clamp that could not be fused into the node before it."""

    input: str
    output: str
    clamp: Clamp

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Add:
    """The sum of two tensors of equal shape, with its fused clamp."""

    first: str
    second: str
    output: str
    clamp: Clamp = UNBOUNDED

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.first, self.second)


@dataclass(frozen=True)
class Concat:
    """Tensors joined along the channels."""

    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class DepthToSpace:
    """Blocks of channels moved into space, DCR order."""

    input: str
    output: str
    block: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Pad:
    """A border around the picture. ``reflect`` leaves out the edge pixel itself."""

    input: str
    output: str
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    mode: Literal["reflect"] = "reflect"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


Node = Conv | PRelu | Bound | Add | Concat | DepthToSpace | Pad


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation, from the tensor ``input`` to the tensor ``output``."""

    nodes: tuple[Node, ...]
    input_shape: Shape
    input: str = "image"
    output: str = "upscaled"
    shapes: dict[str, Shape] = field(init=False, compare=False)
    """Shape of every tensor."""

    def __post_init__(self) -> None:
        shapes = {self.input: self.input_shape}
        for node in self.nodes:
            shapes[node.output] = _output_shape(node, [shapes[name] for name in node.inputs])
        object.__setattr__(self, "shapes", shapes)

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read ``tensor``."""
        return [node for node in self.nodes if tensor in node.inputs]

    def producer(self, tensor: str) -> Node | None:
        """The node that writes ``tensor``; None for the graph's input."""
        return next((node for node in self.nodes if node.output == tensor), None)


def _output_shape(node: Node, inputs: list[Shape]) -> Shape:
    channels, height, width = inputs[0]
    match node:
        case Conv(weight=weight, pads=(top, left, bottom, right)):
            extent = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], node.dilation, strict=True)]
            return (
                weight.shape[0],
                (height + top + bottom - extent[0]) // node.stride[0] + 1,
                (width + left + right - extent[1]) // node.stride[1] + 1,
            )
        case Concat():
            return sum(shape[0] for shape in inputs), height, width
        case DepthToSpace(block=block):
            return channels // block**2, height * block, width * block
        case Pad(pads=(top, left, bottom, right)):
            return channels, height + top + bottom, width + left + right
        case _:
            return inputs[0]
