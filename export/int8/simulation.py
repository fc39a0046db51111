"""A graph computed by PyTorch, in float or as int8 arithmetic rounds it, with gradients.

Rounding passes gradients straight through (Bengio et al., arXiv 1308.3432): that of a value within
its range is what it would be without rounding, that of a saturated one is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

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
    Function,
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
from ailsr.export.graph.quantization import QParams, Quantization

Constants = tuple[Tensor, Tensor]
"""Weight and bias of a convolution."""
FUNCTIONS: dict[Function, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "reciprocal": torch.reciprocal,
    "softplus": F.softplus,
    "erf": torch.erf,
}


def constants_of(node: Conv) -> Constants:
    """Its own."""
    return torch.from_numpy(node.weight), torch.from_numpy(node.bias)


def compute(node: Node, inputs: Sequence[Tensor], constants: Constants | None = None) -> Tensor:
    """The result of ``node`` for ``inputs`` (n, c, h, w), before its clamp.

    ``constants`` stand for a convolution's own.
    """
    match node:
        case Conv():
            weight, bias = constants or constants_of(node)
            return convolve(node, inputs[0], weight, bias)
        case PRelu():
            return F.prelu(inputs[0], torch.from_numpy(node.slope))
        case Clip():
            return inputs[0]
        case Pointwise(function=function):
            return FUNCTIONS[function](inputs[0])
        case Add():
            return inputs[0] + inputs[1]
        case Mul():
            return inputs[0] * inputs[1]
        case MinMax(function=function):
            return (torch.maximum if function == "max" else torch.minimum)(inputs[0], inputs[1])
        case Concat():
            return torch.cat(list(inputs), dim=1)
        case DepthToSpace(block=block):  # torch's own order is CRD
            n, channels, height, width = inputs[0].shape
            blocks = inputs[0].reshape(n, block**2, channels // block**2, height, width)
            return F.pixel_shuffle(blocks.transpose(1, 2).reshape(inputs[0].shape), block)
        case Pad(pads=(top, left, bottom, right), mode=mode):
            kind = {"reflect": "reflect", "edge": "replicate"}[mode]
            return F.pad(inputs[0], (left, right, top, bottom), mode=kind)
        case Crop(border=(top, left, bottom, right)):
            height, width = inputs[0].shape[2:]
            return inputs[0][:, :, top : height - bottom, left : width - right]
        case Normalize(over=over, epsilon=epsilon, centred=centred):
            axes = (1,) if over == "channels" else (2, 3)
            values = inputs[0] - inputs[0].mean(axes, keepdim=True) if centred else inputs[0]
            return values * (values.square().mean(axes, keepdim=True) + epsilon).rsqrt()
        case Mean():
            return inputs[0].mean((2, 3), keepdim=True)
        case MaxPool(kernel=kernel, stride=stride):
            return F.max_pool2d(inputs[0], kernel, stride)
        case Resize(size=size, corners=corners):
            return F.interpolate(inputs[0], size, mode="bilinear", align_corners=corners)
        case _:
            assert_never(node)


def output_of(
    graph: Graph,
    image: Tensor,
    quantization: Quantization | None = None,
    constants: Mapping[str, Constants] | None = None,
    tensors: dict[str, Tensor] | None = None,
) -> Tensor:
    """The result of ``graph`` for images (n, 3, h, w), in int8 where ``quantization`` is given.

    ``constants``, by output, stand for those of convolutions. ``tensors``, by name, are not
    computed again; the others are added to them.
    """
    tensors = {} if tensors is None else tensors
    tensors[graph.input] = image
    for node in graph.nodes:
        if node.output in tensors:
            continue
        own = constants[node.output] if constants and node.output in constants else None
        real = quantization is None or node.output in quantization.real
        inputs = [tensors[name] for name in node.inputs]
        if quantization is not None and not real:
            inputs = as_read(inputs, node, quantization)
            if isinstance(node, Conv):
                weight, bias = own or constants_of(node)
                own = rounded_weight(weight, node, quantization), bias
        values = clamped(compute(node, inputs, own), node)
        if quantization is not None and (not real or node.output == graph.output):
            values = rounded(values, quantization.tensors[node.output])
        tensors[node.output] = values
    return tensors[graph.output]


def as_read(inputs: Sequence[Tensor], node: Node, quantization: Quantization) -> list[Tensor]:
    """The values that ``node`` reads, those of tensors in float32 on levels where it reads such."""
    return [
        rounded(values, quantization.tensors[name])
        if quantization.is_rounded(name, node)
        else values
        for name, values in zip(node.inputs, inputs, strict=True)
    ]


def convolve(node: Conv, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution of ``node`` with these constants."""
    top, left, bottom, right = node.pads
    pads = top, left
    if pads != (bottom, right):
        image, pads = F.pad(image, (left, right, top, bottom)), (0, 0)
    return F.conv2d(image, weight, bias, node.stride, pads, node.dilation, node.groups)


def clamped(values: Tensor, node: Node) -> Tensor:
    """``values`` within the clamp of ``node``."""
    clamp: Clamp = node.clamp if isinstance(node, Clamped | Clip) else UNBOUNDED
    return values if clamp == UNBOUNDED else values.clamp(*clamp)


def rounded(values: Tensor, params: QParams) -> Tensor:
    """``values`` on the levels of a tensor."""
    low, high = -params.zero_point, 2**params.bits - 1 - params.zero_point
    levels = values / params.scale
    if not values.requires_grad:  # the same numbers, in place
        return levels.clamp_(low, high).round_().mul_(params.scale)
    levels = levels.clamp(low, high)
    return (levels + (levels.round() - levels).detach()) * params.scale


def rounded_weight(weight: Tensor, node: Conv, quantization: Quantization) -> Tensor:
    """``weight``, in place of that of ``node``, as it is rounded in int8."""
    levels, scale = quantization.weight(replace(node, weight=weight.detach().numpy()))
    return weight + (torch.from_numpy(levels * scale.reshape(-1, 1, 1, 1)) - weight).detach()
