"""ONNX nodes as nodes of the graph, one handler per operator.

Activations become ``Bound`` and constant factors and offsets 1×1 convolutions; ``passes.py`` folds
them. An operator without a handler is refused with its place and with what could stand for it.
"""

# ruff: noqa: N802 - a handler is called as its operator

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import onnx

from ailsr.export.graph.graph import (
    Add,
    Array,
    Bound,
    Clamp,
    Concat,
    Conv,
    Extreme,
    Function,
    MaxPool,
    Mean,
    Mul,
    Pointwise,
    PRelu,
)
from ailsr.export.reading.gelu import with_gelu
from ailsr.export.reading.onnx_movements import Attributes, Movements
from ailsr.export.reading.rearrangement import Rearrangement
from ailsr.export.reading.resampling import transposed_convolution
from ailsr.runtime.errors import ModelError, one_line


class Translation(Movements):
    """The nodes of a simplified ONNX graph, as they come, with the names of input and output."""

    def __init__(self, graph: onnx.GraphProto, places: Mapping[str, str]) -> None:
        nodes = with_gelu(graph)
        super().__init__(graph, places)
        for node in nodes:
            handler = getattr(self, f"_{node.op_type}", None)
            known = node.op_type[:1].isupper() and node.domain in ("", "ai.onnx")
            if handler is None or not known:
                raise self.unsupported(node)
            try:
                handler(node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise self._unfit(node, error) from error
        self.output = self.tensor(graph.output[0].name)

    def _unfit(self, node: onnx.NodeProto, error: Exception) -> ModelError:
        """The refusal of a ``node`` whose numbers do not go together."""
        _, height, width = self.shapes[self.input]
        reason = one_line(f"{type(error).__name__}: {error}", 200)
        return ModelError(
            f"{node.op_type} (node {node.name or next(iter(node.output), '')!r}) cannot be had of "
            f"{height}x{width} pixels ({reason}): give another --input-size, such as a multiple of "
            "8; at no size, the model is damaged"
        )

    def _Constant(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        if "value" not in attributes:
            raise self.unsupported(node, "a constant that is not a tensor")
        self.constant(node.output[0], onnx.numpy_helper.to_array(attributes["value"]))

    def _Identity(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self.alias(node.output[0], self.tensor(node.input[0]))

    _Dropout = _Identity

    # Convolutions and pooling

    def _Conv(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        weight = self.floats(node, 1)
        bias = self.floats(node, 2) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
        if weight.ndim != 4:
            raise self.unsupported(node, "that is not two-dimensional")
        stride_y, stride_x = attributes.get("strides", (1, 1))
        dilation_y, dilation_x = attributes.get("dilations", (1, 1))
        extent = [
            (k - 1) * d + 1 for k, d in zip(weight.shape[2:], (dilation_y, dilation_x), strict=True)
        ]
        match attributes.get("auto_pad", b"NOTSET"):
            case b"NOTSET":
                top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
            case b"VALID":
                top = left = bottom = right = 0
            case b"SAME_UPPER" if (stride_y, stride_x) == (1, 1):
                top, left = (n // 2 for n in (extent[0] - 1, extent[1] - 1))
                bottom, right = extent[0] - 1 - top, extent[1] - 1 - left
            case other:
                raise self.unsupported(node, f"auto_pad {other.decode()}")
        self.emit(
            Conv(
                self.tensor(node.input[0]),
                node.output[0],
                weight,
                bias,
                (top, left, bottom, right),
                (stride_y, stride_x),
                (dilation_y, dilation_x),
                attributes.get("group", 1),
            )
        )

    def _ConvTranspose(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        weight, groups = self.floats(node, 1), attributes.get("group", 1)
        if weight.ndim != 4 or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise self.unsupported(node, "without two-dimensional, explicit padding")
        if max(attributes.get("dilations", (1, 1))) > 1 or "output_shape" in attributes:
            raise self.unsupported(node, "with dilation or output_shape")
        inputs, outputs, *kernel = weight.shape
        dense = np.zeros((groups, inputs // groups, groups, outputs, *kernel), np.float32)
        for group, part in enumerate(np.split(weight, groups)):
            dense[group, :, group] = part
        dense = dense.reshape(inputs, groups * outputs, *kernel)
        bias = self.floats(node, 2) if len(node.input) > 2 else np.zeros(dense.shape[1], np.float32)
        stride_y, stride_x = attributes.get("strides", (1, 1))
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        more_y, more_x = attributes.get("output_padding", (0, 0))
        tensor = self.tensor(node.input[0])
        _, height, width = self.shapes[tensor]
        result = (
            stride_y * (height - 1) + kernel[0] + more_y - top - bottom,
            stride_x * (width - 1) + kernel[1] + more_x - left - right,
        )
        nodes = transposed_convolution(
            tensor, node.output[0], dense, bias, (height, width), result,
            (stride_y, stride_x), (top, left),
        )  # fmt: skip
        if nodes is None:
            raise self.unsupported(
                node,
                f"that makes {result[0]}x{result[1]} of {height}x{width}",
                "a padding and an output_padding by which it enlarges exactly by its stride",
            )
        self.emit(*nodes)

    def _BatchNormalization(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        gain, shift, mean, variance = (self.floats(node, index) for index in range(1, 5))
        scale = gain / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        self.emit_map(self.tensor(node.input[0]), node.output[0], scale, shift - mean * scale)

    def _GlobalAveragePool(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self.emit(Mean(self.tensor(node.input[0]), node.output[0]))

    def _ReduceMean(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        tensor, output = self.tensor(node.input[0]), node.output[0]
        axes = {axis % 4 for axis in self.integers(node, 1, "axes") or range(4)}
        channels, height, width = self.shapes[tensor]
        kept = attributes.get("keepdims", 1)
        total = node.op_type == "ReduceSum"
        if axes == {2, 3}:
            mean = self.emit(Mean(tensor, output if kept and not total else f"{output}, mean"))
            if total:
                name = output if kept else f"{output}, sum"
                mean = self.emit_map(mean, name, float(height * width))
            if not kept:
                moved = Rearrangement.of(mean, (channels, 1, 1))
                self.move(node, [moved.then(lambda numbers: numbers.reshape(1, channels))])
        elif axes == {1} and kept:
            weight = np.full((1, channels, 1, 1), 1 if total else 1 / channels, np.float32)
            self.emit(Conv(tensor, output, weight, np.zeros(1, np.float32)))
        else:
            raise self.unsupported(node, f"over the axes {sorted(axes)}", "a mean over (2, 3)")

    _ReduceSum = _ReduceMean

    def _AveragePool(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        pads, kernel, (stride_y, stride_x) = self._window(node, attributes)
        if any(pads) and not attributes.get("count_include_pad", 0):
            raise self.unsupported(node, f"with pads {pads}", "count_include_pad=True")
        tensor = self.tensor(node.input[0])
        channels = self.shapes[tensor][0]
        weight = np.full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]), np.float32)
        bias = np.zeros(channels, np.float32)
        stride = stride_y, stride_x
        self.emit(Conv(tensor, node.output[0], weight, bias, pads, stride, groups=channels))

    def _MaxPool(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        pads, kernel, stride = self._window(node, attributes)
        if any(pads):
            raise self.unsupported(node, f"with pads {pads}", "padding=0")
        self.emit(MaxPool(self.tensor(node.input[0]), node.output[0], kernel, stride))

    def _window(
        self, node: onnx.NodeProto, attributes: Attributes
    ) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
        """(pads, kernel, stride) of a pooling."""
        if (
            attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
            or attributes.get("ceil_mode", 0)
            or max(attributes.get("dilations", (1, 1))) > 1
            or len(node.output) > 1
        ):
            raise self.unsupported(node, "with automatic padding, ceil_mode or dilation")
        kernel_y, kernel_x = attributes["kernel_shape"]
        stride_y, stride_x = attributes.get("strides", (1, 1))
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        return (top, left, bottom, right), (kernel_y, kernel_x), (stride_y, stride_x)

    # Activations

    def _Relu(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._bound(node, (0.0, np.inf))

    def _Clip(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        low, high = attributes.get("min", -np.inf), attributes.get("max", np.inf)
        if len(node.input) > 1 and node.input[1]:
            low = self.floats(node, 1).item()
        if len(node.input) > 2 and node.input[2]:
            high = self.floats(node, 2).item()
        self._bound(node, (low, high))

    def _bound(self, node: onnx.NodeProto, clamp: Clamp) -> None:
        self.emit(Bound(self.tensor(node.input[0]), node.output[0], clamp))

    def _PRelu(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._prelu(node, self.floats(node, 1))

    def _LeakyRelu(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._prelu(node, np.array(attributes.get("alpha", 0.01), np.float32))

    def _prelu(self, node: onnx.NodeProto, slope: Array) -> None:
        tensor = self.tensor(node.input[0])
        slope = self.per_channel(node, slope, self.shapes[tensor][0])
        self.emit(PRelu(tensor, node.output[0], slope))

    def _Sigmoid(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._pointwise(node, "sigmoid")

    def _Tanh(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._pointwise(node, "tanh")

    def _Sqrt(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._pointwise(node, "sqrt")

    def _Gelu(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        tanh = attributes.get("approximate", b"none") == b"tanh"
        self._pointwise(node, "gelu_tanh" if tanh else "gelu")

    def _pointwise(self, node: onnx.NodeProto, function: Function) -> None:
        self.emit(Pointwise(self.tensor(node.input[0]), node.output[0], function))

    def _HardSigmoid(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        scale, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
        self._hard_sigmoid(node, scale, offset, node.output[0])

    def _HardSwish(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        gate = self._hard_sigmoid(node, 1 / 6, 0.5, f"{node.output[0]}, gate")
        self.emit(Mul(self.tensor(node.input[0]), gate, node.output[0]))

    def _hard_sigmoid(self, node: onnx.NodeProto, scale: float, offset: float, output: str) -> str:
        line = self.emit_map(self.tensor(node.input[0]), f"{output}, line", scale, offset)
        return self.emit(Bound(line, output, (0.0, 1.0)))

    # Arithmetic

    def _Add(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        for constant, tensor in ((0, 1), (1, 0)):
            if self.is_constant(node.input[constant]):
                self._map(node, tensor, offset=self.floats(node, constant))
                return
        self._sum(node, *map(self.tensor, node.input))

    def _Sub(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        if self.is_constant(node.input[1]):
            self._map(node, 0, offset=-self.floats(node, 1))
        elif self.is_constant(node.input[0]):
            self._map(node, 1, scale=-1.0, offset=self.floats(node, 0))
        else:
            first, second = map(self.tensor, node.input)
            negative = self.emit_map(second, f"{node.output[0]}, subtrahend", -1.0)
            self._sum(node, first, negative)

    def _Neg(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._map(node, 0, scale=-1.0)

    def _Mul(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        for constant, tensor in ((0, 1), (1, 0)):
            if self.is_constant(node.input[constant]):
                self._map(node, tensor, scale=self.floats(node, constant))
                return
        first, second = self._larger_first(node, *map(self.tensor, node.input))
        self.emit(Mul(first, second, node.output[0]))

    def _Div(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        self._map(node, 0, scale=np.reciprocal(self.floats(node, 1)))

    def _Pow(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        match self.floats(node, 1).reshape(-1).tolist():
            case [2.0]:
                tensor = self.tensor(node.input[0])
                self.emit(Mul(tensor, tensor, node.output[0]))
            case [0.5]:
                self._pointwise(node, "sqrt")
            case exponent:
                raise self.unsupported(node, f"by {exponent}", "a square or a square root")

    def _Max(self, node: onnx.NodeProto, attributes: Attributes) -> None:
        function: Literal["max", "min"] = "max" if node.op_type == "Max" else "min"
        first, *others = sorted(node.input, key=self.is_constant)
        result = self.tensor(first)
        for number, other in enumerate(others, 1):
            output = node.output[0] if number == len(others) else f"{node.output[0]}, {number}"
            if self.is_constant(other):
                level = self.floats(node, list(node.input).index(other))
                if level.size > 1:
                    raise self.unsupported(node, f"with a constant of shape {level.shape}")
                clamp = (level.item(), np.inf) if function == "max" else (-np.inf, level.item())
                result = self.emit(Bound(result, output, clamp))
            elif self.shape(other) == self.shapes[result]:
                result = self.emit(Extreme(result, self.tensor(other), output, function))
            else:
                raise self.unsupported(node, "that broadcasts a tensor", "tensors of equal shape")
        if not others:
            self.alias(node.output[0], result)

    _Min = _Max

    def _map(
        self,
        node: onnx.NodeProto,
        index: int,
        scale: float | Array = 1.0,
        offset: float | Array = 0.0,
    ) -> None:
        """Input ``index`` of ``node``, scaled and shifted channel by channel."""
        tensor = self.tensor(node.input[index])
        channels = self.shapes[tensor][0]
        scales, offsets = (
            self.per_channel(node, np.asarray(v, np.float32), channels) for v in (scale, offset)
        )
        self.emit_map(tensor, node.output[0], scales, offsets)

    def _sum(self, node: onnx.NodeProto, first: str, second: str) -> None:
        first, second = self._larger_first(node, first, second)
        channels = self.shapes[first][0]
        if self.shapes[second][0] < channels:
            second = self.emit(Concat((second,) * channels, f"{node.output[0]}, repeated"))
        self.emit(Add(first, second, node.output[0]))

    def _larger_first(self, node: onnx.NodeProto, first: str, second: str) -> tuple[str, str]:
        """The operands, that with the shape of the result first. Raises UnsupportedOperatorError
        when both are broadcast, or one other than along channels or along the whole picture."""
        if np.prod(self.shapes[first]) < np.prod(self.shapes[second]):
            first, second = second, first
        (channels, *size), (depth, *extent) = self.shapes[first], self.shapes[second]
        if depth not in (1, channels) or extent not in (size, [1, 1]):
            raise self.unsupported(
                node, f"of {self.shapes[first]} and {self.shapes[second]}", "tensors of equal shape"
            )
        return first, second
