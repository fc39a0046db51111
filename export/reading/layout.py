"""Operators on images in another layout, such as (1, height, width, channels).

Networks permute an image, or cut it into windows, to compute on its channels as the last axis. What
is computed for each sample, or along the channels alone, is the same on the image as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import onnx
from numpy.typing import NDArray

from ailsr.export.graph.graph import Conv, Normalize, Shape
from ailsr.export.reading.onnx_arithmetic import OPERATORS as PER_SAMPLE
from ailsr.export.reading.onnx_convolutions import (
    normalized,
    reduce_mean,
    softmax_of_channels,
)
from ailsr.export.reading.onnx_reader import OnnxReader, attributes_of
from ailsr.export.reading.rearrangement import Numbers, Rearrangement


@dataclass(frozen=True)
class Layout:
    """The order of an image's samples in a tensor."""

    axis: int
    """That of the channels."""
    pixels: NDArray[np.int32]
    """The tensor's shape, 1 long along ``axis``: the number of each pixel."""

    @classmethod
    def of(cls, moved: Rearrangement) -> Layout | None:
        """That of ``moved``; None when it is no image with all of its samples."""
        numbers, (channels, height, width) = moved.numbers, moved.shapes[0]
        if len(moved.sources) > 1 or numbers.size != channels * height * width:
            return None
        for axis in reversed(range(numbers.ndim)):
            pixels = numbers.take([0], axis)
            if numbers.shape[axis] != channels or pixels.max() != height * width - 1:
                continue
            layout = cls(axis, pixels)
            if np.array_equal(numbers, layout.numbers(channels)) and _once(pixels):
                return layout
        return None

    def is_like(self, other: Layout | None) -> bool:
        """True if ``other`` has pixels and channels in the same places."""
        return (
            other is not None
            and other.axis == self.axis
            and np.array_equal(other.pixels, self.pixels)
        )

    def numbers(self, channels: int) -> Numbers:
        """The samples of an image of so many channels."""
        shape = [-1 if axis == self.axis else 1 for axis in range(self.pixels.ndim)]
        planes = np.arange(channels, dtype=np.int32) * np.int32(self.pixels.size)
        return self.pixels + planes.reshape(shape)


def _once(pixels: NDArray[np.int32]) -> bool:
    return bool((np.bincount(pixels.reshape(-1), minlength=pixels.size) == 1).all())


def is_laid_out(reader: OnnxReader, node: onnx.NodeProto) -> bool:
    """True if ``node`` computes on an image in another layout."""
    return node.op_type in READABLE and any(map(reader.is_laid_out, node.input))


READABLE = {
    *(*PER_SAMPLE, "Gemm", "LayerNormalization", "MatMul", "MeanVarianceNormalization"),
    *("ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Softmax"),
}
"""Operators that are read there."""


