"""The nodes of a graph as TFLite operators.

Where TFLite has several exact forms of a node, the one that XNNPACK runs fastest is written; the
times in the comments are those of ai-edge-litert 2.3.0 on one x86 core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.schema_py_generated import ActivationFunctionType, BuiltinOperator

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
    Shape,
)
from ailsr.export.graph.padding import padded_by_slices
from ailsr.export.graph.quantization import pixels_of
from ailsr.export.targets.tflite import functions
from ailsr.export.targets.tflite.model import (
    DILATED_DEPTHWISE_CONV_2D,
    GROUPED_CONV_2D,
    Kernel,
    ModelBuilder,
)
from ailsr.export.targets.tflite.tensors import GraphTensors

_ACTIVATIONS: dict[Clamp, tuple[int, int]] = {  # fused, and as an operator
    (0.0, np.inf): (ActivationFunctionType.RELU, BuiltinOperator.RELU),
    (0.0, 6.0): (ActivationFunctionType.RELU6, BuiltinOperator.RELU6),
    (-1.0, 1.0): (ActivationFunctionType.RELU_N1_TO_1, BuiltinOperator.RELU_N1_TO_1),
}
_EXTREMES = {"max": BuiltinOperator.MAXIMUM, "min": BuiltinOperator.MINIMUM}
_HEIGHT, _WIDTH, _CHANNELS = 1, 2, 3  # the axes in NHWC


class NodeTranslator:
    """Appends the operators of a graph's nodes, in the order of computation, to a model."""

    def __init__(self, model: ModelBuilder, tensors: GraphTensors, graph: Graph) -> None:
        self._model = model
        self._tensors = tensors
        self._graph = graph
        self._quantized = tensors.quantized

    def translate(self, node: Node) -> None:
        """Append the operators that compute ``node``."""
        match node:
            case Conv():
                self._conv(node)
            case Add():
                inputs = [self._tensors.read(name) for name in node.inputs]
                self._clamped(BuiltinOperator.ADD, inputs, node, schema.AddOptionsT())
            case Mul():
                inputs = [self._tensors.read(name) for name in node.inputs]
                self._clamped(BuiltinOperator.MUL, inputs, node, schema.MulOptionsT())
            case MinMax():
                self._move(_EXTREMES[node.function], node, schema.MaximumMinimumOptionsT())
            case Pointwise():
                self._pointwise(node)
            case Clip():
                source = self._tensors.read(node.input, self._tensors.parameters(node.output))
                self._clip(source, node.output, self._steps(node))
            case PRelu():
                self._prelu(node)
            case Concat():
                self._concat(node)
            case DepthToSpace():
                self._depth_to_space(node)
            case Pad() if node.sliced or node.mode == "edge":  # TFLite does not replicate edges
                self._pad_by_slices(node)
            case Pad():
                options = schema.MirrorPadOptionsT(mode=schema.MirrorPadMode.REFLECT)
                pads = self._tensors.pads(node.pads)
                self._move(BuiltinOperator.MIRROR_PAD, node, options, [pads])
            case Crop():
                self._crop(node)
            case Normalize():
                functions.FloatFunctions(self._model, self._tensors, node.output).compute(node)
            case Mean():
                axes = self._tensors.integers("height and width", [_HEIGHT, _WIDTH])
                inputs = [self._tensors.read(node.input), axes]
                options = schema.ReducerOptionsT(keepDims=True)
                result = self._tensors.result(node.output)
                self._model.operator(BuiltinOperator.MEAN, inputs, result, options)
            case MaxPool(kernel=(height, width), stride=(down, right)):
                window = {"filterHeight": height, "filterWidth": width}
                stride = {"strideH": down, "strideW": right}
                options = schema.Pool2DOptionsT(schema.Padding.VALID, **window, **stride)
                self._move(BuiltinOperator.MAX_POOL_2D, node, options)
            case Resize() if functions.is_wide(self._tensors.parameters(node.output)):
                functions.FloatFunctions(self._model, self._tensors, node.output).compute(node)
            case Resize():
                size = self._tensors.integers(f"{node.output}/size", node.size)
                self._move(
                    BuiltinOperator.RESIZE_BILINEAR, node, functions.resize_options(node), [size]
                )
            case _:
                assert_never(node)

    def _move(
        self,
        code: int,
        node: Concat | DepthToSpace | Pad | MinMax | MaxPool | Resize,
        options: object,
        constants: Sequence[int] = (),
    ) -> None:
        """An operator that computes no new samples: it wants equal parameters on all sides."""
        parameters = self._tensors.parameters(node.output)
        inputs = [self._tensors.read(name, parameters) for name in node.inputs]
        result = self._tensors.result(node.output)
        self._model.operator(code, [*inputs, *constants], result, options)

    def _depth_to_space(self, node: DepthToSpace) -> None:
        code = BuiltinOperator.DEPTH_TO_SPACE
        options = schema.DepthToSpaceOptionsT(blockSize=node.block)
        parameters = self._tensors.parameters(node.output)
        if parameters is None or parameters.bits == 8:
            self._move(code, node, options)
            return
        between = pixels_of(self._graph) if parameters == pixels_of(self._graph, 16) else None
        source = self._tensors.requantized(self._tensors.read(node.input), node.input, between)
        moved = self._tensors.shaped(f"{node.output}/moved", node.output, between)
        self._model.operator(code, [source], moved, options)
        if between is not None:
            self._tensors.put(node.output, moved, between)
        if between is None or self._graph.consumers(node.output):
            self._tensors.put(
                node.output, self._tensors.requantized(moved, node.output, parameters)
            )

    def _concat(self, node: Concat) -> None:
        channels, *_ = self._graph.shapes[node.inputs[0]]
        if len(set(node.inputs)) == 1 and channels <= 4:
            # An image repeated, as for a nearest-neighbour skip: a 1x1 convolution gives the same
            # values, in int8 too, and nine copies of three channels take it 0.4 ms instead of 2.
            weight = np.tile(np.eye(channels, dtype=np.float32), (len(node.inputs), 1))
            bias = np.zeros(len(weight), np.float32)
            self._conv(Conv(node.inputs[0], node.output, weight[:, :, None, None], bias))
        else:
            options = schema.ConcatenationOptionsT(axis=_CHANNELS)
            self._move(BuiltinOperator.CONCATENATION, node, options)

    def _pad_by_slices(self, node: Pad) -> None:
        output = node.output

        def cut(source: tuple[int, Shape], axis: int, place: int) -> tuple[int, Shape]:
            line = _with_side(source[1], axis, 1)
            result = self._tensors.like(f"{output}/slice", output, line)
            self._slice(source[0], {axis: (place, place + 1)}, result)
            return result, line

        def join(parts: Sequence[tuple[int, Shape]], axis: int, last: bool) -> tuple[int, Shape]:
            indices, shapes = zip(*parts, strict=True)
            whole = _with_side(shapes[0], axis, sum(shape[axis] for shape in shapes))
            result = self._tensors.like(output if last else f"{output}/rows", output, whole)
            options = schema.ConcatenationOptionsT(axis=axis)  # which is the same in NHWC
            self._model.operator(BuiltinOperator.CONCATENATION, indices, result, options)
            return result, whole

        source = self._tensors.read(node.input, self._tensors.parameters(output))
        image = source, self._graph.shapes[node.input]
        self._tensors.put(output, padded_by_slices(node, image, cut, join)[0])

    def _crop(self, node: Crop) -> None:
        top, left, bottom, right = node.border
        source = self._tensors.read(node.input, self._tensors.parameters(node.output))
        result = self._tensors.result(node.output)
        self._slice(source, {_HEIGHT: (top, -bottom), _WIDTH: (left, -right)}, result)

    def _slice(self, source: int, parts: Mapping[int, tuple[int, int]], result: int) -> None:
        """The tensor at ``source`` from the first place to before the second along each axis of
        ``parts``: from its end where negative, up to the end for a second of 0."""
        begin, end = ([parts.get(axis, (0, 0))[i] for axis in range(4)] for i in (0, 1))
        last = sum(1 << axis for axis, place in enumerate(end) if place == 0)
        start = sum(1 << axis for axis in range(4) if axis not in parts)
        options = schema.StridedSliceOptionsT(beginMask=start, endMask=last)
        numbers = (("begin", begin), ("end", end), ("strides", [1] * 4))
        constants = [self._tensors.integers(name, values) for name, values in numbers]
        self._model.operator(BuiltinOperator.STRIDED_SLICE, [source, *constants], result, options)

    def _pointwise(self, node: Pointwise) -> None:
        code = functions.int8_kernel(node.function, self._tensors.parameters(node.output))
        if code is None:
            functions.FloatFunctions(self._model, self._tensors, node.output).compute(node)
            return
        gelu = schema.GeluOptionsT(approximate=node.function == "gelu_tanh")
        options = gelu if code == BuiltinOperator.GELU else None
        inputs = [self._tensors.read(node.input)]
        self._model.operator(code, inputs, self._tensors.result(node.output), options)

    def _prelu(self, node: PRelu) -> None:
        source = self._tensors.read(node.input)
        parameters = self._tensors.parameters(node.output)
        if np.all(node.slope == node.slope[0]):
            options = schema.LeakyReluOptionsT(alpha=float(node.slope[0]))
            result = self._tensors.result(node.output)
            self._model.operator(BuiltinOperator.LEAKY_RELU, [source], result, options)
        elif self._quantized and node.slope.max() <= 1:
            self._prelu_as_maximum(source, node)
        elif parameters is not None and parameters.bits == 16:  # which PRELU lacks
            real = self._tensors.requantized(source, node.input, None)
            slope = self._model.constant(f"{node.output}/slope", node.slope.reshape(1, 1, -1))
            result = self._tensors.shaped(f"{node.output}/real", node.output, None)
            self._model.operator(BuiltinOperator.PRELU, [real, slope], result)
            result = self._tensors.requantized(result, node.output, parameters)
            self._tensors.put(node.output, result)
        else:
            inputs = [source, self._tensors.slopes(f"{node.output}/slope", node.slope)]
            self._model.operator(BuiltinOperator.PRELU, inputs, self._tensors.result(node.output))

    def _prelu_as_maximum(self, source: int, node: PRelu) -> None:
        """max(x, slope * x): int8 PRELU is not in XNNPACK (19 ms for 320x180x28; this: 0.9 ms)."""
        output, channels = node.output, len(node.slope)
        weight, bias = node.slope.reshape(-1, 1, 1, 1), np.zeros(channels, np.float32)
        slopes = Conv(node.input, f"{output}/slope", weight, bias, groups=channels)
        filters = self._tensors.filters(slopes, depthwise=True)
        product = self._tensors.like(f"{output}/product", output)
        options: Any = schema.DepthwiseConv2DOptionsT(
            padding=schema.Padding.VALID, strideH=1, strideW=1, depthMultiplier=1
        )
        self._model.operator(
            BuiltinOperator.DEPTHWISE_CONV_2D, [source, *filters], product, options
        )
        inputs = [self._tensors.read(node.input, self._tensors.parameters(output)), product]
        result = self._tensors.result(output)
        self._model.operator(
            BuiltinOperator.MAXIMUM, inputs, result, schema.MaximumMinimumOptionsT()
        )

    def _conv(self, node: Conv) -> None:
        depthwise = 1 < node.groups == self._graph.shapes[node.input][0]
        source, padding = self._padded(node)
        filters = self._tensors.filters(node, depthwise)
        common = {
            "padding": padding,
            "strideH": node.stride[0],
            "strideW": node.stride[1],
            "dilationHFactor": node.dilation[0],
            "dilationWFactor": node.dilation[1],
        }
        if depthwise:
            code = BuiltinOperator.DEPTHWISE_CONV_2D
            multiplier = len(node.weight) // node.groups
            options = schema.DepthwiseConv2DOptionsT(**common, depthMultiplier=multiplier)
            dilated = node.dilation != (1, 1) and not self._quantized
            kernel = DILATED_DEPTHWISE_CONV_2D if dilated else None
        else:
            code = BuiltinOperator.CONV_2D
            options = schema.Conv2DOptionsT(**common)
            kernel = GROUPED_CONV_2D if node.groups > 1 else None
        self._clamped(code, [source, *filters], node, options, kernel)

    def _padded(self, node: Conv) -> tuple[int, int]:
        """(the convolution's input with its border of zeros, SAME or VALID).

        SAME stands for one and the same border at every size of image only where the stride is 1.
        """
        source = self._tensors.read(node.input)
        top, left, bottom, right = node.pads
        if not any(node.pads):
            return source, schema.Padding.VALID
        reach = [(k - 1) * d for k, d in zip(node.weight.shape[2:], node.dilation, strict=True)]
        same = (*(total // 2 for total in reach), *(total - total // 2 for total in reach))
        if node.stride == (1, 1) and node.pads == same:
            return source, schema.Padding.SAME
        channels, height, width = self._graph.shapes[node.input]
        shape = (channels, height + top + bottom, width + left + right)
        padded = self._tensors.like(f"{node.output}/padded", node.input, shape)
        inputs = [source, self._tensors.pads(node.pads)]
        self._model.operator(BuiltinOperator.PAD, inputs, padded, schema.PadOptionsT())
        return padded, schema.Padding.VALID

    # Clamps

    def _clamped(
        self,
        code: int,
        inputs: Sequence[int],
        node: Clamped,
        options: Any,  # noqa: ANN401 - Conv2DOptionsT and its like, which are untyped
        kernel: Kernel | None = None,
    ) -> None:
        """An operator with a fused activation, then what that leaves of the node's clamp."""
        steps = self._steps(node)
        if steps and steps[0] in _ACTIVATIONS:
            options.fusedActivationFunction, _ = _ACTIVATIONS[steps.pop(0)]
        result = self._tensors.like(
            f"{node.output}/unclamped" if steps else node.output, node.output
        )
        self._model.operator(code, inputs, result, options, kernel)
        self._clip(result, node.output, steps)

    def _clip(self, source: int, output: str, steps: Sequence[Clamp]) -> None:
        """Make the tensor at ``source``, after the clamps ``steps``, the tensor ``output``."""
        for number, step in enumerate(steps, 1):
            label = output if number == len(steps) else f"{output}/clamped"
            result = self._tensors.like(label, output)
            if step in _ACTIVATIONS and not self._quantized:
                _, code = _ACTIVATIONS[step]
                self._model.operator(code, [source], result)
            else:  # in int8 these are 0.1 ms for 320x180x28, RELU is not in XNNPACK: 18 ms
                low, high = step
                lower = low > -np.inf
                code = BuiltinOperator.MAXIMUM if lower else BuiltinOperator.MINIMUM
                bound = self._tensors.number(f"{output}/bound", low if lower else high, output)
                options = schema.MaximumMinimumOptionsT()
                self._model.operator(code, [source, bound], result, options)
            source = result
        self._tensors.put(output, source)

    def _steps(self, node: Clamped | Clip) -> list[Clamp]:
        """The node's clamp as clamps of one operator each, none for what saturation does."""
        low, high = node.clamp
        parameters = self._tensors.parameters(node.output)
        if node.clamp in _ACTIVATIONS and (parameters is None or isinstance(node, Conv)):
            return [node.clamp]
        if parameters is not None:
            low = -np.inf if parameters.saturates_at((low, np.inf)) else low
            high = np.inf if parameters.saturates_at((-np.inf, high)) else high
        steps = [(low, np.inf), (-np.inf, high)]
        return [step for step in steps if step != UNBOUNDED]


def _with_side(shape: Shape, axis: int, length: int) -> Shape:
    """``shape``, ``length`` long along its height (1) or width (2)."""
    channels, height, width = shape
    return (channels, length, width) if axis == _HEIGHT else (channels, height, length)
