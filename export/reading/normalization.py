"""Normalisation where an ONNX model spells it out, recognised by its values.

Means, squares, roots and quotients come in many orders: x / sqrt(mean(x²)), (x - m) * v^-0.5,
x / max(|x|, epsilon). In int8 each of those would round, and a variance has no room in 256 levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Samples = NDArray[np.float64]

BINARY: dict[str, Callable[[Samples, Samples], Samples]] = {
    "Add": np.add,
    "Div": np.divide,
    "Max": np.maximum,
    "Mul": np.multiply,
    "Pow": np.power,
    "Sub": np.subtract,
}
UNARY: dict[str, Callable[[Samples], Samples]] = {
    "Abs": np.abs,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Sqrt": np.sqrt,
}
REDUCTIONS: dict[str, Callable[..., Samples]] = {
    "ReduceL2": lambda x, **how: np.sqrt(np.square(x).sum(**how)),
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceSumSquare": lambda x, **how: np.square(x).sum(**how),
}
"""The operators that normalisations consist of, with Clip and Expand."""
LONGEST = 15
"""Operators of one normalisation."""
POSITIONS = 3
"""Length of the axes that are not reduced, in the samples."""


def with_normalization(graph: onnx.GraphProto) -> None:
    """Put one MeanVarianceNormalization in place of the nodes of ``graph`` that compute it.

    It has the attributes ``epsilon`` and ``centred`` besides those of ONNX.
    """
    reductions = [node for node in graph.node if node.op_type in REDUCTIONS]
    if not reductions:
        return
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    nodes = list(graph.node)
    replaced: set[str] = set()
    for reduction in reductions:
        axes = _axes(reduction, constants, shapes)
        for source in _sources(reduction, nodes) if axes else ():
            end = _normalized(source, axes, nodes, constants, shapes)
            if end is None:
                continue
            node, factor, epsilon, centred = end
            if node.output[0] not in replaced:
                replaced.add(node.output[0])
                place = next(i for i, other in enumerate(nodes) if other is node)
                nodes[place : place + 1] = _operator(
                    graph, node, source, axes, factor, epsilon, centred
                )
            break
    del graph.node[:]
    graph.node.extend(_alive(nodes, graph.output[0].name))


def _axes(
    node: onnx.NodeProto, constants: dict[str, NDArray[Any]], shapes: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """The axes that ``node`` reduces, none where they are not known."""
    rank = len(shapes.get(node.input[0], ()))
    if len(node.input) > 1:
        found = constants.get(node.input[1], np.zeros(0)).reshape(-1).tolist()
    else:
        found = next((list(a.ints) for a in node.attribute if a.name == "axes"), [])
    return tuple(sorted(int(axis) % rank for axis in found)) if rank else ()


def _sources(reduction: onnx.NodeProto, nodes: Sequence[onnx.NodeProto]) -> Iterator[str]:
    """The tensors that ``reduction`` may be a part of a normalisation of."""
    yield reduction.input[0]
    for node in nodes:
        if node.output[0] == reduction.input[0] and node.op_type in ("Mul", "Pow", "Abs"):
            yield node.input[0]


def _normalized(
    source: str,
    axes: tuple[int, ...],
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    shapes: dict[str, tuple[int, ...]],
) -> tuple[onnx.NodeProto, float, float, bool] | None:
    """(node, factor, epsilon, centred): ``node`` computes ``factor`` times the normalisation of
    ``source``."""
    shape = shapes.get(source, ())
    if not all(shape) or len(shape) < 2 or max(axes) >= len(shape):
        return None
    sides = [side if i in axes else min(side, POSITIONS) for i, side in enumerate(shape)]
    draw = np.random.default_rng(0)
    spread = draw.uniform(0.5, 2, [1 if i in axes else side for i, side in enumerate(sides)])
    samples: Samples = draw.normal(0.3, spread, sides)
    values = {source: samples}
    reduced = tuple(1 if i in axes else side for i, side in enumerate(shape))
    flat: set[str] = set()
    """What is reduced and has lost its axes; they come back by a Reshape or an Unsqueeze."""
    for node in nodes:
        known = [name for name in node.input if name in values]
        if not known or len(values) > LONGEST:
            continue
        if flat.intersection(known):
            if node.op_type in ("Reshape", "Unsqueeze"):
                value = values[known[0]] if shapes.get(node.output[0]) == reduced else None
            else:
                value = _value(node, values, constants, shapes) if flat.issuperset(known) else None
                flat.add(node.output[0])
        else:
            value = _value(node, values, constants, shapes)
            if node.op_type in REDUCTIONS and not _keeps_axes(node):
                flat.add(node.output[0])
        if value is None:
            continue
        values[node.output[0]] = value
        if node.op_type in ("Div", "Mul") and value.shape == samples.shape:
            for centred in (True, False):
                fit = _fit(samples, value, axes, centred)
                if fit is not None:
                    return node, *fit, centred
    return None


def _keeps_axes(node: onnx.NodeProto) -> bool:
    return next((bool(a.i) for a in node.attribute if a.name == "keepdims"), True)


def _value(
    node: onnx.NodeProto,
    values: dict[str, Samples],
    constants: dict[str, NDArray[Any]],
    shapes: dict[str, tuple[int, ...]],
) -> Samples | None:
    """What ``node`` computes of the samples, reduced axes kept; None if it is not a part of a
    normalisation."""
    kind = node.op_type
    if kind in REDUCTIONS:
        axes = _axes(node, constants, shapes)
        return REDUCTIONS[kind](values[node.input[0]], axis=axes, keepdims=True) if axes else None
    operands: list[Samples] = []
    for name in node.input:
        if name in values:
            operands.append(values[name])
        elif name in constants and constants[name].size == 1:
            operands.append(np.array(constants[name].item(), np.float64))
        elif kind not in ("Clip", "Expand"):
            return None
    with np.errstate(all="ignore"):
        if kind in BINARY and len(operands) == 2:
            return BINARY[kind](*operands)
        if kind in UNARY:
            return UNARY[kind](operands[0])
    if kind == "Expand":
        return operands[0]
    if kind == "Clip" and node.input[1:2] != [""] and len(operands) == 2:  # from below alone
        return np.maximum(*operands)
    return None


def _fit(
    samples: Samples, value: Samples, axes: tuple[int, ...], centred: bool
) -> tuple[float, float] | None:
    """(factor, epsilon) with which ``value`` is the normalisation of ``samples``, if it is one."""
    rest = samples - samples.mean(axes, keepdims=True) if centred else samples
    variance = np.square(rest).mean(axes, keepdims=True).reshape(-1)
    inverse = (rest / value).mean(axes, keepdims=True)
    if not np.allclose(rest, value * inverse, rtol=1e-6, atol=1e-9) or len(variance) < 2:
        return None
    # inverse² = (variance + epsilon) / factor², linear in the variance
    slope, offset = np.polyfit(variance, np.square(inverse).reshape(-1), 1)
    line = slope * variance + offset
    if slope <= 0 or not np.allclose(np.square(inverse).reshape(-1), line, rtol=1e-7, atol=0):
        return None
    epsilon = float(offset / slope)
    if epsilon < -1e-9:
        return None
    return float(np.sign(inverse.flat[0]) * slope**-0.5), epsilon if epsilon > 1e-10 else 0.0


def _operator(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    source: str,
    axes: tuple[int, ...],
    factor: float,
    epsilon: float,
    centred: bool,
) -> list[onnx.NodeProto]:
    """The nodes that stand for ``node``."""
    output = node.output[0]
    attributes: dict[str, Any] = {"axes": axes, "epsilon": epsilon, "centred": int(centred)}
    plain, constant = f"{output}, normalised", f"{output}, factor"
    operator = "MeanVarianceNormalization"
    if abs(factor - 1) < 1e-6:
        return [helper.make_node(operator, [source], [output], node.name, **attributes)]
    graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), constant))
    return [
        helper.make_node(operator, [source], [plain], node.name, **attributes),
        helper.make_node("Mul", [plain, constant], [output], f"{node.name}, factor"),
    ]


def _alive(nodes: Sequence[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes on which ``output`` depends."""
    needed, alive = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            alive.append(node)
    return alive[::-1]
