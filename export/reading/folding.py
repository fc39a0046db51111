"""Constants that an ONNX model computes: by nodes of their own, and from the shapes of tensors.

Simplification leaves ``Constant`` nodes, and arithmetic whose operands it learns of too late.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

IMPURE = ("If", "Loop", "Scan", "Bernoulli", "Multinomial")
"""Operators that are not functions of their inputs, like those called ``Random…``."""
LARGEST = 2**24
"""Samples of a constant that is still computed."""


def with_folded_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model``, whose input has a fixed shape, with all that follows from it and from constants
    as initializers."""
    count = len(model.graph.node) + 1
    while len(model.graph.node) < count:
        count = len(model.graph.node)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        _fold(model)
    return model


def _fold(model: onnx.ModelProto) -> None:
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info)
        if value.type.tensor_type.HasField("shape")
    }
    kept = []
    for node in graph.node:
        values = _values(node, constants, shapes, model)
        if values is None:
            kept.append(node)
            continue
        for name, value in zip(node.output, values, strict=True):
            constants[name] = numpy_helper.from_array(np.asarray(value), name)
            graph.initializer.append(constants[name])
    del graph.node[:]
    graph.node.extend(kept)


def _values(
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
    shapes: dict[str, list[int]],
    model: onnx.ModelProto,
) -> list[NDArray[Any]] | None:
    """What ``node`` computes, None if that depends on the image."""
    if node.op_type in ("Shape", "Size") and all(shapes.get(node.input[0], [0])):
        shape = np.array(shapes[node.input[0]], np.int64)
        if node.op_type == "Size":
            return [shape.prod()]
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        return [shape[bounds.get("start", 0) : bounds.get("end")]]
    inputs = [name for name in node.input if name]
    if (
        node.op_type in IMPURE
        or node.op_type.startswith("Random")
        or node.domain not in ("", "ai.onnx")
        or not constants.keys() >= {*inputs}
        or np.prod(shapes.get(node.output[0], [0]), dtype=np.int64) > LARGEST
    ):
        return None
    alone = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.helper.make_tensor_value_info(n, constants[n].data_type, None) for n in inputs],
        [onnx.ValueInfoProto(name=name) for name in node.output],
    )
    single = onnx.helper.make_model(alone, opset_imports=model.opset_import)
    try:
        values = ReferenceEvaluator(single).run(
            None, {name: numpy_helper.to_array(constants[name]) for name in inputs}
        )
    except (LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return None  # the operator is then read, or refused, as it stands
    return [np.asarray(value) for value in values]
