"""The graph of a super-resolution network: the few operators that every target has.

A network becomes a ``Graph`` once (``from_torch.py``); each target is one translator of it. Tensors
are named and have the shape (channels, height, width); the batch is always one image. Constants
live in the nodes that use them. Channels of a ``DepthToSpace`` are in DCR order, as ONNX, TFLite
and Core ML have it: channel ``(i * block + j) * C + c`` becomes pixel (i, j) of channel c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, int, int]
"""(channels, height, width)"""
Clamp = tuple[float, float]
"""Lower and upper bound that a node applies to its own result: (0, inf) is ReLU."""
UNBOUNDED: Clamp = (-np.inf, np.inf)


@dataclass(frozen=True)
class Unary:
    """A node of one input."""

    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Binary:
    """A node of two inputs."""

    first: str
    second: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.first, self.second)


@dataclass(frozen=True)
class Conv(Unary):
    """A convolution with its bias and fused clamp."""

    weight: Array  # (out, in / groups, kh, kw)
    bias: Array  # (out,)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right; zeros
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class PRelu(Unary):
    """max(x, 0) + slope * min(x, 0), one slope per channel."""

    slope: Array  # (channels,)


@dataclass(frozen=True)
class Clip(Unary):
    """A clamp that could not be fused into the node before it."""

    clamp: Clamp


Function = Literal[
    "sigmoid", "tanh", "gelu", "gelu_tanh", "sqrt", "exp", "reciprocal", "softplus", "erf"
]
"""``gelu`` is x Φ(x), ``gelu_tanh`` its approximation by tanh (Hendrycks, arXiv 1606.08415)."""


@dataclass(frozen=True)
class Pointwise(Unary):
    """A function of each sample."""

    function: Function


@dataclass(frozen=True)
class Add(Binary):
    """The sum of two tensors, with its fused clamp.

    ``first`` has the shape of the sum; ``second`` has, too, or is one value per channel.
    """

    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class Mul(Binary):
    """The product of two tensors, with its fused clamp.

    ``first`` has the shape of the product; ``second`` has, too, or is one value per channel
    (channel attention), or one per pixel (spatial attention).
    """

    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class MinMax(Binary):
    """The greater, or lesser, of two samples, of tensors of equal shape."""

    function: Literal["max", "min"]


@dataclass(frozen=True)
class Concat:
    """Tensors joined along the channels."""

    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class DepthToSpace(Unary):
    """Blocks of channels moved into space, DCR order."""

    block: int


@dataclass(frozen=True)
class Pad(Unary):
    """A border around the image: its mirror image without the edge pixel, or the edge pixel."""

    pads: tuple[int, int, int, int]  # top, left, bottom, right
    mode: Literal["reflect", "edge"] = "reflect"
    sliced: bool = False
    """True if files compute it by slices of the image, joined to it, not by one operator."""


@dataclass(frozen=True)
class Crop(Unary):
    """The image without a border."""

    border: tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Mean(Unary):
    """The mean of each channel over the image, (channels, 1, 1)."""


@dataclass(frozen=True)
class Normalize(Unary):
    """(x - m) / sqrt(v + epsilon), with the mean m of x and the mean v of (x - m)².

    Over the channels of a pixel it is layer normalisation (Ba et al., arXiv 1607.06450), over a
    channel's pixels instance normalisation (Ulyanov et al., arXiv 1607.08022), both without gain
    and bias. In int8 it is computed in float between two roundings.
    """

    over: Literal["channels", "pixels"]
    epsilon: float
    centred: bool = True
    """False: m is 0, as in root mean square or L2 normalisation."""


@dataclass(frozen=True)
class MaxPool(Unary):
    """The maximum of each window, windows that reach beyond the border left out."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Resize(Unary):
    """Bilinear interpolation to ``size`` (height, width); pixels have their centres at the half."""

    size: tuple[int, int]
    corners: bool = False
    """True: the outermost samples stay where they are, as with align_corners of PyTorch."""


Clamped = Conv | Add | Mul
"""Nodes that apply a clamp to what they compute."""
Node = (
    Conv | PRelu | Clip | Pointwise | Add | Mul | MinMax | Concat | DepthToSpace | Pad | Crop
    | Mean | Normalize | MaxPool | Resize
)  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation, from the tensor ``input`` to the tensor ``output``."""

    nodes: tuple[Node, ...]
    input_shape: Shape
    input: str = "image"
    output: str = "upscaled"
    ends: Clamp = (0.0, 1.0)
    """The numbers that the levels 0 and 255 of input and output stand for."""
    shapes: dict[str, Shape] = field(init=False, compare=False)
    """Shape of every tensor."""

    def __post_init__(self) -> None:
        shapes = {self.input: self.input_shape}
        for node in self.nodes:
            shapes[node.output] = output_shape(node, [shapes[name] for name in node.inputs])
        object.__setattr__(self, "shapes", shapes)

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read ``tensor``."""
        return [node for node in self.nodes if tensor in node.inputs]

    def producer(self, tensor: str) -> Node | None:
        """The node that writes ``tensor``; None for the graph's input."""
        return next((node for node in self.nodes if node.output == tensor), None)


def output_shape(node: Node, inputs: Sequence[Shape]) -> Shape:
    """Shape of the result of ``node`` for tensors of the shapes ``inputs``."""
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
        case Crop(border=(top, left, bottom, right)):
            return channels, height - top - bottom, width - left - right
        case Mean():
            return channels, 1, 1
        case MaxPool(kernel=kernel, stride=stride):
            return (
                channels,
                (height - kernel[0]) // stride[0] + 1,
                (width - kernel[1]) // stride[1] + 1,
            )
        case Resize(size=size):
            return channels, *size
        case PRelu() | Clip() | Pointwise() | Add() | Mul() | MinMax() | Normalize():
            return inputs[0]
        case _:
            assert_never(node)
