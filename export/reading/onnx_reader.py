"""The tensors of an ONNX graph while its nodes are read, one by one, into those of a Graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ailsr.export.graph.channel_map import ChannelMap
from ailsr.export.graph.graph import Array, Node, Shape, output_shape
from ailsr.export.reading.rearrangement import Rearrangement
from ailsr.runtime.errors import UnsupportedOperatorError

ACTIVATIONS = "nn.ReLU, nn.PReLU, nn.Hardtanh, nn.Sigmoid, nn.SiLU or nn.GELU"
MOVEMENTS = "nn.functional.pixel_shuffle, torch.split, or repetition along the channels"
SUBSTITUTES = {
    "BatchNormalization": "batch normalisation folded into the convolution before it",
    "DFT": "a convolution in place of torch.fft",
    "Gemm": "a 1x1 convolution in place of nn.Linear",
    "GridSample": "a fixed convolution",
    "LayerNormalization": "normalisation over the channels",
    "MatMul": "a 1x1 convolution in place of nn.Linear, a product in place of self-attention",
    "ReduceMax": "a mean",
    "NonZero": "the same operators for all pixels",
    "Selu": ACTIVATIONS,
    "Softmax": "one over the channels of an image, or nn.Sigmoid",
    "TopK": "the same operators for all pixels",
    "Expand": MOVEMENTS,
    "Gather": MOVEMENTS,
    "Reshape": MOVEMENTS,
    "Slice": MOVEMENTS,
    "Tile": MOVEMENTS,
    "Transpose": MOVEMENTS,
}
"""By ONNX operator that not all targets have: its substitute."""


class OnnxReader:
    """The state while an ONNX graph is read: constants, tensors by name, and their shapes."""

    nodes: list[Node]

    def __init__(self, graph: onnx.GraphProto, places: Mapping[str, str]) -> None:
        """``places`` names for a tensor the module of the network that makes it, if known."""
        self.nodes = []
        self._places = places
        self._constants: dict[str, NDArray[Any]] = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        image = next(v for v in graph.input if v.name not in self._constants)
        channels, height, width = [d.dim_value for d in image.type.tensor_type.shape.dim][1:]
        self.input = image.name
        self.shapes: dict[str, Shape] = {image.name: (channels, height, width)}
        """Of our tensors."""
        self.unread: dict[str, onnx.NodeProto] = {}
        """By tensor: the nodes that make truth values, until another reads them."""
        self._aliases: dict[str, str] = {}
        self._moved: dict[str, tuple[Rearrangement, onnx.NodeProto]] = {}
        """Tensors that are only rearranged, each with the operator that did it last."""

    # Reading

    def tensor(self, name: str) -> str:
        """Our tensor that is the ONNX tensor ``name``, computed if it is not yet."""
        if name in self._moved:
            moved, node = self._moved.pop(name)
            nodes = moved.nodes(name)
            if nodes is None:
                raise self.unsupported(node, "moving samples as here")
            if nodes:
                self.emit(*nodes)
            else:
                self._aliases[name] = moved.sources[0]
        return self._aliases.get(name, name)

    def shape(self, name: str) -> Shape:
        """Of our tensor that is the ONNX tensor ``name``."""
        return self.shapes[self.tensor(name)]

    def moved(self, name: str) -> Rearrangement:
        """The ONNX tensor ``name`` as a rearrangement of one of our tensors."""
        if name in self._moved:
            return self._moved[name][0]
        tensor = self.tensor(name)
        return Rearrangement.of(tensor, self.shapes[tensor])

    def is_laid_out(self, name: str) -> bool:
        """True if the ONNX tensor ``name`` is rearranged as no target has it."""
        if name not in self._moved:
            return False
        moved, _ = self._moved[name]
        return moved.is_matrix or moved.nodes(name) is None

    def is_image(self, name: str) -> bool:
        """True if the ONNX tensor ``name`` has four dimensions: batch, channels, height, width."""
        return name not in self._moved or self._moved[name][0].numbers.ndim == 4

    def is_constant(self, name: str) -> bool:
        """True if the ONNX tensor ``name`` is a constant."""
        return self._aliases.get(name, name) in self._constants

    def integers(self, node: onnx.NodeProto, index: int, attribute: str = "") -> list[int] | None:
        """The list of integers that is input ``index`` of ``node`` or, in old models, an attribute;
        None when there is neither."""
        if len(node.input) > index and node.input[index]:
            return [int(value) for value in self.array(node, index).reshape(-1)]
        found = [list(a.ints) for a in node.attribute if a.name == attribute]
        return found[0] if found else None

    def array(self, node: onnx.NodeProto, index: int) -> NDArray[Any]:
        """The constant that is input ``index`` of ``node``."""
        name = self._aliases.get(node.input[index], node.input[index])
        if name not in self._constants:
            raise self.unsupported(node, "with a computed operand", "constant weights")
        return self._constants[name]

    def floats(self, node: onnx.NodeProto, index: int) -> Array:
        """The same in float32."""
        return self.array(node, index).astype(np.float32)

    def per_channel(self, node: onnx.NodeProto, constant: Array, channels: int) -> Array:
        """``constant`` as one value for each of ``channels``."""
        if constant.ndim == 4 and (constant == constant[..., :1, :1]).all():
            constant = constant[..., :1, :1]
        shape = (1,) * (4 - constant.ndim) + constant.shape
        if shape[0] == shape[2] == shape[3] == 1 and shape[1] in (1, channels):
            return np.broadcast_to(constant.reshape(-1), channels).astype(np.float32)
        raise self.unsupported(
            node, f"with a constant of shape {constant.shape}", "one value per channel"
        )

    # Writing

    def emit(self, *nodes: Node) -> str:
        """Append ``nodes``; returns the name of what the last one computes."""
        for node in nodes:
            self.nodes.append(node)
            self.shapes[node.output] = output_shape(node, [self.shapes[t] for t in node.inputs])
        return nodes[-1].output

    def emit_map(
        self,
        input: str,
        output: str,
        scale: float | Array = 1.0,
        offset: float | Array = 0.0,
    ) -> str:
        """Append a map of the channels of our tensor ``input`` in their place."""
        channel_map = ChannelMap.in_place(self.shapes[input][0], scale, offset)
        return self.emit(channel_map.conv(input, output))

    def constant(self, name: str, value: NDArray[Any]) -> None:
        """Let the ONNX tensor ``name`` be a constant."""
        self._constants[name] = value

    def alias(self, name: str, tensor: str) -> None:
        """Let the ONNX tensor ``name`` be our ``tensor``."""
        self._aliases[name] = tensor

    def settle(self, name: str) -> None:
        """Compute the image that the ONNX tensor ``name`` is in another layout, if it is one: the
        tensor is then a rearrangement of that image alone.

        The image's rows and columns are two axes of the tensor, and its channels all others.
        """
        if name not in self._moved or self._moved[name][0].numbers.ndim < 4:
            return
        moved, node = self._moved[name]
        rank = moved.numbers.ndim
        for rows, columns in _pairs(rank):
            order = [axis for axis in range(rank) if axis not in (rows, columns)]
            numbers = moved.numbers.transpose(*order, rows, columns)
            channels = numbers.reshape(1, -1, *numbers.shape[-2:])
            nodes = replace(moved, numbers=channels).nodes(f"{name}, settled")
            if nodes:
                whole = Rearrangement.of(self.emit(*nodes), self.shapes[nodes[-1].output])
                back = np.argsort([*order, rows, columns])
                numbers = whole.numbers.reshape(numbers.shape).transpose(back)
                self._moved[name] = replace(whole, numbers=numbers), node
                return

    def move(self, node: onnx.NodeProto, moves: Iterable[Rearrangement]) -> None:
        """Let the results of ``node`` be ``moves``."""
        for name, moved in zip(node.output, moves, strict=True):
            self._moved[name] = moved, node

    def unsupported(
        self,
        node: onnx.NodeProto,
        detail: str = "",
        substitute: str = "",
        others: Sequence[str] = (),
    ) -> UnsupportedOperatorError:
        """The refusal of ``node``: where it is, and what could stand for it; ``others`` are kinds
        that are refused, too."""
        place = self._places.get(node.output[0], "")
        where = f" in module {place!r}" if place else ""
        substitute = substitute or SUBSTITUTES.get(node.op_type, "")
        advice = (
            f", nor {'is' if len(others) == 1 else 'are'} {', '.join(others)}" if others else ""
        )
        advice += f"; use {substitute}" if substitute else ""
        return UnsupportedOperatorError(
            f"{' '.join(filter(None, [node.op_type, detail]))} (node "
            f"{node.name or node.output[0]!r}{where}) is not an operator of all targets{advice}"
        )


def _pairs(rank: int) -> list[tuple[int, int]]:
    """Pairs of the axes of a tensor that may be an image's height and width; those where images
    have them first."""
    pairs = sorted(combinations(range(1, rank), 2), key=lambda pair: pair != (2, 3))
    return [pair for last, first in pairs for pair in ((last, first), (first, last))]


Handler = Callable[[OnnxReader, onnx.NodeProto], None]
"""Appends the nodes of the graph for one ONNX node. A node whose numbers do not go together may
raise ValueError and its like."""


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of ``node`` by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
