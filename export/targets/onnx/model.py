"""The nodes of the graph as ONNX operators, and a float model of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clamp,
    Clamped,
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
from ailsr.runtime.version import VERSION

VERSIONS = {11: 6, 13: 7, 21: 10}
"""The IR version that came with each opset, as ONNX's table of releases has it (1.6, 1.8, 1.16).
Quantisation per channel needs 13, 16-bit tensors between quantisations 21."""
OPSET_11 = frozenset(
    (
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Conv",
        "DepthToSpace",
        "Pad",
        "PRelu",
        "Relu",
        "Slice",
        "Transpose",
    )
)
"""Operators that are in opset 11 what they are here."""


FUNCTIONS: dict[Function, str] = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "reciprocal": "Reciprocal",
    "softplus": "Softplus",
    "erf": "Erf",
}
"""The functions that are one operator of this opset."""


class OnnxModel:
    """An ONNX model under construction: its operators and constants, in order."""

    def __init__(self, graph: Graph, least_opset: int = 11) -> None:
        """``least_opset`` is the lowest opset that the model may be of."""
        self.graph = graph
        self.least_opset = least_opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:  # noqa: ANN401
        """Append an operator, called as its output; returns ``output``."""
        self._nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Store ``values`` under ``name``, which is returned."""
        self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def compute(self, node: Node, inputs: Sequence[str], output: str, dtype: DTypeLike) -> str:
        """Append the operators of ``node`` on ``inputs``, with constants of ``dtype``.

        The clamp of a Conv, an Add or a Mul is not part of it.
        """
        match node:
            case Conv():
                weight = self.constant(f"{node.output}_weight", node.weight.astype(dtype))
                bias = self.constant(f"{node.output}_bias", node.bias.astype(dtype))
                return self.convolve(node, [*inputs, weight, bias], output)
            case PRelu():
                slope = node.slope.astype(dtype).reshape(-1, 1, 1)
                return self.add(
                    "PRelu", [*inputs, self.constant(f"{node.output}_slope", slope)], output
                )
            case Clip():
                return self.clip(node.clamp, inputs[0], output, dtype)
            case Pointwise(function=function):
                if function in FUNCTIONS:
                    return self.add(FUNCTIONS[function], inputs, output)
                return self.gelu(inputs[0], output, function == "gelu_tanh", dtype)
            case Add():
                return self.add("Add", inputs, output)
            case Mul():
                return self.add("Mul", inputs, output)
            case MinMax(function=function):
                return self.add(function.capitalize(), inputs, output)
            case Concat():
                return self.add("Concat", inputs, output, axis=1)
            case DepthToSpace():
                return self.add("DepthToSpace", inputs, output, blocksize=node.block, mode="DCR")
            case Pad() if node.sliced:
                return self.pad_by_slices(node, inputs[0], output)
            case Pad(pads=(top, left, bottom, right)):
                pads = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
                return self.add(
                    "Pad",
                    [*inputs, self.constant(f"{node.output}_pads", pads)],
                    output,
                    mode=node.mode,
                )
            case Crop(border=border):
                return self.crop(border, inputs[0], output)
            case Normalize():
                return self.normalize(node, inputs[0], output, dtype)
            case Mean():
                return self.add("GlobalAveragePool", inputs, output)
            case MaxPool():
                return self.add(
                    "MaxPool", inputs, output, kernel_shape=node.kernel, strides=node.stride
                )
            case Resize(size=size):
                sizes = np.array([1, self.graph.shapes[node.output][0], *size], np.int64)
                return self.add(
                    "Resize",
                    [*inputs, "", "", self.constant(f"{output}_sizes", sizes)],
                    output,
                    mode="linear",
                    coordinate_transformation_mode="align_corners"
                    if node.corners
                    else "half_pixel",
                )
            case _:
                assert_never(node)

    def convolve(self, node: Conv, inputs: Sequence[str], output: str) -> str:
        """Append the convolution of ``inputs``: image, weight, bias."""
        return self.add(
            "Conv",
            inputs,
            output,
            kernel_shape=node.weight.shape[2:],
            pads=node.pads,
            strides=node.stride,
            dilations=node.dilation,
            group=node.groups,
        )

    def clip(self, clamp: Clamp, input: str, output: str, dtype: DTypeLike) -> str:
        """Append ``input`` clamped, as Relu where that is enough."""
        if clamp == (0, np.inf):
            return self.add("Relu", [input], output)
        limits = [
            self.constant(f"{output}_{name}", np.array(limit, dtype)) if np.isfinite(limit) else ""
            for name, limit in zip(("low", "high"), clamp, strict=True)
        ]
        return self.add("Clip", [input, *limits], output)

    def pad_by_slices(self, node: Pad, input: str, output: str) -> str:
        """Append the border of ``node`` around ``input`` as slices joined to it."""

        def cut(tensor: str, axis: int, place: int) -> str:
            name = f"{node.output}_{'row' if axis == 1 else 'column'}_{place}"
            end = place + 1 or np.iinfo(np.int64).max
            bounds = [
                self.constant(f"{name}_{bound}", np.array([value], np.int64))
                for bound, value in (("first", place), ("end", end), ("axis", axis + 1))
            ]
            return self.between(self.add("Slice", [tensor, *bounds], name), node)

        def join(parts: Sequence[str], axis: int, last: bool) -> str:
            if last:
                return self.add("Concat", parts, output, axis=axis + 1)
            return self.between(
                self.add("Concat", parts, f"{node.output}_rows", axis=axis + 1), node
            )

        return padded_by_slices(node, input, cut, join)

    def crop(self, border: tuple[int, int, int, int], input: str, output: str) -> str:
        """Append ``input`` without its ``border``."""
        top, left, bottom, right = border
        ends = [-side if side else np.iinfo(np.int64).max for side in (bottom, right)]
        bounds = [
            self.constant(f"{output}_{name}", np.array(values, np.int64))
            for name, values in (("first", [top, left]), ("end", ends), ("axes", [2, 3]))
        ]
        return self.add("Slice", [input, *bounds], output)

    def normalize(self, node: Normalize, input: str, output: str, dtype: DTypeLike) -> str:
        """Append the normalisation of ``input``, operator by operator."""
        axes = [1] if node.over == "channels" else [2, 3]
        if node.centred:
            mean = self.mean(input, f"{output}_mean", axes)
            input = self.add("Sub", [input, mean], f"{output}_centred")
        square = self.add("Mul", [input, input], f"{output}_square")
        variance = self.mean(square, f"{output}_variance", axes)
        least = np.finfo(np.dtype(dtype)).tiny
        epsilon = np.array(max(node.epsilon, least), dtype)
        positive = self.add(
            "Add", [variance, self.constant(f"{output}_epsilon", epsilon)], f"{output}_positive"
        )
        return self.add("Div", [input, self.add("Sqrt", [positive], f"{output}_norm")], output)

    def mean(self, input: str, output: str, axes: list[int]) -> str:
        """Append the mean of ``input`` over ``axes``, which were an attribute up to opset 17."""
        if self.least_opset < 18:
            return self.add("ReduceMean", [input], output, axes=axes)
        constant = self.constant(f"{output}_axes", np.array(axes, np.int64))
        return self.add("ReduceMean", [input, constant], output)

    def between(self, tensor: str, node: Node) -> str:
        """``tensor``, made on the way to the result of ``node``, as its next operator reads it."""
        return tensor

    def gelu(self, input: str, output: str, tanh: bool, dtype: DTypeLike) -> str:
        """Append GELU as x/2 * (1 + erf(x/sqrt(2))), or as its approximation by tanh."""

        def times(first: str, factor: float, name: str) -> str:
            constant = self.constant(f"{output}_{name}_factor", np.array(factor, dtype))
            return self.add("Mul", [first, constant], f"{output}_{name}")

        one = self.constant(f"{output}_one", np.array(1, dtype))
        if tanh:  # tanh(sqrt(2/pi) * (x + 0.044715 x^3)) = tanh(x * (a + b x^2))
            square = self.add("Mul", [input, input], f"{output}_square")
            curved = times(square, 0.044715 * (2 / np.pi) ** 0.5, "curved")
            slope = self.constant(f"{output}_slope", np.array((2 / np.pi) ** 0.5, dtype))
            bent = self.add("Add", [curved, slope], f"{output}_bent")
            inner = self.add("Mul", [input, bent], f"{output}_inner")
        else:
            inner = times(input, 0.5**0.5, "inner")
        step = self.add("Tanh" if tanh else "Erf", [inner], f"{output}_step")
        gate = self.add("Add", [step, one], f"{output}_gate")
        return self.add("Mul", [times(input, 0.5, "half"), gate], output)

    def proto(
        self, pixels: int, open_size: bool = False, channels_last: bool = False
    ) -> onnx.ModelProto:
        """The model, with input and output of the ONNX element type ``pixels``, in the lowest
        opset that has its operators; ``open_size`` leaves height and width to who runs it.
        ``channels_last``: input and output are (1, height, width, channels), as bitmaps are."""
        if channels_last:
            self._turn_ends()
        ends = []
        for name, open_sides in (
            (self.graph.input, ("height", "width")),
            (self.graph.output, ("upscaled_height", "upscaled_width")),
        ):
            channels, *fixed = self.graph.shapes[name]
            sides = open_sides if open_size else fixed
            shape = [1, *sides, channels] if channels_last else [1, channels, *sides]
            ends.append(helper.make_tensor_value_info(name, pixels, shape))
        graph = helper.make_graph(
            self._nodes, "ailsr", ends[:1], ends[1:], list(self._constants.values())
        )
        eleven = all(node.op_type in OPSET_11 for node in self._nodes)
        opset = max(self.least_opset, 11 if eleven else 13)
        return helper.make_model(
            graph,
            producer_name="ailsr",
            producer_version=VERSION,
            ir_version=VERSIONS[opset],
            opset_imports=[helper.make_opsetid("", opset)],
        )

    def _turn_ends(self) -> None:
        """Let the operators compute planes: the file's input is turned first, its output last."""
        planes = {name: f"{name}_planes" for name in (self.graph.input, self.graph.output)}
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [planes.get(name, name) for name in names]
            node.name = node.output[0]
        source, result = planes
        turned = helper.make_node(
            "Transpose", [source], [planes[source]], planes[source], perm=[0, 3, 1, 2]
        )
        self._nodes.insert(0, turned)
        self.add("Transpose", [planes[result]], result, perm=[0, 2, 3, 1])


def float_model(
    graph: Graph,
    dtype: DTypeLike = np.float32,
    open_size: bool = False,
    channels_last: bool = False,
) -> onnx.ModelProto:
    """``graph`` computed in ``dtype`` from float32 to float32; float32 tensors keep their names."""
    model = OnnxModel(graph)
    ends = (graph.input, graph.output) if dtype == np.float16 else ()
    names = {name: f"{name}_float16" for name in ends}
    if ends:
        model.add("Cast", [graph.input], names[graph.input], to=TensorProto.FLOAT16)
    for node in graph.nodes:
        inputs = [names.get(tensor, tensor) for tensor in node.inputs]
        output = names.get(node.output, node.output)
        clamp = node.clamp if isinstance(node, Clamped) else UNBOUNDED
        if clamp == UNBOUNDED:
            model.compute(node, inputs, output, dtype)
        else:
            unbounded = model.compute(node, inputs, f"{output}_unbounded", dtype)
            model.clip(clamp, unbounded, output, dtype)
    if ends:
        model.add("Cast", [names[graph.output]], graph.output, to=TensorProto.FLOAT)
    return model.proto(TensorProto.FLOAT, open_size, channels_last)
