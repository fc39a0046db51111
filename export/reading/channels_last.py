"""Graphs that compute in NHWC between transpositions, as TensorFlow's converters leave them.

Transpositions sink towards the end through what does not care where the channels are, until they
meet those back and cancel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
"""As ``perm`` of a Transpose: to NHWC, and back."""
ELEMENTWISE = {
    *("Abs", "Add", "Cast", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid"),
    *("HardSwish", "Identity", "LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Relu"),
    *("Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh"),
}
AXES = {"Concat", "ReduceMean", "ReduceSum", "ReduceL2", "Slice", "Softmax", "Split"}
"""Operators with one axis or several."""


def channels_first(graph: onnx.GraphProto) -> None:
    """Rewrite ``graph``, of constants that are folded, in place."""
    transposed = any(n.op_type == "Transpose" and _perm(n) == NHWC for n in graph.node)
    if not transposed:
        return
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    moved: dict[str, str] = {}
    """For a tensor in NHWC its twin in NCHW."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        perm = _perm(node)
        if perm == NHWC and node.input[0] not in constants:
            moved[node.output[0]] = node.input[0]
        elif perm == NCHW and node.input[0] in moved:
            node = helper.make_node("Identity", [moved[node.input[0]]], node.output, node.name)
        elif any(name in moved for name in node.input):
            twin = _twin(node, moved, constants, graph)
            if twin is not None:
                nodes.append(twin)
                for name, output in zip(node.output, twin.output, strict=True):
                    moved[name] = output
                    nodes.append(helper.make_node("Transpose", [output], [name], perm=NHWC))
                continue
        nodes.append(node)
    used = {name for node in nodes for name in node.input} | {v.name for v in graph.output}
    del graph.node[:]
    graph.node.extend(n for n in nodes if _perm(n) != NHWC or n.output[0] in used)


def _twin(
    node: onnx.NodeProto,
    moved: dict[str, str],
    constants: dict[str, NDArray[Any]],
    graph: onnx.GraphProto,
) -> onnx.NodeProto | None:
    """``node`` on tensors in NCHW, of which it makes such; None where that is not known."""
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    twin.output[:] = [f"{name}, NCHW" for name in node.output]

    def constant(place: int, value: NDArray[Any]) -> None:
        twin.input[place] = f"{node.output[0]}, {place}"
        graph.initializer.append(numpy_helper.from_array(value, twin.input[place]))
        constants[twin.input[place]] = value

    if node.op_type in ELEMENTWISE:
        places = range(1 if node.op_type in ("Cast", "Clip", "Dropout") else len(node.input))
        for place in places:
            name = node.input[place]
            if name in moved:
                twin.input[place] = moved[name]
            elif name in constants and constants[name].ndim <= 4:
                value = constants[name]
                value = value.reshape((1,) * (4 - value.ndim) + value.shape)
                constant(place, value.transpose(NCHW) if value.size > 1 else value)
            else:
                return None
    elif node.op_type in AXES:
        data = node.input if node.op_type == "Concat" else node.input[:1]
        if not all(name in moved for name in data):
            return None
        twin.input[: len(data)] = [moved[name] for name in data]
        keepdims = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
        for attribute in twin.attribute:
            if attribute.name == "axis":
                attribute.i = NHWC[attribute.i]
            elif attribute.name == "axes":
                attribute.ints[:] = [NHWC[axis] for axis in attribute.ints]
        place = 3 if node.op_type == "Slice" else 1
        if node.op_type.startswith(("Reduce", "Slice")) and len(node.input) > place:
            if node.input[place] not in constants:
                return None
            axes = constants[node.input[place]]
            constant(place, np.array([NHWC[axis] for axis in axes], axes.dtype))
        if not keepdims:
            return None
    elif node.op_type == "Pad" and node.input[1] in constants and len(node.input) < 4:
        twin.input[0] = moved[node.input[0]]
        constant(1, constants[node.input[1]].reshape(2, 4)[:, NCHW].reshape(-1))
    else:
        return None
    return twin


def _perm(node: onnx.NodeProto) -> list[int] | None:
    if node.op_type != "Transpose":
        return None
    return next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
