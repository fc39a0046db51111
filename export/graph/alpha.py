"""A graph of RGBA in place of one of RGB: alpha is ignored, and comes out opaque.

The convolutions that read the image get a fourth input channel of zero weights, those that make the
upscaled one a fourth output channel, constant, for each of its pixels. All else, and every sample
of R, G and B, stays as it was, in int8 too. Where the output is made by other nodes, a 1×1
convolution adds the constant at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ailsr.export.graph.graph import (
    Add,
    Array,
    Clamp,
    Clip,
    Conv,
    Crop,
    DepthToSpace,
    Graph,
    Node,
    Pad,
)
from ailsr.export.graph.quantization import QParams, Quantization, pixels_of
from ailsr.export.graph.rewiring import renamed
from ailsr.export.graph.weights import LARGEST

COLORS = 3


def with_alpha(
    graph: Graph, quantization: Quantization | None = None
) -> tuple[Graph, Quantization | None]:
    """``graph``, of RGB, as one of RGBA, and its int8 parameters."""
    made = _Rewrite(graph, quantization)
    try:
        made.widen(graph.output, opaque=True, blocks=1)
        made.check_readers()
    except _OtherStructureError:
        made = _Rewrite(*_with_last_convolution(graph, quantization))
        made.widen(graph.output, opaque=True, blocks=1)
    made.take_alpha()
    shape = (COLORS + 1, *graph.input_shape[1:])
    return replace(graph, nodes=tuple(made.nodes), input_shape=shape), made.quantization


class _OtherStructureError(Exception):
    """The output is made by nodes that cannot add a constant channel."""


class _Rewrite:
    """A graph on its way to RGBA."""

    def __init__(self, graph: Graph, quantization: Quantization | None) -> None:
        self.graph, self.quantization = graph, quantization
        self.nodes = list(graph.nodes)
        self._widened: dict[str, tuple[bool, int]] = {}
        """(opaque, blocks) of the tensors that have the constant channel."""

    def widen(self, tensor: str, opaque: bool, blocks: int) -> None:
        """Let ``tensor``, of ``blocks`` times R, G and B, have a constant after each: 1 or more
        where it is ``opaque``, else 0."""
        if self._widened.setdefault(tensor, (opaque, blocks)) != (opaque, blocks):
            raise _OtherStructureError
        node = next((node for node in self.nodes if node.output == tensor), None)
        match node:
            case Conv(groups=1) if _within(node.clamp, opaque):
                self._replace(node, self._with_constant(node, opaque, blocks))
            case DepthToSpace():
                self.widen(node.input, opaque, blocks * node.block**2)
            case Pad() | Crop():
                self.widen(node.input, opaque, blocks)
            case Clip() if _within(node.clamp, opaque):
                self.widen(node.input, opaque, blocks)
            case Add() if _within(node.clamp, opaque) and self._is_sum(node):
                lit = self._brightest(node) if opaque else node.first
                dark = node.second if lit == node.first else node.first
                self.widen(lit, opaque, blocks)
                self.widen(dark, False, blocks)
            case _:
                raise _OtherStructureError

    def check_readers(self) -> None:
        """Raise _OtherStructureError where a node reads the constant that can make nothing of
        it."""
        for tensor, (_, blocks) in self._widened.items():
            for reader in self.graph.consumers(tensor):
                can = isinstance(reader, Conv) and reader.groups == 1 and blocks == 1
                if not can and reader.output not in self._widened:
                    raise _OtherStructureError

    def take_alpha(self) -> None:
        """Give the nodes that read a fourth channel, of the image or a constant, zero weights."""
        wide = [self.graph.input, *self._widened]
        for tensor in wide:
            for reader in [node for node in self.nodes if tensor in node.inputs]:
                if reader.output in self._widened and not isinstance(reader, Conv):
                    continue
                if isinstance(reader, Conv) and reader.groups == 1:
                    zeros = ((0, 0), (0, 1), (0, 0), (0, 0))
                    self._replace(reader, replace(reader, weight=np.pad(reader.weight, zeros)))
                elif isinstance(reader, Pad | Crop):
                    wide.append(reader.output)
                else:
                    self._narrow(tensor, reader)

    def _narrow(self, tensor: str, reader: Node) -> None:
        """Let ``reader`` read R, G and B of ``tensor`` alone, copied by a convolution."""
        colors = f"{tensor}_rgb_for_{reader.output}"
        place = self._place(reader)
        weight = np.eye(COLORS, COLORS + 1, dtype=np.float32)[:, :, None, None]
        copy = Conv(tensor, colors, weight, np.zeros(COLORS, np.float32))
        self.nodes[place : place + 1] = [copy, *renamed([reader], {tensor: colors})]
        if self.quantization is not None:
            params = self.quantization.tensors
            self._requantize(tensors=params | {colors: params[tensor]})

    def _with_constant(self, node: Conv, opaque: bool, blocks: int) -> Conv:
        if opaque and not self._holds_one(node.output):
            raise _OtherStructureError

        def between(values: Array, constant: float) -> Array:
            grouped = values.reshape(blocks, COLORS, *values.shape[1:])
            more = np.full((blocks, 1, *values.shape[1:]), constant, values.dtype)
            return np.concatenate([grouped, more], 1).reshape(-1, *values.shape[1:])

        bias = self._one(node.output) if opaque else 0.0
        if self.quantization and node.output in (scales := self.quantization.weight_scales):
            widened = between(scales[node.output], 1 / LARGEST)
            self._requantize(weight_scales=scales | {node.output: widened})
        return replace(node, weight=between(node.weight, 0.0), bias=between(node.bias, bias))

    def _holds_one(self, tensor: str) -> bool:
        """True if ``tensor`` has a level for 1, or one above."""
        if self.quantization is None:
            return True
        params = self.quantization.tensors[tensor]
        return self._has_pixels(params) or params.ends[1] >= 1

    def _one(self, tensor: str) -> float:
        """1, or the highest level where that is none of the levels: it ends as 255, too."""
        if self.quantization is None:
            return 1.0
        params = self.quantization.tensors[tensor]
        return 1.0 if self._has_pixels(params) else params.ends[1]

    def _has_pixels(self, params: QParams) -> bool:
        """True if pixels are levels of ``params``."""
        return params == pixels_of(self.graph, params.bits)

    def _brightest(self, node: Add) -> str:
        """The input of ``node`` that has a level for 1, if any."""
        return node.first if self._holds_one(node.first) else node.second

    def _is_sum(self, node: Add) -> bool:
        """True if both inputs are of the shape of the sum, and not the same."""
        shapes = self.graph.shapes
        return shapes[node.first] == shapes[node.second] and node.first != node.second

    def _replace(self, node: Node, other: Node) -> None:
        self.nodes[self._place(node)] = other

    def _place(self, node: Node) -> int:
        return [other.output for other in self.nodes].index(node.output)

    def _requantize(self, **changes: object) -> None:
        assert self.quantization is not None
        self.quantization = replace(self.quantization, **changes)  # type: ignore[arg-type]


def _within(clamp: Clamp, opaque: bool) -> bool:
    """True if ``clamp`` leaves the constant as it is."""
    return clamp[0] <= (1 if opaque else 0) <= clamp[1]


def _with_last_convolution(
    graph: Graph, quantization: Quantization | None
) -> tuple[Graph, Quantization | None]:
    """An equal graph, whose output is copied by a convolution at the end."""
    inner = f"{graph.output}_rgb"
    weight = np.eye(COLORS, dtype=np.float32)[:, :, None, None]
    copy = Conv(inner, graph.output, weight, np.zeros(COLORS, np.float32))
    nodes = (*renamed(graph.nodes, {graph.output: inner}), copy)
    if quantization is not None:
        names = {graph.output: inner}
        tensors = {names.get(name, name): value for name, value in quantization.tensors.items()}
        scales = {names.get(n, n): value for n, value in quantization.weight_scales.items()}
        quantization = replace(
            quantization,
            tensors=tensors | {graph.output: pixels_of(graph, quantization.bits)},
            weight_scales=scales,
            real=frozenset(names.get(tensor, tensor) for tensor in quantization.real),
        )
    return replace(graph, nodes=nodes), quantization