def read_laid_out(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Append what ``node`` computes on the images behind its operands."""
    images = [name for name in node.input if name and not reader.is_constant(name)]
    if node.op_type == "MatMul" and len(images) > 1:
        raise reader.unsupported(
            node, "of two computed matrices, as in self-attention", "convolutions and gates"
        )
    for name in images:
        moved = reader.moved(name)
        if moved.numbers.ndim == 4 and Layout.of(moved) is None and reader.is_laid_out(name):
            reader.settle(name, [order for order in permutations(range(4)) if order[0] == 0])
    layouts = [Layout.of(reader.moved(name)) for name in images]
    layout = layouts[0]
    if layout is None or not all(map(layout.is_like, layouts)):
        raise reader.unsupported(node, "of images in this layout")
    sources = {name: reader.moved(name).sources[0] for name in images}
    output = f"{node.output[0]}, as an image"
    last = layout.axis == layout.pixels.ndim - 1
    if node.op_type in ("Gemm", "MatMul"):
        _linear(reader, node, last, sources, output)
    elif node.op_type == "MeanVarianceNormalization":
        _normalized(reader, node, layout, sources[node.input[0]], output)
    elif node.op_type == "LayerNormalization":
        axis = attributes_of(node).get("axis", -1)
        if not last or axis not in (-1, layout.axis):
            raise reader.unsupported(node, f"over the axes from {axis}")
        normalized(reader, node, sources[node.input[0]], output)
    elif node.op_type == "Softmax":
        axis, rank = attributes_of(node).get("axis", -1), layout.pixels.ndim
        if axis % rank != layout.axis or ("flattened" in attributes_of(node) and not last):
            raise reader.unsupported(node, f"over the axis {axis} of images in this layout")
        softmax_of_channels(reader, sources[node.input[0]], output)
    else:
        _on_image(reader, node, layout, sources, output)
    channels = reader.shapes[reader.tensor(output)][0]
    shape: Shape = reader.shapes[reader.tensor(output)]
    numbers = layout.numbers(channels)
    if node.op_type.startswith("Reduce") and not attributes_of(node).get("keepdims", 1):
        numbers = numbers.squeeze(layout.axis)
    reader.move(node, [Rearrangement((reader.tensor(output),), (shape,), numbers)])


def _linear(
    reader: OnnxReader, node: onnx.NodeProto, last: bool, sources: dict[str, str], output: str
) -> None:
    """A product with a constant matrix along the channels: a 1x1 convolution."""
    attributes = attributes_of(node)
    weight = reader.floats(node, 1) * np.float32(attributes.get("alpha", 1.0))
    weight = weight if attributes.get("transB", 0) else weight.T
    if not last or weight.ndim != 2 or attributes.get("transA", 0) or len(sources) > 1:
        raise reader.unsupported(node, "that is not along the channels")
    bias = np.zeros(len(weight), np.float32)
    if len(node.input) > 2 and node.input[2]:
        bias = bias + reader.floats(node, 2).reshape(-1) * np.float32(attributes.get("beta", 1.0))
    reader.emit(Conv(sources[node.input[0]], output, weight[:, :, None, None], bias))


def _normalized(
    reader: OnnxReader, node: onnx.NodeProto, layout: Layout, source: str, output: str
) -> None:
    attributes = attributes_of(node)
    axes, rank = attributes.get("axes", [0, 2, 3]), layout.pixels.ndim
    if [axis % rank for axis in axes] != [layout.axis]:
        raise reader.unsupported(node, f"over the axes {axes} of images in this layout")
    epsilon, centred = attributes.get("epsilon", 1e-9), bool(attributes.get("centred", 1))
    reader.emit(Normalize(source, output, "channels", epsilon, centred))


def _on_image(
    reader: OnnxReader,
    node: onnx.NodeProto,
    layout: Layout,
    sources: dict[str, str],
    output: str,
) -> None:
    """``node`` with images in place of its operands, and constants as those have them."""
    there = onnx.NodeProto()
    there.CopyFrom(node)
    there.output[:] = [output]
    rank = layout.pixels.ndim
    for index, name in enumerate(node.input):
        if name in sources:
            there.input[index] = sources[name]
        elif name and not node.op_type.startswith("Reduce"):
            constant = reader.array(node, index)
            shape = (1,) * (rank - constant.ndim) + constant.shape
            if constant.size not in (1, shape[layout.axis]):
                raise reader.unsupported(node, f"with a constant of shape {constant.shape}")
            there.input[index] = f"{name}, for {output}"
            value = constant.reshape(()) if constant.size == 1 else constant.reshape(1, -1, 1, 1)
            reader.constant(there.input[index], value)
    if node.op_type.startswith("Reduce"):
        axes = reader.integers(node, 1, "axes") or []
        if [axis % rank for axis in axes] != [layout.axis]:
            raise reader.unsupported(node, f"over the axes {axes} of images in this layout")
        reduce_mean(reader, there, axes=(1,), kept=True)
    else:
        PER_SAMPLE[node.op_type](reader, there)
