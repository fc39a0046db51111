"""ONNX activations and arithmetic.

Activations become ``Clip``, and constant factors and offsets 1×1 convolutions; ``passes.py`` folds
both into the nodes before them.
"""

from __future__ import annotations

from functools import partial
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


def greater(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Read by ``where`` alone: no target has truth values here."""
    reader.unread[node.output[0]] = node


def where(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Softplus as torch's exporter has it: x itself where x is above 20."""
    condition = reader.unread.get(node.input[0])
    if condition is None or any(map(reader.is_constant, node.input[1:])):
        raise reader.unsupported(node)
    above, below = reader.tensor(node.input[1]), reader.tensor(node.input[2])
    made = Pointwise(above, below, "softplus")
    known = reader.tensor(condition.input[0]) == above and made in reader.nodes
    if not known or reader.floats(condition, 1).item() < 15:
        raise reader.unsupported(node)
    reader.alias(node.output[0], below)


def mish(reader: OnnxReader, node: onnx.NodeProto) -> None:
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    reader.emit(
        Pointwise(tensor, f"{output}, softplus", "softplus"),
        Pointwise(f"{output}, softplus", f"{output}, gate", "tanh"),
        Mul(tensor, f"{output}, gate", output),
    )


def elu(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """max(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    alpha = attributes_of(node).get("alpha", 1.0)
    reader.emit(
        Clip(tensor, f"{output}, positive", (0.0, np.inf)),
        Clip(tensor, f"{output}, negative", (-np.inf, 0.0)),
        Pointwise(f"{output}, negative", f"{output}, power", "exp"),
    )
    curve = reader.emit_map(f"{output}, power", f"{output}, curve", alpha, -alpha)
    reader.emit(Add(f"{output}, positive", curve, output))


def absolute(reader: OnnxReader, node: onnx.NodeProto) -> None:
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    negative = reader.emit_map(tensor, f"{output}, negative", -1.0)
    reader.emit(MinMax(tensor, negative, output, "max"))


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
    _product(reader, node, *map(reader.tensor, node.input))


def div(reader: OnnxReader, node: onnx.NodeProto) -> None:
    first, second = node.input
    if reader.is_constant(second):
        _map(reader, node, 0, scale=np.reciprocal(reader.floats(node, 1)))
        return
    inverse = f"{node.output[0]}, inverse"
    inverse = reader.emit(Pointwise(reader.tensor(second), inverse, "reciprocal"))
    if reader.is_constant(first):
        constant = reader.floats(node, 0)
        scale = reader.per_channel(node, constant, reader.shapes[inverse][0])
        reader.emit_map(inverse, node.output[0], scale)
    else:
        _product(reader, node, reader.tensor(first), inverse)


def power(reader: OnnxReader, node: onnx.NodeProto) -> None:
    tensor, output = reader.tensor(node.input[0]), node.output[0]
    match reader.floats(node, 1).reshape(-1).tolist():
        case [1.0]:
            reader.alias(output, tensor)
        case [2.0]:
            reader.emit(Mul(tensor, tensor, output))
        case [3.0]:
            square = reader.emit(Mul(tensor, tensor, f"{output}, square"))
            reader.emit(Mul(square, tensor, output))
        case [0.5]:
            _pointwise(reader, node, "sqrt")
        case [-0.5]:
            root = reader.emit(Pointwise(tensor, f"{output}, root", "sqrt"))
            reader.emit(Pointwise(root, output, "reciprocal"))
        case [-1.0]:
            _pointwise(reader, node, "reciprocal")
        case exponent:
            raise reader.unsupported(
                node, f"by {exponent}", "a whole power up to 3, a root or an inverse"
            )


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


def _product(reader: OnnxReader, node: onnx.NodeProto, first: str, second: str) -> None:
    reader.emit(Mul(*_larger_first(reader, node, first, second), node.output[0]))


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
    when both are broadcast, or one other than along channels or along the whole image."""
    if np.prod(reader.shapes[first]) < np.prod(reader.shapes[second]):
        first, second = second, first
    (channels, *size), (depth, *extent) = reader.shapes[first], reader.shapes[second]
    if depth not in (1, channels) or extent not in (size, [1, 1]):
        raise reader.unsupported(
            node, f"of {reader.shapes[first]} and {reader.shapes[second]}", "tensors of equal shape"
        )
    return first, second


OPERATORS: dict[str, Handler] = {
    "Abs": absolute,
    "Add": add,
    "Clip": clip,
    "Div": div,
    "Elu": elu,
    "Erf": partial(_pointwise, function="erf"),
    "Exp": partial(_pointwise, function="exp"),
    "Gelu": gelu,
    "Greater": greater,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "LeakyRelu": leaky_relu,
    "Max": max_or_min,
    "Min": max_or_min,
    "Mish": mish,
    "Mul": mul,
    "Neg": neg,
    "PRelu": prelu,
    "Pow": power,
    "Reciprocal": partial(_pointwise, function="reciprocal"),
    "Relu": relu,
    "Sigmoid": partial(_pointwise, function="sigmoid"),
    "Softplus": partial(_pointwise, function="softplus"),
    "Sqrt": partial(_pointwise, function="sqrt"),
    "Sub": sub,
    "Tanh": partial(_pointwise, function="tanh"),
    "Where": where,
}
