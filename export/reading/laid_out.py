"""ONNX operators on images in another layout.

Networks permute an image, cut it into windows, or list its pixels, to compute on one axis or
several. What is computed for each sample, or along the channels or all pixels, is the same on the
image as it was.
"""

from __future__ import annotations

import numpy as np
import onnx

from ailsr.export.graph.graph import Conv, Mean, Mul, Normalize, Pointwise
from ailsr.export.reading.attention import matrix_product
from ailsr.export.reading.layout import Layout, gathered, laid_out
from ailsr.export.reading.onnx_arithmetic import OPERATORS as PER_SAMPLE
from ailsr.export.reading.onnx_convolutions import (
    extreme_channel,
    normalized,
    softmax_of_channels,
)
from ailsr.export.reading.onnx_reader import OnnxReader, attributes_of
from ailsr.runtime.errors import UnsupportedOperatorError

REDUCTIONS = {
    *("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"),
}
READABLE = {
    *(*PER_SAMPLE, *REDUCTIONS, "Gemm", "LayerNormalization", "MatMul"),
    *("MeanVarianceNormalization", "Softmax"),
}
"""Operators that are read there."""


def is_laid_out(reader: OnnxReader, node: onnx.NodeProto) -> bool:
    """True if ``node`` computes on an image in another layout."""
    return node.op_type in READABLE and any(map(reader.is_laid_out, node.input))


