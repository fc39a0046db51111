"""Functions that TFLite has in float alone, or as several operators.

In an integer file they stand between DEQUANTIZE and QUANTIZE, so that the result is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.schema_py_generated import BuiltinOperator

from ailsr.export.graph.graph import Function, Normalize, Pointwise, Resize, Shape
from ailsr.export.graph.quantization import FIXED, QParams
from ailsr.export.targets.tflite.model import ModelBuilder
from ailsr.export.targets.tflite.tensors import GraphTensors

_OPTIONS: dict[int, Callable[[], Any]] = {
    BuiltinOperator.ADD: schema.AddOptionsT,
    BuiltinOperator.DIV: schema.DivOptionsT,
    BuiltinOperator.MAXIMUM: schema.MaximumMinimumOptionsT,
    BuiltinOperator.MUL: schema.MulOptionsT,
    BuiltinOperator.SUB: schema.SubOptionsT,
}
SINGLE: dict[Function, int] = {
    "sigmoid": BuiltinOperator.LOGISTIC,
    "tanh": BuiltinOperator.TANH,
    "gelu": BuiltinOperator.GELU,
    "gelu_tanh": BuiltinOperator.GELU,
    "sqrt": BuiltinOperator.SQRT,
    "exp": BuiltinOperator.EXP,
}
"""The functions that are one operator."""
INTEGER: tuple[int, ...] = (
    BuiltinOperator.LOGISTIC,
    BuiltinOperator.TANH,
    BuiltinOperator.GELU,
)
"""Those of them that have an int8 kernel; XNNPACK makes one table of each."""


def int8_kernel(function: Function, parameters: QParams | None) -> int | None:
    """The operator that computes ``function`` in int8 for a result of ``parameters``, if any."""
    code = SINGLE.get(function)
    if code not in INTEGER or parameters is None or parameters.bits != 8:
        return None
    return code if parameters == FIXED.get(function, parameters) else None


def is_wide(parameters: QParams | None) -> bool:
    """True for 16 bits, for which RESIZE_BILINEAR takes places in 1/1024 of a pixel: too coarse."""
    return parameters is not None and parameters.bits == 16


def resize_options(node: Resize) -> schema.ResizeBilinearOptionsT:
    """The options of RESIZE_BILINEAR."""
    return schema.ResizeBilinearOptionsT(node.corners, halfPixelCenters=not node.corners)


class FloatFunctions:
    """Appends what computes the float tensor ``output`` of a graph to ``model``."""

    def __init__(self, model: ModelBuilder, tensors: GraphTensors, output: str) -> None:
        self._model = model
        self._tensors = tensors
        self._output = output
        self._steps = 0

    def compute(self, node: Pointwise | Normalize | Resize) -> None:
        """Append ``node``, from its input to its result as the file has them."""
        source = self._tensors.read(node.input)
        if self._tensors.quantized:
            real = self._tensors.shaped(f"{node.input}/real", node.input, None)
            self._model.operator(BuiltinOperator.DEQUANTIZE, [source], real)
            source = real
        if isinstance(node, Normalize):
            result = self._normalized(node, source)
        elif isinstance(node, Resize):
            size = self._tensors.integers(f"{node.output}/size", node.size)
            result = self._op(
                BuiltinOperator.RESIZE_BILINEAR, source, size, options=resize_options(node)
            )
        else:
            result = self._function(node.function, source)
        if self._tensors.quantized:
            levels = self._tensors.result(node.output)
            self._model.operator(BuiltinOperator.QUANTIZE, [result], levels)
        else:
            self._tensors.put(node.output, result)

    def _function(self, function: Function, x: int) -> int:
        match function:
            case "reciprocal":
                return self._op(BuiltinOperator.DIV, 1.0, x)
            case "softplus":  # max(x, 0) + log(1 + exp(-|x|)), which does not overflow
                size = self._op(BuiltinOperator.ABS, x)
                decay = self._op(BuiltinOperator.EXP, self._op(BuiltinOperator.MUL, size, -1.0))
                rest = self._op(BuiltinOperator.LOG, self._op(BuiltinOperator.ADD, decay, 1.0))
                return self._op(BuiltinOperator.ADD, self._op(BuiltinOperator.RELU, x), rest)
            case "erf":  # sign(y) * (2 GELU(|y|) / |y| - 1) with y = sqrt(2) x
                y = self._op(BuiltinOperator.MUL, x, 2**0.5)
                size = self._op(BuiltinOperator.MAXIMUM, self._op(BuiltinOperator.ABS, y), 1e-6)
                gelu = self._op(BuiltinOperator.GELU, size, options=schema.GeluOptionsT())
                share = self._op(BuiltinOperator.DIV, gelu, size)
                twice = self._op(BuiltinOperator.ADD, share, share)
                sign = self._op(BuiltinOperator.DIV, y, size)
                return self._op(
                    BuiltinOperator.MUL, self._op(BuiltinOperator.SUB, twice, 1.0), sign
                )
            case _:
                options = None
                if SINGLE[function] == BuiltinOperator.GELU:
                    options = schema.GeluOptionsT(approximate=function == "gelu_tanh")
                return self._op(SINGLE[function], x, options=options)

    def _normalized(self, node: Normalize, x: int) -> int:
        if node.centred:
            x = self._op(BuiltinOperator.SUB, x, self._mean(node, x))
        variance = self._mean(node, self._op(BuiltinOperator.MUL, x, x))
        epsilon = max(node.epsilon, float(np.finfo(np.float32).tiny))
        shape = self._reduced(node)
        positive = self._op(BuiltinOperator.ADD, variance, epsilon, shape=shape)
        scale = self._op(BuiltinOperator.RSQRT, positive, shape=shape)
        return self._op(BuiltinOperator.MUL, x, scale)

    def _mean(self, node: Normalize, x: int) -> int:
        axes = [3] if node.over == "channels" else [1, 2]  # in NHWC
        result = self._tensors.real(self._label(), self._reduced(node))
        inputs = [x, self._tensors.integers("axes", axes)]
        options = schema.ReducerOptionsT(keepDims=True)
        self._model.operator(BuiltinOperator.MEAN, inputs, result, options)
        return result

    def _reduced(self, node: Normalize) -> Shape:
        channels, height, width = self._tensors.shape(node.output)
        return (1, height, width) if node.over == "channels" else (channels, 1, 1)

    def _op(
        self,
        code: int,
        *operands: int | float,
        options: Any = None,  # noqa: ANN401 - one of the schema's ...OptionsT
        shape: Shape | None = None,
    ) -> int:
        """An operator on tensors, by their indices, and on floats; of the shape of the output
        unless ``shape`` says another."""
        inputs = [
            self._model.constant(f"{self._output}/number", np.array(operand, np.float32))
            if isinstance(operand, float)
            else operand
            for operand in operands
        ]
        result = self._tensors.real(self._label(), shape or self._tensors.shape(self._output))
        if options is None and code in _OPTIONS:
            options = _OPTIONS[code]()
        self._model.operator(code, inputs, result, options)
        return result

    def _label(self) -> str:
        self._steps += 1
        return f"{self._output}/step_{self._steps}"
