"""The range of every channel of a graph over images, from which int8 takes its scales.

The float32 file is run with a ReduceMin and a ReduceMax on each tensor, so only two numbers per
channel leave onnxruntime and memory stays that of one inference. A tensor's range is that of its
furthest-reaching channels and images: the images on which the float network's own activations
reach furthest decide. Those of a large folder are not all used (``samples.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from ailsr.export.graph.graph import (
    Array,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    Graph,
    MaxPool,
    MinMax,
    Pad,
    PRelu,
    Resize,
)
from ailsr.export.graph.quantization import SAME_SCALE, Range, copies_channels
from ailsr.export.graph.rewrites import halves_of
from ailsr.export.graph.sizes import fixed_size
from ailsr.export.targets.onnx.model import float_model
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.errors import UsageError
from ailsr.runtime.upscaling.tiles import Size

TILE = 256
"""Larger images are cut into tiles of this side, to bound the memory."""
MIN_SIDE = 8
"""Pixels; images with a smaller side are passed over: they are mostly border."""

ChannelRanges = dict[str, tuple[Array, Array]]
"""By tensor: the lowest and the highest value of each channel, (channels,)."""


def channel_ranges(graph: Graph, images: Iterable[Levels]) -> ChannelRanges:
    """(lowest, highest) values of each tensor of ``graph`` over low-resolution ``images``.

    Only tensors that a node computes: the input is left out, and what is only rearranged. Raises
    UsageError when no image is large enough.
    """
    tensors = [node.output for node in graph.nodes if not isinstance(node, SAME_SCALE)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.log_severity_level = 4  # fatal: errors come as exceptions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        _with_extremes(graph, tensors).SerializeToString(), options, ["CPUExecutionProvider"]
    )
    channels = [graph.shapes[tensor][0] for tensor in tensors]
    lowest = [np.full(count, np.inf, np.float32) for count in channels]
    highest = [np.full(count, -np.inf, np.float32) for count in channels]
    low, high = graph.ends
    for image in images:
        for tile in _tiles(image, graph.input_shape[1:] if fixed_size(graph) else None):
            batch = tile.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
            if graph.ends != (0, 1):
                batch = np.float32(low) + batch * np.float32(high - low)
            extremes = session.run(None, {graph.input: batch})
            lowest = list(map(np.minimum, lowest, extremes[: len(tensors)]))
            highest = list(map(np.maximum, highest, extremes[len(tensors) :]))
    if np.isinf(lowest[0]).any():
        raise UsageError(
            f"no image to calibrate with: each is under {MIN_SIDE} pixels a side after it is "
            "reduced by the scale; name a folder of larger ones with --calibration"
        )
    return dict(zip(tensors, zip(lowest, highest, strict=True), strict=True))


def ranges_of_copies(graph: Graph, channels: ChannelRanges) -> ChannelRanges:
    """``channels`` with those of the tensors of ``graph`` that copy, by a convolution, others whose
    ranges are known or follow from known ones."""
    known = dict(channels)
    known[graph.input] = _pixels(graph)
    for node in graph.nodes:
        inputs = [known.get(tensor) for tensor in node.inputs]
        sources = [pair for pair in inputs if pair is not None]
        if node.output in known or len(sources) < len(inputs):
            continue
        match node:
            case Conv() if copies_channels(node) and len(node.weight) == len(sources[0][0]):
                known[node.output] = sources[0]
            case Concat():
                low, high = (np.concatenate(ends) for ends in zip(*sources, strict=True))
                known[node.output] = low, high
            case DepthToSpace(block=block):
                low, high = (end.reshape(block**2, -1) for end in sources[0])
                known[node.output] = low.min(axis=0), high.max(axis=0)
            case MinMax():
                low, high = (np.stack(ends) for ends in zip(*sources, strict=True))
                known[node.output] = low.min(axis=0), high.max(axis=0)
            case Pad() | Crop() | MaxPool() | Resize():
                known[node.output] = sources[0]
            case _:
                pass
    moved = {node.output for node in graph.nodes if isinstance(node, SAME_SCALE)}
    return {tensor: known[tensor] for tensor in known.keys() - moved - {graph.input}}


def ranges_of_halves(graph: Graph, channels: ChannelRanges) -> ChannelRanges:
    """The ranges of relu(x) beside relu(−x) for every x that a PReLU of ``graph`` reads, by their
    names in ``prelu_as_two_relu``; ``channels`` are the ranges of ``graph``."""
    found = {}
    for node in graph.nodes:
        if isinstance(node, PRelu) and node.input in channels:
            low, high = channels[node.input]
            ends = [np.concatenate([end, -other]) for end, other in ((low, high), (high, low))]
            found[halves_of(node)] = np.maximum(ends[0], 0), np.maximum(ends[1], 0)
    return found


def _pixels(graph: Graph) -> tuple[Array, Array]:
    low, high = (np.full(graph.input_shape[0], end, np.float32) for end in graph.ends)
    return low, high


def ranges(channels: Mapping[str, tuple[Array, Array]]) -> dict[str, Range]:
    """(lowest, highest) value of each tensor."""
    return {
        tensor: (float(low.min()), float(high.max())) for tensor, (low, high) in channels.items()
    }


def _with_extremes(graph: Graph, tensors: list[str]) -> ModelProto:
    """The float model for images of any size, with the minima, then the maxima of each tensor's
    channels as its outputs."""
    model = float_model(graph)
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.output[:]
    rows = [f"{tensor}_rows" for tensor in tensors]  # (images, channels, pixels): soon reduced
    model.graph.initializer.append(helper.make_tensor("rows", TensorProto.INT64, [3], [0, 0, -1]))
    for tensor, row in zip(tensors, rows, strict=True):
        model.graph.node.append(helper.make_node("Reshape", [tensor, "rows"], [row]))
    for operator, row in product(("ReduceMin", "ReduceMax"), rows):
        name = f"{row}_{operator}"
        model.graph.node.append(helper.make_node(operator, [row], [name], axes=[0, 2], keepdims=0))
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return model


def _tiles(image: Levels, size: Size | None) -> Iterator[NDArray[np.uint8]]:
    """Tiles that cover ``image``; the last of a row or column overlaps the one before.

    With a ``size``, (height, width), they are of that, the image mirrored where it is smaller.
    """
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        return
    down, right = size or (TILE, TILE)
    if size is not None:
        missing = (0, max(0, down - height)), (0, max(0, right - width)), (0, 0)
        image = np.pad(image, missing, "symmetric")
        height, width = image.shape[:2]
    for y, x in product(range(0, height, down), range(0, width, right)):
        top, left = max(0, min(y, height - down)), max(0, min(x, width - right))
        yield image[top : top + down, left : left + right]