def read_laid_out(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Append what ``node`` computes on the images behind its operands."""
    output = f"{node.output[0]}, as an image"
    kept = True
    if node.op_type in ("Gemm", "MatMul"):
        constant = len(node.input) > 1 and reader.is_constant(node.input[1])
        result, layout = (_linear if constant else matrix_product)(reader, node, output)
    elif node.op_type == "MeanVarianceNormalization":
        result, layout = _normalized(reader, node, output)
    elif node.op_type == "LayerNormalization":
        result, layout = _layer_normalized(reader, node, output)
    elif node.op_type == "Softmax":
        result, layout = _softmax(reader, node, output)
    elif node.op_type in REDUCTIONS:
        result, layout = _reduced(reader, node, output)
        kept = bool(attributes_of(node).get("keepdims", 1))
    else:
        result, layout = _per_sample(reader, node, output)
    moved = layout.moved(result, reader.shapes[result])
    if not kept:
        axes = tuple(axis % layout.rank for axis in reader.integers(node, 1, "axes") or ())
        moved = moved.then(lambda numbers: numbers.squeeze(axes))
    reader.move(node, [moved])


def _grouped(
    reader: OnnxReader, node: onnx.NodeProto, axes: set[int], output: str
) -> tuple[str, Layout, int]:
    """(image, layout, size): the image behind input 0 of ``node`` with its channels in groups of
    that ``size``, those along ``axes`` of the tensor."""
    image, layout = laid_out(reader, node, node.input[0])
    order = [axis for axis in range(layout.rank) if axis not in axes] + sorted(axes)
    channels = layout.channels.transpose(order)
    size = int(np.prod([layout.channels.shape[axis] for axis in axes], dtype=np.int64))
    image = gathered(reader, image, channels, f"{output}, grouped")
    count = np.arange(channels.size, dtype=np.int32).reshape(channels.shape)
    return image, Layout(count.transpose(np.argsort(order)), layout.pixels), size


def _linear(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    """A product with a constant matrix along the channels: a 1x1 convolution."""
    attributes = attributes_of(node)
    weight = reader.floats(node, 1) * np.float32(attributes.get("alpha", 1.0))
    weight = weight if attributes.get("transB", 0) else weight.T
    image, layout = laid_out(reader, node, node.input[0])
    last = layout.rank - 1
    if (
        weight.ndim != 2
        or attributes.get("transA", 0)
        or last in layout.pixel_axes
        or layout.channels.shape[last] != weight.shape[1]
    ):
        raise reader.unsupported(node, "that is not along the channels")
    image, layout, _ = _grouped(reader, node, {last}, output)
    bias = np.zeros(len(weight), np.float32)
    if len(node.input) > 2 and node.input[2]:
        bias = bias + reader.floats(node, 2).reshape(-1) * np.float32(attributes.get("beta", 1.0))
    shape = (*layout.channels.shape[:-1], len(weight))
    groups = int(np.prod(shape[:-1]))
    weight = np.tile(weight, (groups, 1))[:, :, None, None]
    reader.emit(Conv(image, output, weight, np.tile(bias, groups), groups=groups))
    return output, layout.with_channels(shape)


def _normalized(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    """Over all channels of a pixel, or all pixels of a channel."""
    attributes = attributes_of(node)
    image, layout = laid_out(reader, node, node.input[0])
    image = gathered(reader, image, layout.channels, f"{output}, gathered")
    layout = layout.with_channels(layout.channels.shape)
    axes = {axis % layout.rank for axis in attributes.get("axes", [0, 2, 3])}
    long = axes & (layout.channel_axes | layout.pixel_axes)
    epsilon, centred = attributes.get("epsilon", 1e-9), bool(attributes.get("centred", 1))
    if long and long == layout.channel_axes:
        reader.emit(Normalize(image, output, "channels", epsilon, centred))
    elif long and long == layout.pixel_axes:
        reader.emit(Normalize(image, output, "pixels", epsilon, centred))
    else:
        raise _unlike(reader, node, axes)
    return output, layout


def _layer_normalized(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    image, layout = laid_out(reader, node, node.input[0])
    last, axis = layout.rank - 1, attributes_of(node).get("axis", -1)
    if axis % layout.rank != last or layout.channel_axes != {last}:
        raise reader.unsupported(node, f"over the axes from {axis}")
    image = gathered(reader, image, layout.channels, f"{output}, gathered")
    result = normalized(reader, node, image, output)
    return result, layout.with_channels(layout.channels.shape)


def _softmax(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    attributes = attributes_of(node)
    _, layout = laid_out(reader, node, node.input[0])
    axis, rank = attributes.get("axis", -1), layout.rank
    if axis % rank in layout.pixel_axes or ("flattened" in attributes and axis % rank != rank - 1):
        raise reader.unsupported(node, f"over the axis {axis} of images in this layout")
    image, layout, size = _grouped(reader, node, {axis % rank}, output)
    return softmax_of_channels(reader, image, output, size), layout


def _reduced(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    """A mean, sum, norm or extreme over channels, all pixels, or both."""
    _, layout = laid_out(reader, node, node.input[0])
    rank, kind = layout.rank, node.op_type
    axes = {axis % rank for axis in reader.integers(node, 1, "axes") or range(rank)}
    over_pixels = bool(axes & layout.pixel_axes)
    if (over_pixels and not axes >= layout.pixel_axes) or (
        over_pixels and kind in ("ReduceMax", "ReduceMin")
    ):
        raise _unlike(reader, node, axes)
    image, layout, size = _grouped(reader, node, axes - layout.pixel_axes, output)
    area, pixels = layout.pixels.size, layout.pixels
    if kind in ("ReduceL2", "ReduceSumSquare"):
        image = reader.emit(Mul(image, image, f"{output}, squares"))
    if over_pixels:
        image = reader.emit(Mean(image, f"{output}, mean"))
        if kind != "ReduceMean":
            image = reader.emit_map(image, f"{output}, of pixels", float(area))
        pixels = np.zeros((1,) * rank, np.int32)
    if size > 1 and kind in ("ReduceMax", "ReduceMin"):
        name = f"{output}, extreme"
        image = extreme_channel(reader, image, name, "max" if kind == "ReduceMax" else "min", size)
    elif size > 1:
        groups = reader.shapes[image][0] // size
        share = 1 / size if kind == "ReduceMean" else 1
        weight = np.full((groups, size, 1, 1), share, np.float32)
        bias = np.zeros(groups, np.float32)
        image = reader.emit(Conv(image, f"{output}, sum", weight, bias, groups=groups))
    if kind == "ReduceL2":
        image = reader.emit(Pointwise(image, f"{output}, root", "sqrt"))
    shape = tuple(1 if axis in axes else side for axis, side in enumerate(layout.channels.shape))
    return image, Layout(layout.channels, pixels).with_channels(shape)


def _unlike(reader: OnnxReader, node: onnx.NodeProto, axes: set[int]) -> UnsupportedOperatorError:
    return reader.unsupported(
        node,
        f"over the axes {sorted(axes)} of images in this layout",
        "one over all channels of a pixel, or over all pixels",
    )


def _per_sample(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    """``node`` with images in place of its operands, and constants as those have them."""
    images = {
        place: laid_out(reader, node, name)
        for place, name in enumerate(node.input)
        if name and not reader.is_constant(name)
    }
    constants = {
        place: reader.array(node, place)
        for place, name in enumerate(node.input)
        if name and place not in images
    }
    ranks = [layout.rank for _, layout in images.values()]
    rank = max([*ranks, *(constant.ndim for constant in constants.values())])
    layouts = {place: layout.with_rank(rank) for place, (_, layout) in images.items()}
    pixels = max((layout.pixels for layout in layouts.values()), key=lambda p: p.size)
    if any(
        not np.array_equal(layout.pixels, pixels)
        for layout in layouts.values()
        if layout.pixels.size > 1
    ):
        raise reader.unsupported(node, "of images in unlike layouts")
    sides = [layout.channels.shape for layout in layouts.values()]
    for place, constant in constants.items():
        if constant.size == 1:
            continue
        constants[place] = constant = constant.reshape(
            (1,) * (rank - constant.ndim) + constant.shape
        )
        sides.append(constant.shape)
    whole = np.broadcast_shapes(*sides)
    if any(whole[axis] > 1 for axis, side in enumerate(pixels.shape) if side > 1):
        raise reader.unsupported(node, f"with constants or images of the shapes {sides}")
    widest = max(layout.channels.size for layout in layouts.values())
    there = onnx.NodeProto()
    there.CopyFrom(node)
    there.output[:] = [output]
    for place, (image, _) in images.items():
        channels = layouts[place].channels
        spread = channels.size == 1 and widest == np.prod(whole) and layouts[place].pixel_axes
        if not spread:  # one channel for all is what operators know
            channels = np.broadcast_to(channels, whole)
        there.input[place] = gathered(reader, image, channels, f"{output}, operand {place}")
    for place, constant in constants.items():
        there.input[place] = f"{node.input[place]}, for {output}"
        shape = (1, -1, 1, 1) if constant.size > 1 else ()
        every = np.broadcast_to(constant, whole) if constant.size > 1 else constant
        reader.constant(there.input[place], every.reshape(shape))
    PER_SAMPLE[node.op_type](reader, there)
    return reader.tensor(output), Layout(np.zeros(whole, np.int32), pixels).with_channels(whole)
