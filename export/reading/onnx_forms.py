"""ONNX models in the form that is read: float32, one image (1, 3, height, width) in and one out.

Layouts, half precision, quantisation and batches of other exporters are rewritten around the same
network, which onnxruntime then runs as the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from ailsr.export.reading.luma import to_rgb
from ailsr.export.reading.outputs import chosen
from ailsr.runtime.errors import ModelError
from ailsr.train.networks import Color

Array = NDArray[Any]

QUANTIZED = {
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QuantizeLinear",
}
"""Operators of models that are int8 already."""
_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True)
class Forms:
    """How to take a file of others, where it leaves a choice."""

    output: str | None = None
    """Name of the output to export, where there are several."""
    dequantize: bool = False
    """Take a quantised model for the float32 one that it approximates."""


def in_our_form(model: ModelProto, forms: Forms) -> Color | None:
    """Rewrite ``model`` in place; the colour in which it computes, None when there was nothing to
    do. Raises ModelError, UsageError."""
    before = model.SerializeToString(deterministic=True)
    graph = model.graph
    place = chosen([value.name for value in graph.output], forms.output)
    kept = graph.output[place]
    del graph.output[:]
    graph.output.append(kept)
    quantized = QUANTIZED.intersection(node.op_type for node in graph.node)
    if quantized and not forms.dequantize:
        raise ModelError(
            f"it is quantised already (it has {', '.join(sorted(quantized))}): give the float32 "
            "model it was made of, or take it for that with --dequantize"
        )
    if quantized:
        _dequantize(graph)
    ends = [*_inputs(graph), *graph.output]
    if any(t == TensorProto.FLOAT16 for t in _types(graph)):
        _to_float32(graph)
    for end in ends:
        dims = end.type.tensor_type.shape.dim
        if len(dims) == 4 and dims[0].dim_value > 1:
            dims[0].dim_value = 1
    for value in _inputs(graph)[:1]:
        _close_channels(graph, value)
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(dims) == 4 and dims[3] in (1, 3) and dims[1] not in (1, 3):
            _to_nchw(graph)
        if len(dims) == 4 and 1 in (dims[1], dims[3]) and 3 not in (dims[1], dims[3]):
            to_rgb(model)
            return "y"
    return "rgb" if model.SerializeToString(deterministic=True) != before else None


KEEPS_CHANNELS = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Pad", "Sub"}
"""Operators between an image and the first convolution, as those that change its range."""


def _close_channels(graph: GraphProto, image: ValueInfoProto) -> None:
    """State the number of channels of ``image`` where the model leaves it open: that of the first
    convolution."""
    dims = image.type.tensor_type.shape.dim
    if len(dims) != 4 or dims[1].dim_value or dims[3].dim_value in (1, 3):
        return
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    images = {image.name}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and node.input[0] in images:
            shape = shapes.get(node.input[1], ())
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            if len(shape) == 4:
                own = shape[1] * groups if node.op_type == "Conv" else shape[0]
                dims[1].dim_value = own
            return
        if node.op_type in KEEPS_CHANNELS and images & {*node.input}:
            images.update(node.output)


def _inputs(graph: GraphProto) -> list[ValueInfoProto]:
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def _types(graph: GraphProto) -> set[int]:
    """Element types of inputs, outputs and constants."""
    values = [*graph.input, *graph.output]
    tensors = [*graph.initializer, *(a.t for a in _attributes(graph) if a.HasField("t"))]
    return {v.type.tensor_type.elem_type for v in values} | {t.data_type for t in tensors}


def _attributes(graph: GraphProto) -> list[AttributeProto]:
    return [attribute for node in graph.node for attribute in node.attribute]


# float16 -------------------------------------------------------------------------------------


def _to_float32(graph: GraphProto) -> None:
    """Half precision as float32: the same weights, and arithmetic that loses less."""
    half, real = TensorProto.FLOAT16, TensorProto.FLOAT
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type = real
    del graph.value_info[:]
    tensors = [*graph.initializer, *(a.t for a in _attributes(graph) if a.HasField("t"))]
    for tensor in tensors:
        if tensor.data_type == half:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = real


# NHWC ----------------------------------------------------------------------------------------


def _to_nchw(graph: GraphProto) -> None:
    """Transpositions at both ends, which cancel those inside."""
    (source,), (result,) = _inputs(graph), graph.output
    for value, order, ends in (
        (source, _TO_NHWC, ("{}, NCHW", "{}")),
        (result, _TO_NCHW, ("{}", "{}, NCHW")),
    ):
        given, made = (end.format(value.name) for end in ends)
        node = helper.make_node("Transpose", [given], [made], perm=order, name=f"{value.name}/NCHW")
        if value is source:
            graph.node.insert(0, node)
        else:
            graph.node.append(node)
        dims = value.type.tensor_type.shape.dim
        moved = [onnx.TensorShapeProto.Dimension() for _ in dims]
        for new, old in zip(moved, [dims[axis] for axis in _TO_NCHW], strict=True):
            new.CopyFrom(old)
        del dims[:]
        dims.extend(moved)
        value.name = f"{value.name}, NCHW"


# int8 ----------------------------------------------------------------------------------------


def _dequantize(graph: GraphProto) -> None:
    """The same in real numbers.

    Levels of constants become what they stand for. Levels of activations become clips to the range
    of the integers, which quantisers let do the work of activations; those of ranges that are found
    at run time (DynamicQuantizeLinear) become the activations themselves, of scale 1.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    nodes: list[NodeProto] = []
    added: dict[str, Array] = {}
    for node in graph.node:
        inputs = [constants.get(name) for name in node.input]
        match node.op_type, inputs:
            case "QuantizeLinear", [_, scale, zero] if _is_number(scale) and zero is not None:
                low, high = np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max
                bounds = {
                    f"{node.output[0]}/{end}": _real(np.array(end), scale, zero)
                    for end in (low, high)
                }
                added |= {name: bound.reshape(()) for name, bound in bounds.items()}
                nodes.append(helper.make_node("Clip", [node.input[0], *bounds], node.output))
            case "DequantizeLinear", [levels, scale, *zero] if levels is not None:
                axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
                added[node.output[0]] = _real(levels, scale, *zero, axis=axis)
            case "DequantizeLinear", _:
                nodes.append(helper.make_node("Identity", node.input[:1], node.output))
            case "DynamicQuantizeLinear", _:
                nodes.append(helper.make_node("Identity", node.input[:1], node.output[:1]))
                added[node.output[1]] = np.ones((), np.float32)
            case "ConvInteger", [_, weight, *zeros] if weight is not None:
                offset = zeros[1] if len(zeros) > 1 else None
                added[f"{node.output[0]}/weight"] = _real(weight, np.ones(1), offset, axis=0)
                conv = helper.make_node("Conv", [node.input[0], [*added][-1]], node.output)
                conv.attribute.extend(node.attribute)
                nodes.append(conv)
            case operator, _ if operator in QUANTIZED:
                raise ModelError(
                    f"it computes in integers ({operator}), which cannot be taken back: give the "
                    "float32 model it was made of, or one that is quantised in the format QDQ"
                )
            case _:
                nodes.append(node)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in added.items())
    del graph.node[:]
    del graph.value_info[:]
    graph.node.extend(nodes)


def _is_number(scale: Array | None) -> bool:
    return scale is not None and scale.size == 1


def _real(levels: Array, scale: Array | None, zero: Array | None = None, *, axis: int = 0) -> Array:
    """What integer ``levels`` stand for, in float32; one scale and zero point, or one for each
    slice along ``axis``."""
    if scale is None:
        raise ModelError("a scale of its quantisation is computed, not constant")
    shape = [-1 if i == axis else 1 for i in range(levels.ndim)]
    scale, zero = (
        value.reshape(shape) if value.size > 1 else value.reshape(())
        for value in (
            scale.astype(np.float64),
            np.zeros(()) if zero is None else zero.astype(np.int64),
        )
    )
    real: Array = ((levels.astype(np.int64) - zero) * scale).astype(np.float32)
    return real
