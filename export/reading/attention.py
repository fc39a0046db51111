"""Products of two computed matrices: attention of channels to each other.

Such attention (Zamir et al., Restormer, arXiv 2111.09881) takes the products of channels with each
other over all pixels, a matrix of few numbers, and mixes the channels by them. In the operators of
all targets: products of repeated channels, their means, and sums of channels.
"""

from __future__ import annotations

import numpy as np
import onnx

from ailsr.export.graph.graph import Conv, Mean, Mul
from ailsr.export.reading.layout import Layout, gathered
from ailsr.export.reading.onnx_reader import OnnxReader
from ailsr.export.reading.rearrangement import Numbers
from ailsr.runtime.errors import UnsupportedOperatorError

MOST_CHANNELS = 4096
"""Channels that such a product may repeat."""


def matrix_product(reader: OnnxReader, node: onnx.NodeProto, output: str) -> tuple[str, Layout]:
    """(image, its layout as the result of ``node``): a matrix of channels times one of channels.

    Raises UnsupportedOperatorError for other matrices, as those of pixels times pixels.
    """
    if any(map(reader.is_constant, node.input)) or node.op_type != "MatMul":
        raise reader.unsupported(node, "that is not along the channels of an image")
    operands = [_operand(reader, node, name) for name in node.input]
    rank = max(layout.rank for _, layout in operands)
    (first, left), (second, right) = ((t, layout.with_rank(rank)) for t, layout in operands)
    rows, columns = rank - 2, rank - 1
    if left.pixel_axes == {columns} and right.pixel_axes == {rows}:
        if not np.array_equal(left.pixels.reshape(-1), right.pixels.reshape(-1)):
            raise unlike_matrices(reader, node)
        return _correlation(reader, node, first, left, second, right, output)
    if not left.pixel_axes and right.pixel_axes == {columns}:
        return _mixture(reader, node, first, left.channels, second, right, output)
    if not right.pixel_axes and left.pixel_axes == {rows}:  # the transposed matrices the other way
        turned = _transposed(left)
        weights = right.channels.swapaxes(-1, -2)
        image, layout = _mixture(reader, node, second, weights, first, turned, output)
        return image, _transposed(layout)
    raise unlike_matrices(reader, node)


def _operand(reader: OnnxReader, node: onnx.NodeProto, name: str) -> tuple[str, Layout]:
    moved = reader.moved(name)
    layout = Layout.of(moved)
    if layout is None:
        raise unlike_matrices(reader, node)
    return moved.sources[0], layout


def unlike_matrices(reader: OnnxReader, node: onnx.NodeProto) -> UnsupportedOperatorError:
    """The refusal of a product ``node`` of other matrices."""
    return reader.unsupported(
        node, "of two computed matrices, as in self-attention", "convolutions and gates"
    )


def _transposed(layout: Layout) -> Layout:
    return Layout(layout.channels.swapaxes(-1, -2), layout.pixels.swapaxes(-1, -2))


def _correlation(
    reader: OnnxReader,
    node: onnx.NodeProto,
    first: str,
    left: Layout,
    second: str,
    right: Layout,
    output: str,
) -> tuple[str, Layout]:
    """The sums over all pixels of each row's channel times each column's."""
    rows, columns = np.broadcast_arrays(left.channels, right.channels)
    _check_size(reader, node, rows)
    products = reader.emit(
        Mul(
            gathered(reader, first, rows, f"{output}, rows"),
            gathered(reader, second, columns, f"{output}, columns"),
            f"{output}, products",
        )
    )
    mean = reader.emit(Mean(products, f"{output}, means"))
    image = reader.emit_map(mean, output, float(left.pixels.size))
    one = np.zeros((1,) * left.rank, np.int32)
    return image, Layout(one, one).with_channels(rows.shape)


def _mixture(
    reader: OnnxReader,
    node: onnx.NodeProto,
    first: str,
    weights: Numbers,
    second: str,
    right: Layout,
    output: str,
) -> tuple[str, Layout]:
    """Sums of the channels ``right`` of the image ``second`` by the ``weights``, channels of
    ``first``, an image of one pixel."""
    mixed = right.channels.swapaxes(-1, -2)  # (…, 1, summed)
    weights, mixed = np.broadcast_arrays(weights, mixed)
    _check_size(reader, node, weights)
    products = reader.emit(
        Mul(
            gathered(reader, second, mixed, f"{output}, mixed"),
            gathered(reader, first, weights, f"{output}, weights"),
            f"{output}, products",
        )
    )
    shape = (*weights.shape[:-1], 1)
    groups = int(np.prod(shape))
    ones = np.ones((groups, weights.shape[-1], 1, 1), np.float32)
    image = reader.emit(Conv(products, output, ones, np.zeros(groups, np.float32), groups=groups))
    return image, right.with_channels(shape)


def _check_size(reader: OnnxReader, node: onnx.NodeProto, channels: Numbers) -> None:
    if channels.size > MOST_CHANNELS:
        raise reader.unsupported(
            node,
            f"of two computed matrices, {channels.size} products of channels",
            f"more heads, so that they are {MOST_CHANNELS} at most",
        )
