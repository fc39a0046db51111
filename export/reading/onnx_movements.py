"""ONNX nodes that move samples or change the size of the picture.

What only moves samples is collected and recognised (``rearrangement.py``); what changes the size
becomes convolutions and pixel shuffles where that is cheap (``resampling.py``).
"""

# ruff: noqa: N802 - a handler is called as its operator

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ailsr.export.graph.channel_map import ChannelMap
from ailsr.export.graph.graph import Concat, Conv, DepthToSpace, Pad, Resize
from ailsr.export.reading.onnx_reader import OnnxReader
from ailsr.export.reading.rearrangement import Numbers
from ailsr.export.reading.resampling import interpolation, interpolation_kernel, nearest

Attributes = dict[str, Any]
FEW = 4
"""Up to so many channels, interpolation is cheaper as a convolution than as an operator."""
COPYING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}
"""Of a nearest Resize by a whole factor: what repeats each sample."""


class Movements(OnnxReader):
    """The handlers of these operators."""

    def _Concat(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        axis = attributes["axis"]
        if axis in (1, -3) and self.is_picture(node.input[0]):
            tensors = tuple(map(self.tensor, node.input))
            if len({self.shapes[tensor][1:] for tensor in tensors}) > 1:
                raise self.unsupported(node, "of pictures of unlike size")
            self.emit(Concat(tensors, node.output[0]))
            return
        parts = [self.moved(name) for name in node.input]
        if len({part.source for part in parts}) > 1:
            raise self.unsupported(node, f"along axis {axis}, not along the channels")
        joined = np.concatenate([part.numbers for part in parts], axis)
        self.move(node, [replace(parts[0], numbers=joined)])

    def _DepthToSpace(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        tensor, block = self.tensor(node.input[0]), attributes["blocksize"]
        if attributes.get("mode", b"DCR") == b"CRD":
            order = ChannelMap.crd_to_dcr(self.shapes[tensor][0], block)
            tensor = self.emit(order.conv(tensor, f"{node.output[0]}, reordered"))
        self.emit(DepthToSpace(tensor, node.output[0], block))

    def _SpaceToDepth(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        block = attributes["blocksize"]

        def move(numbers: Numbers) -> Numbers:
            n, c, h, w = numbers.shape
            blocks = numbers.reshape(n, c, h // block, block, w // block, block)
            return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block, w // block)

        self._move(node, move)

    def _Reshape(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        shape = self.integers(node, 1, "shape") or []
        before = self.moved(node.input[0]).numbers.shape
        if not attributes.get("allowzero", 0):
            shape = [side or before[axis] for axis, side in enumerate(shape)]
        self._move(node, lambda numbers: numbers.reshape(shape))

    def _Transpose(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._move(node, lambda numbers: numbers.transpose(attributes.get("perm")))

    def _Unsqueeze(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        axes = tuple(self.integers(node, 1, "axes") or ())
        self._move(node, lambda numbers: np.expand_dims(numbers, axes))

    def _Squeeze(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        axes = self.integers(node, 1, "axes")
        chosen = None if axes is None else tuple(axes)
        self._move(node, lambda numbers: np.squeeze(numbers, chosen))

    def _Expand(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        shape = self.integers(node, 1) or []

        def move(numbers: Numbers) -> Numbers:
            return np.broadcast_to(numbers, np.broadcast_shapes(numbers.shape, tuple(shape)))

        self._move(node, move)

    def _Tile(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        repeats = self.integers(node, 1) or []
        self._move(node, lambda numbers: np.tile(numbers, repeats))

    def _Gather(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        if self.is_constant(node.input[0]):
            raise self.unsupported(node, "of a constant")
        indices, axis = self.array(node, 1), attributes.get("axis", 0)
        self._move(node, lambda numbers: np.take(numbers, indices, axis))

    def _Slice(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        starts = self.integers(node, 1, "starts") or []
        ends = self.integers(node, 2, "ends") or []
        axes = self.integers(node, 3, "axes") or range(len(starts))
        steps = self.integers(node, 4) or [1] * len(starts)
        parts: dict[int, slice] = {}
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            parts[axis] = slice(start, None if step < 0 and end < -(2**31) else end, step)

        def move(numbers: Numbers) -> Numbers:
            whole = [slice(None)] * numbers.ndim
            for axis, part in parts.items():
                whole[axis] = part
            return numbers[tuple(whole)]

        self._move(node, move)

    def _Split(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        moved, axis = self.moved(node.input[0]), attributes.get("axis", 0)
        sizes = self.integers(node, 1, "split")
        if sizes is None:
            size = -(-moved.numbers.shape[axis] // len(node.output))
            sizes = [size] * len(node.output)
        ends = np.cumsum(sizes)[:-1]
        parts = np.split(moved.numbers, ends, axis)
        self.move(node, [replace(moved, numbers=part) for part in parts])

    def _move(self, node: onnx.NodeProto, move: Callable[[Numbers], Numbers]) -> None:
        self.move(node, [self.moved(node.input[0]).then(move)])

    # Borders and sizes

    def _Pad(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        pads = self.integers(node, 1, "pads") or []
        top, left, bottom, right = pads[2], pads[3], pads[6], pads[7]
        mode = attributes.get("mode", b"constant").decode()
        value = self.floats(node, 2).item() if len(node.input) > 2 and node.input[2] else 0.0
        tensor, output = self.tensor(node.input[0]), node.output[0]
        if any(pads[:2] + pads[4:6]) or min(pads) < 0 or len(node.input) > 3:
            raise self.unsupported(node, f"by {pads}")
        if mode in ("reflect", "edge"):
            self.emit(Pad(tensor, output, (top, left, bottom, right), mode))
        elif mode == "constant" and value == 0:  # folded into the convolutions that read it
            copy = ChannelMap.in_place(self.shapes[tensor][0]).conv(tensor, output)
            self.emit(Conv(tensor, output, copy.weight, copy.bias, (top, left, bottom, right)))
        else:
            raise self.unsupported(node, f"{mode} padding", "reflect, replicate or zero padding")

    def _Resize(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        tensor, output = self.tensor(node.input[0]), node.output[0]
        channels, *before = self.shapes[tensor]
        size = self._resized(node, before)
        block, rest = np.divmod(size, before)
        whole = int(block[0]) if block[0] == block[1] >= 1 and not rest.any() else 0
        mode = attributes.get("mode", b"nearest").decode()
        place = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
        centred = place == "half_pixel" or (place == "pytorch_half_pixel" and min(size) > 1)
        rounding = attributes.get("nearest_mode", b"round_prefer_floor").decode()
        if mode == "nearest" and whole and (place, rounding) in COPYING:
            self.emit(*nearest(tensor, output, whole))
        elif mode == "linear" and centred and not (whole and channels <= FEW):
            self.emit(Resize(tensor, output, size))
        elif mode in ("linear", "cubic") and centred and whole:
            cubic = attributes.get("cubic_coeff_a", -0.75) if mode == "cubic" else None
            if attributes.get("exclude_outside", 0) or attributes.get("antialias", 0):
                raise self.unsupported(node, "with exclude_outside or antialias")
            kernel = interpolation_kernel(whole, cubic)
            self.emit(*interpolation(tensor, output, channels, whole, kernel))
        else:
            raise self.unsupported(
                node,
                f"{mode} ({place}) from {before[0]}x{before[1]} to {size[0]}x{size[1]}",
                "a whole factor and align_corners=False",
            )

    def _resized(self, node: onnx.NodeProto, before: list[int]) -> tuple[int, int]:
        """(height, width) to which ``node`` resizes a picture of the size ``before``."""
        if len(node.input) > 3 and node.input[3]:
            height, width = [int(side) for side in self.array(node, 3)][-2:]
        else:
            scales = self.floats(node, 2 if len(node.input) > 2 else 1)[-2:]
            height, width = (int(s * f + 1e-4) for s, f in zip(before, scales, strict=True))
        return height, width

    def _Upsample(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        if attributes.get("mode", b"nearest") != b"nearest":
            raise self.unsupported(node, "that interpolates", "Resize with half-pixel centres")
        tensor = self.tensor(node.input[0])
        scales = self.floats(node, 1).tolist()
        if scales[2] != scales[3] or scales[2] % 1:
            raise self.unsupported(node, f"by {scales}", "a whole factor")
        self.emit(*nearest(tensor, node.output[0], int(scales[2])))
