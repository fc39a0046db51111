"""The nodes of a graph as MIL operators, emitted into coremltools' builder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    UNBOUNDED,
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
    Node,
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.padding import padded_by_slices

Var = Any  # coremltools has no types
"""A tensor of a MIL program."""
Number = type[np.float32] | type[np.float16]
UNIT = "__unit"
"""Ending of the names of the input and the output in units of 1, next to the images themselves."""


def _names(graph: Graph) -> dict[str, str]:
    """A MIL identifier for each tensor. What is derived from one has a ``__``, which none has."""
    names = {graph.input: graph.input + UNIT, graph.output: graph.output + UNIT}
    taken = {graph.input, graph.output}
    for tensor in graph.shapes:
        if tensor in names:
            continue
        identifier = re.sub("[^0-9A-Za-z]+", "_", tensor).strip("_")
        if not identifier[:1].isalpha():
            identifier = f"t_{identifier}"
        while identifier in taken:
            identifier += "x"
        taken.add(identifier)
        names[tensor] = identifier
    return names


class Translator:
    """Emits the nodes of a graph as MIL operators into the builder's current function."""

    def __init__(self, builder: Any, graph: Graph, number: Number) -> None:  # noqa: ANN401
        self.mb = builder
        self.graph = graph
        self.number = number
        self.names = _names(graph)
        self.variables: dict[str, Var] = {}

    def translate(self, image: Var) -> Var:
        """The output image's variable, after emitting everything between it and ``image``."""
        half = self.number is np.float16
        if half:
            image = self.mb.cast(x=image, dtype="fp16", name=f"{self.graph.input}__float16")
        self.begin(image)
        for node in self.graph.nodes:
            inputs = [self.read(tensor, node) for tensor in node.inputs]
            self.store(node.output, self.emit(node, inputs, self.names[node.output]))
        pixels = self.end(f"{self.graph.output}__float16" if half else self.graph.output)
        return self.mb.cast(x=pixels, dtype="fp32", name=self.graph.output) if half else pixels

    def begin(self, image: Var) -> None:
        """Store the graph's input, made from ``image`` in 0 to 255."""
        name = self.names[self.graph.input]
        self.store(self.graph.input, self.mb.mul(x=image, y=self.number(1 / 255), name=name))

    def end(self, name: str) -> Var:
        """The graph's output as whole numbers from 0 to 255."""
        out = self.mb.mul(x=self.load(self.graph.output), y=self.number(255), name=f"{name}__255")
        out = self.mb.clip(x=out, alpha=self.number(0), beta=self.number(255), name=f"{name}__clip")
        return self.mb.round(x=out, name=name)

    def read(self, tensor: str, node: Node) -> Var:
        """The variable that ``node`` reads of a tensor of the graph."""
        return self.load(tensor)

    def load(self, tensor: str) -> Var:
        """The variable that holds a tensor of the graph."""
        return self.variables[tensor]

    def store(self, tensor: str, value: Var) -> None:
        """Let ``value`` hold a tensor of the graph."""
        self.variables[tensor] = value

    def parameters(self, node: Conv) -> tuple[Var, NDArray[Any]]:
        """Weight and bias of a convolution."""
        return node.weight.astype(self.number), node.bias.astype(self.number)

    def emit(self, node: Node, inputs: list[Var], name: str) -> Var:
        """The result of one node."""
        match node:
            case Conv(pads=(top, left, bottom, right)):
                weight, bias = self.parameters(node)
                out = self.mb.conv(
                    x=inputs[0],
                    weight=weight,
                    bias=bias,
                    strides=node.stride,
                    dilations=node.dilation,
                    groups=node.groups,
                    pad_type="custom",
                    pad=(top, bottom, left, right),
                    name=self.linear(name, node.clamp),
                )
                return self.clamp(out, node.clamp, name)
            case Add(clamp=clamp):
                out = self.mb.add(x=inputs[0], y=inputs[1], name=self.linear(name, clamp))
                return self.clamp(out, clamp, name)
            case Mul(clamp=clamp):
                out = self.mb.mul(x=inputs[0], y=inputs[1], name=self.linear(name, clamp))
                return self.clamp(out, clamp, name)
            case MinMax():
                choose = self.mb.maximum if node.function == "max" else self.mb.minimum
                return choose(x=inputs[0], y=inputs[1], name=name)
            case Pointwise():
                return self.pointwise(node.function, inputs[0], name)
            case Clip(clamp=clamp):
                return self.clamp(inputs[0], clamp, name)
            case PRelu(slope=slope):
                return self.mb.prelu(x=inputs[0], alpha=slope.astype(self.number), name=name)
            case Concat():
                return self.mb.concat(values=inputs, axis=1, name=name)
            case DepthToSpace(block=block):
                # DCR, as in TensorFlow: coremltools translates TensorFlow's operator to this one.
                return self.mb.depth_to_space(x=inputs[0], block_size=block, name=name)
            case Pad() if node.sliced:
                return self.pad_by_slices(node, inputs[0], name)
            case Pad(pads=(top, left, bottom, right), mode=mode):
                return self.mb.pad(
                    x=inputs[0],
                    pad=(top, bottom, left, right),
                    mode={"reflect": "reflect", "edge": "replicate"}[mode],
                    constant_val=self.number(0),  # unused, but its type must be that of x
                    name=name,
                )
            case Crop(border=(top, left, bottom, right)):
                height, width = (None if not side else -side for side in (bottom, right))
                return self.mb.slice_by_index(
                    x=inputs[0],
                    begin=[0, 0, top, left],
                    end=[0, 0, height or 0, width or 0],
                    begin_mask=[True, True, False, False],
                    end_mask=[True, True, height is None, width is None],
                    name=name,
                )
            case Normalize():
                return self.normalize(node, inputs[0], name)
            case Mean():
                return self.mb.reduce_mean(x=inputs[0], axes=[2, 3], keep_dims=True, name=name)
            case MaxPool(kernel=kernel, stride=stride):
                return self.mb.max_pool(
                    x=inputs[0], kernel_sizes=kernel, strides=stride, pad_type="valid", name=name
                )
            case Resize(size=(height, width)):
                return self.mb.resize_bilinear(
                    x=inputs[0],
                    target_size_height=height,
                    target_size_width=width,
                    sampling_mode="STRICT_ALIGN_CORNERS" if node.corners else "UNALIGN_CORNERS",
                    name=name,
                )
            case _:
                assert_never(node)

    def pointwise(self, function: Function, x: Var, name: str) -> Var:
        """``function`` of each sample of ``x``."""
        match function:
            case "gelu":
                return self.mb.gelu(x=x, mode="EXACT", name=name)
            case "gelu_tanh":
                return self.mb.gelu(x=x, mode="TANH_APPROXIMATION", name=name)
            case "sigmoid":
                return self.mb.sigmoid(x=x, name=name)
            case "tanh":
                return self.mb.tanh(x=x, name=name)
            case "sqrt":
                return self.mb.sqrt(x=x, name=name)
            case "exp":
                return self.mb.exp(x=x, name=name)
            case "reciprocal":  # its operator "inverse" adds an epsilon
                return self.mb.real_div(x=self.number(1), y=x, name=name)
            case "softplus":
                return self.mb.softplus(x=x, name=name)
            case "erf":
                return self.mb.erf(x=x, name=name)
            case _:
                assert_never(function)

    def normalize(self, node: Normalize, x: Var, name: str) -> Var:
        """The normalisation of ``x``, operator by operator."""
        axes = [1] if node.over == "channels" else [2, 3]
        if node.centred:
            mean = self.mb.reduce_mean(x=x, axes=axes, keep_dims=True, name=f"{name}__mean")
            x = self.mb.sub(x=x, y=mean, name=f"{name}__centred")
        square = self.mb.mul(x=x, y=x, name=f"{name}__square")
        variance = self.mb.reduce_mean(
            x=square, axes=axes, keep_dims=True, name=f"{name}__variance"
        )
        epsilon = self.number(max(node.epsilon, float(np.finfo(self.number).tiny)))
        scale = self.mb.rsqrt(x=variance, epsilon=epsilon, name=f"{name}__scale")
        return self.mb.mul(x=x, y=scale, name=name)

    def pad_by_slices(self, node: Pad, x: Var, name: str) -> Var:
        """The border of ``node`` around ``x`` as slices joined to it."""

        def cut(x: Var, axis: int, place: int) -> Var:
            whole = [dimension != axis + 1 for dimension in range(4)]
            line = self.mb.slice_by_index(
                x=x,
                begin=[0 if masked else place for masked in whole],
                end=[0 if masked else place + 1 for masked in whole],
                begin_mask=whole,
                end_mask=[masked or place == -1 for masked in whole],
                name=f"{name}__{'row' if axis == 1 else 'column'}_{place}".replace("-", "last_"),
            )
            return self.between(line, node)

        def join(parts: Sequence[Var], axis: int, last: bool) -> Var:
            joined = name if last else f"{name}__rows"
            x = self.mb.concat(values=parts, axis=axis + 1, name=joined)
            return x if last else self.between(x, node)

        return padded_by_slices(node, x, cut, join)

    def between(self, value: Var, node: Node) -> Var:
        """``value``, made on the way to the result of ``node``, as its next operator reads it."""
        return value

    def clamp(self, x: Var, clamp: Clamp, name: str) -> Var:
        """``x`` within its bounds, by the cheapest operator that does it."""
        low, high = clamp
        if clamp == UNBOUNDED:
            return x
        if clamp == (0, np.inf):
            return self.mb.relu(x=x, name=name)
        if clamp == (0, 6):
            return self.mb.relu6(x=x, name=name)
        if high == np.inf:
            return self.mb.maximum(x=x, y=self.number(low), name=name)
        if low == -np.inf:
            return self.mb.minimum(x=x, y=self.number(high), name=name)
        return self.mb.clip(x=x, alpha=self.number(low), beta=self.number(high), name=name)

    @staticmethod
    def linear(name: str, clamp: Clamp) -> str:
        """The name of a result that is still to be clamped."""
        return name if clamp == UNBOUNDED else f"{name}__linear"
