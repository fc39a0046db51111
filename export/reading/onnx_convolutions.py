"""ONNX convolutions, pooling, normalisation, and sums over the image or its channels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from ailsr.export.graph.graph import (
    Add,
    Conv,
    MaxPool,
    Mean,
    MinMax,
    Mul,
    Normalize,
    Pad,
    Pointwise,
)
from ailsr.export.reading.onnx_reader import Handler, OnnxReader, attributes_of
from ailsr.export.reading.rearrangement import Rearrangement
from ailsr.export.reading.resampling import transposed_convolution


def conv(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    weight = reader.floats(node, 1)
    bias = reader.floats(node, 2) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    if weight.ndim != 4:
        raise reader.unsupported(node, "that is not two-dimensional")
    stride_y, stride_x = attributes.get("strides", (1, 1))
    dilation_y, dilation_x = attributes.get("dilations", (1, 1))
    extent = [
        (k - 1) * d + 1 for k, d in zip(weight.shape[2:], (dilation_y, dilation_x), strict=True)
    ]
    match attributes.get("auto_pad", b"NOTSET"):
        case b"NOTSET":
            top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        case b"VALID":
            top = left = bottom = right = 0
        case b"SAME_UPPER" if (stride_y, stride_x) == (1, 1):
            top, left = (n // 2 for n in (extent[0] - 1, extent[1] - 1))
            bottom, right = extent[0] - 1 - top, extent[1] - 1 - left
        case other:
            raise reader.unsupported(node, f"auto_pad {other.decode()}")
    reader.emit(
        Conv(
            reader.tensor(node.input[0]),
            node.output[0],
            weight,
            bias,
            (top, left, bottom, right),
            (stride_y, stride_x),
            (dilation_y, dilation_x),
            attributes.get("group", 1),
        )
    )


def conv_transpose(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    weight, groups = reader.floats(node, 1), attributes.get("group", 1)
    if weight.ndim != 4 or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise reader.unsupported(node, "without two-dimensional, explicit padding")
    if max(attributes.get("dilations", (1, 1))) > 1 or "output_shape" in attributes:
        raise reader.unsupported(node, "with dilation or output_shape")
    inputs, outputs, *kernel = weight.shape
    dense = np.zeros((groups, inputs // groups, groups, outputs, *kernel), np.float32)
    for group, part in enumerate(np.split(weight, groups)):
        dense[group, :, group] = part
    dense = dense.reshape(inputs, groups * outputs, *kernel)
    bias = reader.floats(node, 2) if len(node.input) > 2 else np.zeros(dense.shape[1], np.float32)
    stride_y, stride_x = attributes.get("strides", (1, 1))
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    more_y, more_x = attributes.get("output_padding", (0, 0))
    tensor = reader.tensor(node.input[0])
    _, height, width = reader.shapes[tensor]
    result = (
        stride_y * (height - 1) + kernel[0] + more_y - top - bottom,
        stride_x * (width - 1) + kernel[1] + more_x - left - right,
    )
    nodes = transposed_convolution(
        tensor, node.output[0], dense, bias, (height, width), result,
        (stride_y, stride_x), (top, left),
    )  # fmt: skip
    if nodes is None:
        raise reader.unsupported(
            node,
            f"that makes {result[0]}x{result[1]} of {height}x{width}",
            "a padding and an output_padding by which it enlarges exactly by its stride",
        )
    reader.emit(*nodes)


def batch_normalization(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    gain, shift, mean, variance = (reader.floats(node, index) for index in range(1, 5))
    scale = gain / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    reader.emit_map(reader.tensor(node.input[0]), node.output[0], scale, shift - mean * scale)


def global_average_pool(reader: OnnxReader, node: onnx.NodeProto) -> None:
    reader.emit(Mean(reader.tensor(node.input[0]), node.output[0]))


def reduce_mean(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """A mean, sum, norm or extreme over the image or its channels."""
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    over = {axis % 4 for axis in reader.integers(node, 1, "axes") or range(4)}
    channels, height, width = reader.shapes[tensor]
    kept = bool(attributes_of(node).get("keepdims", 1))
    if over not in ({2, 3}, {1}):
        raise reader.unsupported(node, f"over the axes {sorted(over)}", "a mean over (2, 3)")
    if node.op_type in ("ReduceMax", "ReduceMin"):
        _extreme(reader, node, tensor, over, kept)
        return
    if node.op_type in ("ReduceL2", "ReduceSumSquare"):
        tensor = reader.emit(Mul(tensor, tensor, f"{output}, squares"))
    result = output if kept and node.op_type != "ReduceL2" else f"{output}, sum"
    total = 1.0 if node.op_type == "ReduceMean" else float(height * width)
    if over == {1}:
        share = 1 / channels if node.op_type == "ReduceMean" else 1
        weight = np.full((1, channels, 1, 1), share, np.float32)
        reader.emit(Conv(tensor, result, weight, np.zeros(1, np.float32)))
    elif total == 1:
        reader.emit(Mean(tensor, result))
    else:
        reader.emit_map(reader.emit(Mean(tensor, f"{output}, mean")), result, total)
    if node.op_type == "ReduceL2":
        result = reader.emit(Pointwise(result, output if kept else f"{output}, root", "sqrt"))
    if not kept:
        moved = Rearrangement.of(result, reader.shapes[result])
        axis = tuple(sorted(over))
        reader.move(node, [moved.then(lambda numbers: np.squeeze(numbers, axis))])


def _extreme(
    reader: OnnxReader, node: onnx.NodeProto, tensor: str, over: set[int], kept: bool
) -> None:
    """The greatest, or least, channel: of each half, until one is left."""
    function: Literal["max", "min"] = "max" if node.op_type == "ReduceMax" else "min"
    if over != {1} or not kept:
        raise reader.unsupported(node, f"over the axes {sorted(over)}", "one over the channels")
    result = extreme_channel(reader, tensor, node.output[0], function)
    if result != node.output[0]:
        reader.alias(node.output[0], result)


def extreme_channel(
    reader: OnnxReader,
    tensor: str,
    result: str,
    function: Literal["max", "min"],
    size: int | None = None,
) -> str:
    """Our tensor, of one channel for each group of ``size`` channels of ``tensor``, that is the
    greatest or least of those; it is called ``result`` unless they are one each. ``size`` None:
    they are one group."""
    channels = reader.shapes[tensor][0]
    size = size or channels
    groups = channels // size
    while size > 1:
        half = -(-size // 2)
        output = result if half == 1 else f"{result} of {half}"
        parts = []
        for name, first in (("first", 0), ("last", size - half)):
            weight = np.kron(np.eye(groups), np.eye(half, size, first)).astype(np.float32)
            bias = np.zeros(groups * half, np.float32)
            conv = Conv(tensor, f"{output}, {name}", weight[:, :, None, None], bias)
            parts.append(reader.emit(conv))
        first_half, last_half = parts
        tensor, size = reader.emit(MinMax(first_half, last_half, output, function)), half
    return tensor


def softmax(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Over the channels; ``from_onnx`` marks those of old opsets, which are over more."""
    attributes = attributes_of(node)
    axis = attributes.get("axis", -1)
    if "flattened" in attributes or axis not in (1, -3) or not reader.is_image(node.input[0]):
        raise reader.unsupported(node, f"over the axis {axis}")
    softmax_of_channels(reader, reader.tensor(node.input[0]), node.output[0])


