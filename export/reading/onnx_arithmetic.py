"""ONNX activations and arithmetic.

Activations become ``Clip``, and constant factors and offsets 1×1 convolutions; ``passes.py`` folds
both into the nodes before them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from ailsr.export.graph.graph import (
    Add,
    Array,
    Clamp,
    Clip,
    Concat,
    Function,
    MinMax,
    Mul,
    Pointwise,
    PRelu,
)
from ailsr.export.reading.onnx_reader import Handler, OnnxReader, attributes_of

# Activations


def relu(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _clip(reader, node, (0.0, np.inf))


def clip(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    low, high = attributes.get("min", -np.inf), attributes.get("max", np.inf)
    if len(node.input) > 1 and node.input[1]:
        low = reader.floats(node, 1).item()
    if len(node.input) > 2 and node.input[2]:
        high = reader.floats(node, 2).item()
    _clip(reader, node, (low, high))


def _clip(reader: OnnxReader, node: onnx.NodeProto, clamp: Clamp) -> None:
    reader.emit(Clip(reader.tensor(node.input[0]), node.output[0], clamp))


def prelu(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _prelu(reader, node, reader.floats(node, 1))


def leaky_relu(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    _prelu(reader, node, np.array(attributes.get("alpha", 0.01), np.float32))


def _prelu(reader: OnnxReader, node: onnx.NodeProto, slope: Array) -> None:
    tensor = reader.tensor(node.input[0])
    slope = reader.per_channel(node, slope, reader.shapes[tensor][0])
    reader.emit(PRelu(tensor, node.output[0], slope))


def sigmoid(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _pointwise(reader, node, "sigmoid")


def tanh(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _pointwise(reader, node, "tanh")


def sqrt(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _pointwise(reader, node, "sqrt")


def gelu(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    tanh = attributes.get("approximate", b"none") == b"tanh"
    _pointwise(reader, node, "gelu_tanh" if tanh else "gelu")


def _pointwise(reader: OnnxReader, node: onnx.NodeProto, function: Function) -> None:
    reader.emit(Pointwise(reader.tensor(node.input[0]), node.output[0], function))


def hard_sigmoid(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    scale, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    _hard_sigmoid(reader, node, scale, offset, node.output[0])


def hard_swish(reader: OnnxReader, node: onnx.NodeProto) -> None:
    gate = _hard_sigmoid(reader, node, 1 / 6, 0.5, f"{node.output[0]}, gate")
    reader.emit(Mul(reader.tensor(node.input[0]), gate, node.output[0]))


def _hard_sigmoid(
    reader: OnnxReader, node: onnx.NodeProto, scale: float, offset: float, output: str
) -> str:
    line = reader.emit_map(reader.tensor(node.input[0]), f"{output}, line", scale, offset)
    return reader.emit(Clip(line, output, (0.0, 1.0)))


# Arithmetic


def add(reader: OnnxReader, node: onnx.NodeProto) -> None:
    for constant, tensor in ((0, 1), (1, 0)):
        if reader.is_constant(node.input[constant]):
            _map(reader, node, tensor, offset=reader.floats(node, constant))
            return
    _sum(reader, node, *map(reader.tensor, node.input))


def sub(reader: OnnxReader, node: onnx.NodeProto) -> None:
    if reader.is_constant(node.input[1]):
        _map(reader, node, 0, offset=-reader.floats(node, 1))
    elif reader.is_constant(node.input[0]):
        _map(reader, node, 1, scale=-1.0, offset=reader.floats(node, 0))
    else:
        first, second = map(reader.tensor, node.input)
        negative = reader.emit_map(second, f"{node.output[0]}, subtrahend", -1.0)
        _sum(reader, node, first, negative)


def neg(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _map(reader, node, 0, scale=-1.0)


def mul(reader: OnnxReader, node: onnx.NodeProto) -> None:
    for constant, tensor in ((0, 1), (1, 0)):
        if reader.is_constant(node.input[constant]):
            _map(reader, node, tensor, scale=reader.floats(node, constant))
            return
    first, second = _larger_first(reader, node, *map(reader.tensor, node.input))
    reader.emit(Mul(first, second, node.output[0]))


def div(reader: OnnxReader, node: onnx.NodeProto) -> None:
    _map(reader, node, 0, scale=np.reciprocal(reader.floats(node, 1)))


def power(reader: OnnxReader, node: onnx.NodeProto) -> None:
    match reader.floats(node, 1).reshape(-1).tolist():
        case [2.0]:
            tensor = reader.tensor(node.input[0])
            reader.emit(Mul(tensor, tensor, node.output[0]))
        case [0.5]:
            _pointwise(reader, node, "sqrt")
        case exponent:
            raise reader.unsupported(node, f"by {exponent}", "a square or a square root")


def max_or_min(reader: OnnxReader, node: onnx.NodeProto) -> None:
    function: Literal["max", "min"] = "max" if node.op_type == "Max" else "min"
    first, *others = sorted(node.input, key=reader.is_constant)
    result = reader.tensor(first)
    for number, other in enumerate(others, 1):
        output = node.output[0] if number == len(others) else f"{node.output[0]}, {number}"
        if reader.is_constant(other):
            level = reader.floats(node, list(node.input).index(other))
            if level.size > 1:
                raise reader.unsupported(node, f"with a constant of shape {level.shape}")
            clamp = (level.item(), np.inf) if function == "max" else (-np.inf, level.item())
            result = reader.emit(Clip(result, output, clamp))
        elif reader.shape(other) == reader.shapes[result]:
            result = reader.emit(MinMax(result, reader.tensor(other), output, function))
        else:
            raise reader.unsupported(node, "that broadcasts a tensor", "tensors of equal shape")
    if not others:
        reader.alias(node.output[0], result)


def _map(
    reader: OnnxReader,
    node: onnx.NodeProto,
    index: int,
    scale: float | Array = 1.0,
    offset: float | Array = 0.0,
) -> None:
    """Input ``index`` of ``node``, scaled and shifted channel by channel."""
    tensor = reader.tensor(node.input[index])
    channels = reader.shapes[tensor][0]
    scales, offsets = (
        reader.per_channel(node, np.asarray(v, np.float32), channels) for v in (scale, offset)
    )
    reader.emit_map(tensor, node.output[0], scales, offsets)


def _sum(reader: OnnxReader, node: onnx.NodeProto, first: str, second: str) -> None:
    first, second = _larger_first(reader, node, first, second)
    channels = reader.shapes[first][0]
    if reader.shapes[second][0] < channels:
        second = reader.emit(Concat((second,) * channels, f"{node.output[0]}, repeated"))
    reader.emit(Add(first, second, node.output[0]))


def _larger_first(
    reader: OnnxReader, node: onnx.NodeProto, first: str, second: str
) -> tuple[str, str]:
    """The operands, that with the shape of the result first. Raises UnsupportedOperatorError
    when both are broadcast, or one other than along channels or along the whole picture."""
    if np.prod(reader.shapes[first]) < np.prod(reader.shapes[second]):
        first, second = second, first
    (channels, *size), (depth, *extent) = reader.shapes[first], reader.shapes[second]
    if depth not in (1, channels) or extent not in (size, [1, 1]):
        raise reader.unsupported(
            node, f"of {reader.shapes[first]} and {reader.shapes[second]}", "tensors of equal shape"
        )
    return first, second


OPERATORS: dict[str, Handler] = {
    "Add": add,
    "Clip": clip,
    "Div": div,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": leaky_relu,
    "Max": max_or_min,
    "Min": max_or_min,
    "Mul": mul,
    "Neg": neg,
    "PRelu": prelu,
    "Pow": power,
    "Relu": relu,
    "Sigmoid": sigmoid,
    "Sqrt": sqrt,
    "Sub": sub,
    "Tanh": tanh,
}
