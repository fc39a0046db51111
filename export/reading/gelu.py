"""GELU where an ONNX model spells it out, by erf or by tanh, recognised by its values.

ONNX has had the operator since opset 20. Older models compute it by seven others in whatever order
their exporter chose, and in int8 each of those would round.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Samples = NDArray[np.float64]

GRID: Samples = np.linspace(-4, 4, 33)
erf = np.vectorize(math.erf, otypes=[np.float64])
OPERATORS: dict[str, Callable[..., Samples]] = {
    "Add": np.add,
    "Div": np.divide,
    "Erf": erf,
    "Mul": np.multiply,
    "Pow": np.power,
    "Tanh": np.tanh,
}
"""The operators that GELU consists of."""
FORMS: dict[str, Samples] = {
    "none": GRID / 2 * (1 + erf(GRID / 2**0.5)),
    "tanh": GRID / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (GRID + 0.044715 * GRID**3))),
}
"""By the operator's attribute ``approximate``: its values on the grid."""


def with_gelu(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of ``graph``, one Gelu in place of those that compute it."""
    if not any(node.op_type in ("Erf", "Tanh") for node in graph.node):
        return list(graph.node)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    functions: dict[str, dict[str, Samples]] = {}
    """By tensor: its values for each tensor of which it is a function, taken on the grid."""
    nodes = []
    for node in graph.node:
        computed = _functions(node, functions, constants)
        functions[node.output[0]] = {**computed, node.output[0]: GRID}
        nodes.append(node)
        for source, values in computed.items():
            for form, expected in FORMS.items():
                factor = float(values @ expected / (expected @ expected))
                if np.allclose(values, factor * expected, rtol=0, atol=1e-5):
                    nodes[-1:] = _gelu(graph, node, source, form, factor)
    needed, alive = {graph.output[0].name}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            alive.append(node)
    return alive[::-1]


def _gelu(
    graph: onnx.GraphProto, node: onnx.NodeProto, source: str, form: str, factor: float
) -> list[onnx.NodeProto]:
    """GELU of ``source`` times ``factor``, for ``node``: simplification moves factors elsewhere."""
    output = node.output[0]
    unscaled, constant = f"{output}, unscaled", f"{output}, factor"
    graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), constant))
    return [
        helper.make_node("Gelu", [source], [unscaled], node.name, approximate=form),
        helper.make_node("Mul", [unscaled, constant], [output], f"{node.name}, factor"),
    ]


def _functions(
    node: onnx.NodeProto,
    functions: dict[str, dict[str, Samples]],
    constants: dict[str, NDArray[np.generic]],
) -> dict[str, Samples]:
    """The values of what ``node`` computes, for each tensor of which alone it is a function."""
    if node.op_type not in OPERATORS:
        return {}
    operands = []
    for name in node.input:
        if name not in constants:
            operands.append(functions.get(name, {name: GRID}))
        elif constants[name].size != 1:
            return {}
        else:
            operands.append({"": np.float64(constants[name].item())})
    sources = set.intersection(*(set(values) for values in operands if "" not in values))
    with np.errstate(all="ignore"):
        return {
            source: OPERATORS[node.op_type](*(o.get(source, o.get("")) for o in operands))
            for source in sorted(sources)
        }
