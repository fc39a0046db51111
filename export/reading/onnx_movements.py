"""ONNX nodes that move samples or change the size of the image.

What only moves samples is collected and recognised (``rearrangement.py``); what changes the size
becomes convolutions and pixel shuffles where that is cheap (``resampling.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx

from ailsr.export.graph.channel_map import ChannelMap
from ailsr.export.graph.graph import Concat, Conv, DepthToSpace, MaxPool, Pad, Resize
from ailsr.export.reading.onnx_reader import Handler, OnnxReader, attributes_of
from ailsr.export.reading.rearrangement import Numbers, Rearrangement
from ailsr.export.reading.resampling import interpolation, interpolation_kernel, nearest

CHEAP_CHANNELS = 4
"""Channels up to which interpolation is cheaper as a convolution than as an operator."""
COPYING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}
"""(coordinates, rounding) by which a nearest Resize by a whole factor repeats each sample."""


def concat(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    axis = attributes["axis"]
    if any(map(reader.is_constant, node.input)):
        raise reader.unsupported(node, "with a constant image", "an image that is computed")
    if axis in (1, -3) and reader.is_image(node.input[0]):
        tensors = tuple(map(reader.tensor, node.input))
        if len({reader.shapes[tensor][1:] for tensor in tensors}) > 1:
            raise reader.unsupported(node, "of images of unlike size")
        reader.emit(Concat(tensors, node.output[0]))
        return
    parts = Rearrangement.with_common_sources([reader.moved(name) for name in node.input])
    joined = np.concatenate([part.numbers for part in parts], axis)
    reader.move(node, [replace(parts[0], numbers=joined)])


def depth_to_space(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    tensor, block = reader.tensor(node.input[0]), attributes["blocksize"]
    if attributes.get("mode", b"DCR") == b"CRD":
        order = ChannelMap.crd_to_dcr(reader.shapes[tensor][0], block)
        tensor = reader.emit(order.conv(tensor, f"{node.output[0]}, reordered"))
    reader.emit(DepthToSpace(tensor, node.output[0], block))


def space_to_depth(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    block = attributes["blocksize"]

    def move(numbers: Numbers) -> Numbers:
        n, c, h, w = numbers.shape
        blocks = numbers.reshape(n, c, h // block, block, w // block, block)
        return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block, w // block)

    _move(reader, node, move)


def reshape(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    shape = reader.integers(node, 1, "shape") or []
    before = reader.moved(node.input[0]).numbers.shape
    if not attributes.get("allowzero", 0):
        shape = [side or before[axis] for axis, side in enumerate(shape)]
    _move(reader, node, lambda numbers: numbers.reshape(shape))


def transpose(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    _move(reader, node, lambda numbers: numbers.transpose(attributes.get("perm")))


def unsqueeze(reader: OnnxReader, node: onnx.NodeProto) -> None:
    axes = tuple(reader.integers(node, 1, "axes") or ())
    _move(reader, node, lambda numbers: np.expand_dims(numbers, axes))


def squeeze(reader: OnnxReader, node: onnx.NodeProto) -> None:
    axes = reader.integers(node, 1, "axes")
    chosen = None if axes is None else tuple(axes)
    _move(reader, node, lambda numbers: np.squeeze(numbers, chosen))


def expand(reader: OnnxReader, node: onnx.NodeProto) -> None:
    shape = reader.integers(node, 1) or []

    def move(numbers: Numbers) -> Numbers:
        return np.broadcast_to(numbers, np.broadcast_shapes(numbers.shape, tuple(shape)))

    _move(reader, node, move)


def tile(reader: OnnxReader, node: onnx.NodeProto) -> None:
    repeats = reader.integers(node, 1) or []
    _move(reader, node, lambda numbers: np.tile(numbers, repeats))


def gather(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    if reader.is_constant(node.input[0]):
        raise reader.unsupported(node, "of a constant")
    indices, axis = reader.array(node, 1), attributes.get("axis", 0)
    _move(reader, node, lambda numbers: np.take(numbers, indices, axis))


def cut(reader: OnnxReader, node: onnx.NodeProto) -> None:
    starts = reader.integers(node, 1, "starts") or []
    ends = reader.integers(node, 2, "ends") or []
    axes = reader.integers(node, 3, "axes") or range(len(starts))
    steps = reader.integers(node, 4) or [1] * len(starts)
    parts: dict[int, slice] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(start, None if step < 0 and end < -(2**31) else end, step)

    def move(numbers: Numbers) -> Numbers:
        whole = [slice(None)] * numbers.ndim
        for axis, part in parts.items():
            whole[axis] = part
        return numbers[tuple(whole)]

    _move(reader, node, move)


def split(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    moved, axis = reader.moved(node.input[0]), attributes.get("axis", 0)
    sizes = reader.integers(node, 1, "split")
    if sizes is None:
        size = -(-moved.numbers.shape[axis] // len(node.output))
        sizes = [size] * len(node.output)
    ends = np.cumsum(sizes)[:-1]
    parts = np.split(moved.numbers, ends, axis)
    reader.move(node, [replace(moved, numbers=part) for part in parts])


def scatter(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Assignment to a part of a tensor, or to all of a constant one."""
    attributes, indices = attributes_of(node), reader.array(node, 1)
    if attributes.get("reduction", b"none") != b"none":
        raise reader.unsupported(node, "that adds up")
    part = reader.moved(node.input[2])
    if reader.is_constant(node.input[0]):
        whole = replace(part, numbers=np.full(reader.array(node, 0).shape, -1, np.int32))
    else:
        whole, part = Rearrangement.with_common_sources([reader.moved(node.input[0]), part])
    numbers = whole.numbers.copy()
    if node.op_type == "ScatterElements":
        np.put_along_axis(numbers, indices, part.numbers, attributes.get("axis", 0))
    else:
        numbers[tuple(np.moveaxis(indices, -1, 0))] = part.numbers
    if (numbers < 0).any():
        raise reader.unsupported(
            node, "into a part of a constant image", "an image that is computed"
        )
    reader.move(node, [replace(whole, numbers=numbers)])


