"""A simplified ONNX graph as nodes of the graph: ``OPERATORS`` has one function per operator.

An operator that is not in it is refused with its place and with what could stand for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from ailsr.export.reading import onnx_arithmetic, onnx_convolutions, onnx_movements
from ailsr.export.reading.attention import unlike_matrices
from ailsr.export.reading.gelu import with_gelu
from ailsr.export.reading.laid_out import is_laid_out, read_laid_out
from ailsr.export.reading.normalization import with_normalization
from ailsr.export.reading.onnx_reader import Handler, OnnxReader, attributes_of
from ailsr.runtime.errors import ModelError, one_line


def constant(reader: OnnxReader, node: onnx.NodeProto) -> None:
    attributes = attributes_of(node)
    if "value" not in attributes:
        raise reader.unsupported(node, "a constant that is not a tensor")
    reader.constant(node.output[0], onnx.numpy_helper.to_array(attributes["value"]))


def cast(reader: OnnxReader, node: onnx.NodeProto) -> None:
    """Of real numbers, which are all float32 here."""
    name, to = node.input[0], attributes_of(node)["to"]
    if reader.is_constant(name):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(to)
        reader.constant(node.output[0], reader.array(node, 0).astype(dtype))
    elif to == onnx.TensorProto.FLOAT:
        identity(reader, node)
    else:
        raise reader.unsupported(node, "to integers")


def identity(reader: OnnxReader, node: onnx.NodeProto) -> None:
    reader.alias(node.output[0], reader.tensor(node.input[0]))


def product(reader: OnnxReader, node: onnx.NodeProto) -> None:
    if not any(map(reader.is_constant, node.input)):
        raise unlike_matrices(reader, node)
    raise reader.unsupported(node, "that is not along the channels of an image")


OPERATORS: dict[str, Handler] = {
    "Cast": cast,
    "Constant": constant,
    "Dropout": identity,
    "Gemm": product,
    "MatMul": product,
    "Identity": identity,
    **onnx_arithmetic.OPERATORS,
    **onnx_convolutions.OPERATORS,
    **onnx_movements.OPERATORS,
}
"""Every ONNX operator that is read, in some form at least."""


def translated(graph: onnx.GraphProto, places: Mapping[str, str]) -> tuple[OnnxReader, str]:
    """The reader that holds the nodes of ``graph``, and the name of our output tensor.

    ``places`` names for a tensor the module of the network that makes it, if known. Raises
    UnsupportedOperatorError, and ModelError for a node whose numbers do not go together.
    """
    with_normalization(graph)
    nodes = with_gelu(graph)
    reader = OnnxReader(graph, places)
    unknown = [node for node in nodes if not _is_known(node)]
    if unknown:
        others = {node.op_type for node in unknown} - {unknown[0].op_type}
        raise reader.unsupported(unknown[0], others=sorted(others))
    for node in nodes:
        try:
            if is_laid_out(reader, node):
                read_laid_out(reader, node)
            else:
                OPERATORS[node.op_type](reader, node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise _unfit(reader, node, error) from error
    return reader, reader.tensor(graph.output[0].name)


def _is_known(node: onnx.NodeProto) -> bool:
    return node.op_type in OPERATORS and node.domain in ("", "ai.onnx")


def _unfit(reader: OnnxReader, node: onnx.NodeProto, error: Exception) -> ModelError:
    """The refusal of a ``node`` whose numbers do not go together."""
    _, height, width = reader.shapes[reader.input]
    reason = one_line(f"{type(error).__name__}: {error}")[:200]
    return ModelError(
        f"{node.op_type} (node {node.name or next(iter(node.output), '')!r}) cannot be computed on "
        f"{height}x{width} pixels ({reason}): give another --input-size, such as a multiple of "
        "8; at no size, the model is damaged"
    )