def softmax_of_channels(
    reader: OnnxReader, tensor: str, output: str, size: int | None = None
) -> str:
    """exp(x - greatest) by its sum, for the channels x of each pixel of our ``tensor``, or for each
    group of ``size`` of them."""
    channels = reader.shapes[tensor][0]
    size = size or channels
    if size == 1:
        return reader.emit_map(tensor, output, 0.0, 1.0)
    groups = channels // size
    greatest = extreme_channel(reader, tensor, f"{output}, greatest", "max", size)
    spread = np.repeat(np.eye(groups, dtype=np.float32), size, 0)[:, :, None, None]
    none = np.zeros(channels, np.float32)
    factor = f"{output}, factor"
    reader.emit(
        Conv(greatest, f"{output}, subtrahend", -spread, none),
        Add(tensor, f"{output}, subtrahend", f"{output}, exponent"),
        Pointwise(f"{output}, exponent", f"{output}, power", "exp"),
        Conv(
            f"{output}, power",
            f"{output}, sum",
            np.ones((groups, size, 1, 1), np.float32),
            none[:groups],
            groups=groups,
        ),
        Pointwise(f"{output}, sum", factor, "reciprocal"),
    )
    if groups > 1:
        factor = reader.emit(Conv(factor, f"{output}, factors", spread, none))
    return reader.emit(Mul(f"{output}, power", factor, output))


def normalized(reader: OnnxReader, node: onnx.NodeProto, tensor: str, output: str) -> str:
    """Layer normalisation of our ``tensor`` over its channels, with the node's gain and bias."""
    epsilon = attributes_of(node).get("epsilon", 1e-5)
    plain = reader.emit(Normalize(tensor, f"{output}, plain", "channels", epsilon))
    gain = reader.floats(node, 1).reshape(-1)
    biased = len(node.input) > 2 and node.input[2]
    bias = reader.floats(node, 2).reshape(-1) if biased else np.zeros_like(gain)
    return reader.emit_map(plain, output, gain, bias)


def layer_normalization(reader: OnnxReader, node: onnx.NodeProto) -> None:
    raise reader.unsupported(node, "over height or width")


def instance_normalization(reader: OnnxReader, node: onnx.NodeProto) -> None:
    epsilon, output = attributes_of(node).get("epsilon", 1e-5), node.output[0]
    if reader.is_laid_out(node.input[0]):
        _group_normalization(reader, node, epsilon)
        return
    tensor = reader.tensor(node.input[0])
    plain = reader.emit(Normalize(tensor, f"{output}, plain", "pixels", epsilon))
    reader.emit_map(plain, output, reader.floats(node, 1), reader.floats(node, 2))


