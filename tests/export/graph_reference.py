"""What a graph computes, by torch.nn.functional: the reference for every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ailsr.export.graph.graph import (
    Add,
    Clamp,
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
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.quantization import PIXELS, QParams, Quantization, quantize_bias

FUNCTIONS: dict[Function, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "reciprocal": lambda x: 1 / x,
    "softplus": F.softplus,
    "erf": torch.erf,
}


def run(graph: Graph, image: NDArray) -> dict[str, NDArray]:
    """Every tensor of ``graph``, (h, w, c) in float64, for the input ``image`` (h, w, c)."""
    return _compute(
        graph, image, lambda name, values: values, lambda conv: (conv.weight, conv.bias)
    )


def simulate(graph: Graph, quantization: Quantization, image: NDArray) -> dict[str, NDArray]:
    """The same in int8: each tensor rounded to its levels as soon as it is computed."""

    def round_to_levels(name: str, values: Tensor) -> Tensor:
        q = quantization.tensors[name]
        levels = torch.round(values / q.scale + q.zero_point).clamp(0, 2**q.bits - 1)
        return (levels - q.zero_point) * q.scale

    def constants(conv: Conv) -> tuple[NDArray, NDArray]:
        levels, scale = quantization.weight(conv)
        source = quantization.tensors[conv.input].scale
        bias = quantize_bias(conv.bias, source, scale) * (source * scale.astype(np.float64))
        return levels * scale.astype(np.float64).reshape(-1, 1, 1, 1), bias

    return _compute(graph, image, round_to_levels, constants)


def untied(graph: Graph, tensors: Mapping[str, NDArray]) -> Quantization:
    """Parameters that cover what ``run`` gave, of each tensor on its own; the input is pixels."""
    params = {n: QParams.of_range(float(t.min()), float(t.max())) for n, t in tensors.items()}
    return Quantization(params | {graph.input: PIXELS})


def error_bound(graph: Graph, quantization: Quantization) -> float:
    """How far an int8 output may be from ``simulate``'s when every operator errs by one level."""
    bounds = {graph.input: 0.0}
    for node in graph.nodes:
        inputs = [bounds[name] for name in node.inputs]
        match node:
            case Conv():
                bound = inputs[0] * float(np.abs(node.weight).sum(axis=(1, 2, 3)).max())
            case PRelu():
                bound = inputs[0] * max(1.0, float(np.abs(node.slope).max()))
            case Add():
                bound = sum(inputs)
            case Mul():
                params = [quantization.tensors[name] for name in node.inputs]
                reaches = [q.scale * max(q.zero_point, 255 - q.zero_point) for q in params]
                bound = inputs[0] * reaches[1] + inputs[1] * reaches[0] + inputs[0] * inputs[1]
            case Pointwise(function="sqrt"):
                bound = inputs[0] ** 0.5
            case Pointwise(function="reciprocal") | Normalize():  # without a bound where x is 0
                bound = inputs[0] and np.inf
            case Pointwise(function="exp"):
                q = quantization.tensors[node.input]
                bound = inputs[0] * float(np.exp(q.scale * (255 - q.zero_point)))
            case Pointwise():
                bound = inputs[0] * 1.13  # the greatest slope, that of GELU
            case (
                Clip()
                | MinMax()
                | Concat()
                | DepthToSpace()
                | Pad()
                | Crop()
                | Mean()
                | MaxPool()
                | Resize()
            ):
                bound = max(inputs)
            case _:
                assert_never(node)
        bounds[node.output] = bound + quantization.tensors[node.output].scale
    return bounds[graph.output]


def _compute(
    graph: Graph,
    image: NDArray,
    observe: Callable[[str, Tensor], Tensor],
    constants: Callable[[Conv], tuple[NDArray, NDArray]],
) -> dict[str, NDArray]:
    source = torch.from_numpy(np.asarray(image, np.float64)).permute(2, 0, 1)[None]
    tensors = {graph.input: observe(graph.input, source)}
    for node in graph.nodes:
        inputs = [tensors[name] for name in node.inputs]
        match node:
            case Conv(pads=(top, left, bottom, right)):
                weight, bias = (torch.from_numpy(c).double() for c in constants(node))
                padded = F.pad(inputs[0], (left, right, top, bottom))
                values = F.conv2d(padded, weight, bias, node.stride, 0, node.dilation, node.groups)
                values = _clamp(values, node.clamp)
            case PRelu():
                values = F.prelu(inputs[0], torch.from_numpy(node.slope).double())
            case Clip():
                values = _clamp(inputs[0], node.clamp)
            case Add():
                values = _clamp(inputs[0] + inputs[1], node.clamp)
            case Mul():
                values = _clamp(inputs[0] * inputs[1], node.clamp)
            case MinMax(function="max"):
                values = torch.maximum(*inputs)
            case MinMax(function="min"):
                values = torch.minimum(*inputs)
            case Pointwise(function=function):
                values = FUNCTIONS[function](inputs[0])
            case Concat():
                values = torch.cat(inputs, dim=1)
            case DepthToSpace(block=block):  # DCR order to torch's CRD
                _, channels, height, width = inputs[0].shape
                blocks = inputs[0].reshape(block * block, channels // block**2, height, width)
                values = F.pixel_shuffle(blocks.transpose(0, 1).reshape(inputs[0].shape), block)
            case Pad(pads=(top, left, bottom, right)):
                mode = {"reflect": "reflect", "edge": "replicate"}[node.mode]
                values = F.pad(inputs[0], (left, right, top, bottom), mode=mode)
            case Crop(border=(top, left, bottom, right)):
                values = F.pad(inputs[0], (-left, -right, -top, -bottom))
            case Normalize(over="channels"):
                values = _layer_norm(inputs[0].permute(0, 2, 3, 1), node, 1).permute(0, 3, 1, 2)
            case Normalize():
                values = _layer_norm(inputs[0], node, 2)
            case Mean():
                values = inputs[0].mean((2, 3), keepdim=True)
            case MaxPool():
                values = F.max_pool2d(inputs[0], node.kernel, node.stride)
            case Resize():
                values = F.interpolate(
                    inputs[0], node.size, mode="bilinear", align_corners=node.corners
                )
            case _:
                assert_never(node)
        tensors[node.output] = observe(node.output, values)
    return {name: values[0].permute(1, 2, 0).numpy() for name, values in tensors.items()}


def _layer_norm(values: Tensor, node: Normalize, axes: int) -> Tensor:
    """Over the last ``axes`` dimensions."""
    function = F.layer_norm if node.centred else F.rms_norm
    return function(values, values.shape[-axes:], eps=node.epsilon)


def _clamp(values: Tensor, clamp: Clamp) -> Tensor:
    low, high = clamp
    return values.clamp(low, high)