def _move(reader: OnnxReader, node: onnx.NodeProto, move: Callable[[Numbers], Numbers]) -> None:
    reader.move(node, [reader.moved(node.input[0]).then(move)])


# Borders and sizes


def pad(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    pads = reader.integers(node, 1, "pads") or []
    top, left, bottom, right = pads[2], pads[3], pads[6], pads[7]
    mode = attributes.get("mode", b"constant").decode()
    value = reader.floats(node, 2).item() if len(node.input) > 2 and node.input[2] else 0.0
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    if any(pads[:2] + pads[4:6]) or min(pads) < 0 or len(node.input) > 3:
        raise reader.unsupported(node, f"by {pads}")
    if mode in ("reflect", "edge"):
        reader.emit(Pad(tensor, output, (top, left, bottom, right), mode))
    elif mode == "constant" and value == 0:  # folded into the convolutions that read it
        copy = ChannelMap.in_place(reader.shapes[tensor][0]).conv(tensor, output)
        reader.emit(Conv(tensor, output, copy.weight, copy.bias, (top, left, bottom, right)))
    elif mode == "constant":
        shifted = reader.emit_map(tensor, f"{output}, shifted", offset=-value)
        copy = ChannelMap.in_place(reader.shapes[tensor][0]).conv(shifted, f"{output}, padded")
        padded = reader.emit(replace(copy, pads=(top, left, bottom, right)))
        reader.emit_map(padded, output, offset=value)
    else:
        raise reader.unsupported(node, f"{mode} padding", "reflect, replicate or constant padding")


def resize(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    channels, *before = reader.shapes[tensor]
    size = _resized(reader, node, before)
    block, rest = np.divmod(size, before)
    whole = int(block[0]) if block[0] == block[1] >= 1 and not rest.any() else 0
    part, rest = np.divmod(before, size)
    reduced = int(part[0]) if part[0] == part[1] > 1 and not rest.any() else 0
    mode = attributes.get("mode", b"nearest").decode()
    place = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    centred = place == "half_pixel" or (place == "pytorch_half_pixel" and min(size) > 1)
    rounding = attributes.get("nearest_mode", b"round_prefer_floor").decode()
    if mode == "nearest" and whole and (place, rounding) in COPYING:
        reader.emit(*nearest(tensor, output, whole))
    elif mode == "linear" and centred and not (whole and channels <= CHEAP_CHANNELS):
        reader.emit(Resize(tensor, output, size))
    elif mode == "linear" and place == "align_corners":
        reader.emit(Resize(tensor, output, size, corners=True))
    elif mode == "nearest" and reduced and (place, rounding) == ("asymmetric", "floor"):
        reader.emit(MaxPool(tensor, output, (1, 1), (reduced, reduced)))
    elif mode in ("linear", "cubic") and centred and whole:
        cubic = attributes.get("cubic_coeff_a", -0.75) if mode == "cubic" else None
        if attributes.get("exclude_outside", 0) or attributes.get("antialias", 0):
            raise reader.unsupported(node, "with exclude_outside or antialias")
        kernel = interpolation_kernel(whole, cubic)
        reader.emit(*interpolation(tensor, output, channels, whole, kernel))
    else:
        raise reader.unsupported(
            node,
            f"{mode} ({place}) from {before[0]}x{before[1]} to {size[0]}x{size[1]}",
            "a whole factor and align_corners=False",
        )


def _resized(reader: OnnxReader, node: onnx.NodeProto, before: list[int]) -> tuple[int, int]:
    """(height, width) to which ``node`` resizes an image of the size ``before``."""
    if len(node.input) > 3 and node.input[3]:
        height, width = [int(side) for side in reader.array(node, 3)][-2:]
    else:
        scales = reader.floats(node, 2 if len(node.input) > 2 else 1)[-2:]
        height, width = (int(s * f + 1e-4) for s, f in zip(before, scales, strict=True))
    return height, width


def upsample(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    if attributes.get("mode", b"nearest") != b"nearest":
        raise reader.unsupported(node, "that interpolates", "Resize with half-pixel centres")
    tensor = reader.tensor(node.input[0])
    scales = reader.floats(node, 1).tolist()
    if scales[2] != scales[3] or scales[2] % 1:
        raise reader.unsupported(node, f"by {scales}", "a whole factor")
    reader.emit(*nearest(tensor, node.output[0], int(scales[2])))


OPERATORS: dict[str, Handler] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Gather": gather,
    "Pad": pad,
    "Reshape": reshape,
    "Resize": resize,
    "ScatterElements": scatter,
    "ScatterND": scatter,
    "Slice": cut,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Upsample": upsample,
}