def _group_normalization(reader: OnnxReader, node: onnx.NodeProto, epsilon: float) -> None:
    """Instance normalisation of groups of channels, (1, groups, …), as torch exports GroupNorm."""
    moved, output = reader.moved(node.input[0]), node.output[0]
    (channels, *_), groups = moved.shapes[0], moved.numbers.shape[1]
    if (
        len(moved.sources) > 1
        or channels % groups
        or not np.array_equal(moved.numbers.reshape(-1), np.arange(moved.numbers.size))
    ):
        raise reader.unsupported(node, "of an image in this layout")
    size, source = channels // groups, moved.sources[0]
    share = np.kron(np.eye(groups), np.full((size, size), 1 / size)).astype(np.float32)
    zeros, small = np.zeros(channels, np.float32), np.full(channels, epsilon, np.float32)
    name = f"{output}, normalised"
    reader.emit(
        Mean(source, f"{name}, means"),
        Conv(f"{name}, means", f"{name}, negative mean", -share[:, :, None, None], zeros),
        Add(source, f"{name}, negative mean", f"{name}, centred"),
        Mul(f"{name}, centred", f"{name}, centred", f"{name}, squares"),
        Mean(f"{name}, squares", f"{name}, variances"),
        Conv(f"{name}, variances", f"{name}, variance", share[:, :, None, None], small),
        Pointwise(f"{name}, variance", f"{name}, deviation", "sqrt"),
        Pointwise(f"{name}, deviation", f"{name}, factor", "reciprocal"),
        Mul(f"{name}, centred", f"{name}, factor", f"{name}, plain"),
    )
    gain, bias = (np.repeat(reader.floats(node, index), size) for index in (1, 2))
    image = reader.emit_map(f"{name}, plain", name, gain, bias)
    reader.move(node, [Rearrangement((image,), moved.shapes, moved.numbers)])


def mean_variance_normalization(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """ONNX's operator over (2, 3) or 1; ``normalization.py`` adds ``epsilon`` and ``centred``."""
    attributes = attributes_of(node)
    axes = [axis % 4 for axis in attributes.get("axes", [0, 2, 3])]
    over: dict[tuple[int, ...], Literal["channels", "pixels"]] = {
        (1,): "channels", (2, 3): "pixels", (0, 2, 3): "pixels"
    }  # fmt: skip
    if tuple(axes) not in over:
        raise reader.unsupported(node, f"over the axes {axes}", "one over the channels")
    epsilon, centred = attributes.get("epsilon", 1e-9), bool(attributes.get("centred", 1))
    source = reader.tensor(node.input[0])
    reader.emit(Normalize(source, node.output[0], over[tuple(axes)], epsilon, centred))


def average_pool(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    pads, kernel, (stride_y, stride_x) = _window(reader, node)
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    channels, stride = reader.shapes[tensor][0], (stride_y, stride_x)
    weight = np.full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]), np.float32)
    bias = np.zeros(channels, np.float32)
    if not any(pads) or attributes.get("count_include_pad", 0):
        reader.emit(Conv(tensor, output, weight, bias, pads, stride, groups=channels))
        return
    # What the border left out is the share of the window that lies in the image.
    none, one = np.zeros((1, channels, 1, 1), np.float32), np.ones(1, np.float32)
    reader.emit(
        Conv(tensor, f"{output}, sum", weight, bias, pads, stride, groups=channels),
        Conv(tensor, f"{output}, ones", none, one),
        Conv(f"{output}, ones", f"{output}, share", weight[:1], bias[:1], pads, stride),
        Pointwise(f"{output}, share", f"{output}, factor", "reciprocal"),
        Mul(f"{output}, sum", f"{output}, factor", output),
    )


def max_pool(reader: OnnxReader, node: onnx.NodeProto) -> None:
    pads, kernel, stride = _window(reader, node)
    tensor = reader.tensor(node.input[0])
    if any(pads):  # each window that reaches beyond the border holds the pixel at the border, too
        tensor = reader.emit(Pad(tensor, f"{node.output[0]}, padded", pads, "edge"))
    reader.emit(MaxPool(tensor, node.output[0], kernel, stride))


def _window(
    reader: OnnxReader, node: onnx.NodeProto
) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    """(pads, kernel, stride) of a pooling."""
    attributes = attributes_of(node)
    if (
        attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
        or attributes.get("ceil_mode", 0)
        or max(attributes.get("dilations", (1, 1))) > 1
        or len(node.output) > 1
    ):
        raise reader.unsupported(node, "with automatic padding, ceil_mode or dilation")
    kernel_y, kernel_x = attributes["kernel_shape"]
    stride_y, stride_x = attributes.get("strides", (1, 1))
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    return (top, left, bottom, right), (kernel_y, kernel_x), (stride_y, stride_x)


OPERATORS: dict[str, Handler] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_average_pool,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "MaxPool": max_pool,
    "MeanVarianceNormalization": mean_variance_normalization,
    "ReduceL2": reduce_mean,
    "ReduceMax": reduce_mean,
    "ReduceMean": reduce_mean,
    "ReduceMin": reduce_mean,
    "ReduceSum": reduce_mean,
    "ReduceSumSquare": reduce_mean,
    "Softmax": softmax,
}
