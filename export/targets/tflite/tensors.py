"""The tensors of a graph inside a TFLite model: activations, filters and other constants.

All that depends on the precision is here. Activations are float32 without parameters, or int8 or
int16 with those of the calibration, whose zero point is signed. Filters are float32; float16 behind
a DEQUANTIZE operator; or int8 per output channel, with biases of int32, or int64 for int16.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType
from numpy.typing import NDArray

from ailsr.export.graph.graph import Array, Conv, Graph, Shape
from ailsr.export.graph.quantization import QParams, Quantization, pixels_of, quantize_bias
from ailsr.export.graph.weights import LARGEST
from ailsr.export.targets.tflite.model import Affine, ModelBuilder
from ailsr.runtime.card import PixelType, Precision
from ailsr.runtime.errors import ModelError

_PIXEL_TYPES: dict[PixelType, int] = {
    "float32": TensorType.FLOAT32,
    "uint8": TensorType.UINT8,
    "int8": TensorType.INT8,
}


class GraphTensors:
    """The tensors of a graph in ``model``: every method returns indices into it."""

    def __init__(
        self,
        model: ModelBuilder,
        graph: Graph,
        precision: Precision,
        quantization: Quantization | None,
    ) -> None:
        self._model = model
        self._shapes = graph.shapes
        self._pixels = pixels_of(graph)
        self._precision = precision
        self._quantization = quantization
        self._indices: dict[tuple[str, QParams | None], int] = {}

    @property
    def quantized(self) -> bool:
        """True if activations are integers."""
        return self._quantization is not None

    def parameters(self, name: str) -> QParams | None:
        """The parameters of a tensor; None in a float file."""
        if self._quantization is None:
            return None
        if name not in self._quantization.tensors:
            raise ModelError(
                f"the calibration has no quantisation parameters for the tensor {name!r}: "
                "calibrate the same graph that is written"
            )
        return self._quantization.tensors[name]

    # Activations

    def result(self, name: str) -> int:
        """The tensor ``name`` of the graph, for the operator that computes it."""
        return self.put(name, self.like(name, name))

    def put(self, name: str, index: int, parameters: QParams | None = None) -> int:
        """Let the tensor ``name`` of the graph, in ``parameters`` or its own, be that at
        ``index``."""
        self._indices[name, parameters or self.parameters(name)] = index
        return index

    def has(self, name: str) -> bool:
        """True if the tensor ``name`` of the graph is in the model already."""
        return (name, self.parameters(name)) in self._indices

    def like(self, label: str, name: str, shape: Shape | None = None) -> int:
        """A further tensor, of the type and parameters of ``name`` and, unless given, its shape."""
        return self._activation(label, shape or self._shapes[name], self.parameters(name))

    def shaped(self, label: str, name: str, parameters: QParams | None) -> int:
        """A further tensor of the shape of ``name``, in ``parameters``; None: float32."""
        return self._activation(label, self._shapes[name], parameters)

    def real(self, label: str, shape: Shape) -> int:
        """A further tensor, float32."""
        return self._activation(label, shape, None)

    def shape(self, name: str) -> Shape:
        """Of the tensor ``name`` of the graph."""
        return self._shapes[name]

    def read(self, name: str, parameters: QParams | None = None) -> int:
        """The tensor ``name``; requantised, once, when ``parameters`` are not its own."""
        own = self.parameters(name)
        key = name, parameters or own
        if key not in self._indices:
            self._indices[key] = self.requantized(self._indices[name, own], name, parameters)
        return self._indices[key]

    def pixels(self, name: str, pixels: PixelType) -> int:
        """A tensor for an app to fill or read, of the shape of ``name``."""
        affine = None
        if pixels != "float32":
            affine = _affine(self._pixels, self._pixels.zero_point if pixels == "uint8" else None)
        return self._model.tensor(name, _nhwc(self._shapes[name]), _PIXEL_TYPES[pixels], affine)

    def requantized(self, index: int, name: str, parameters: QParams | None) -> int:
        """The tensor at ``index``, of the shape of ``name``, in ``parameters``; None: float32."""
        result = self.shaped(f"{name}/requantized", name, parameters)
        to_real = parameters is None
        code = BuiltinOperator.DEQUANTIZE if to_real else BuiltinOperator.QUANTIZE
        self._model.operator(code, [index], result)
        return result

    def _activation(self, label: str, shape: Shape, parameters: QParams | None) -> int:
        if parameters is None:
            return self._model.tensor(label, _nhwc(shape), TensorType.FLOAT32)
        type = TensorType.INT8 if parameters.bits == 8 else TensorType.INT16
        return self._model.tensor(label, _nhwc(shape), type, _affine(parameters))

    # Constants

    def filters(self, node: Conv, depthwise: bool = False) -> list[int]:
        """[filters, biases] of ``node``, named after its output.

        CONV_2D has its filters as (out, kh, kw, in), DEPTHWISE_CONV_2D as (1, kh, kw, out).
        """
        label, order = node.output, (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        parameters = self.parameters(node.input)
        if parameters is None or self._quantization is None:
            filters = self._real_filters(f"{label}/weight", node.weight.transpose(order))
            return [filters, self._model.constant(f"{label}/bias", node.bias)]
        levels, scale = self._quantization.weight(node)
        biases: NDArray[np.integer] = quantize_bias(node.bias, parameters.scale, scale)
        if parameters.bits == 16:
            biases = biases.astype(np.int64)
        zeros = np.zeros(len(scale), np.int64)
        return [
            self._model.constant(
                f"{label}/weight",
                levels.transpose(order),
                Affine(scale, zeros, axis=order.index(0)),
            ),
            self._model.constant(
                f"{label}/bias", biases, Affine(np.float32(parameters.scale) * scale, zeros)
            ),
        ]

    def _real_filters(self, label: str, filters: Array) -> int:
        if self._precision == "float32":
            return self._model.constant(label, filters)
        half = self._model.constant(f"{label}/float16", filters.astype(np.float16))
        index = self._model.tensor(label, filters.shape, TensorType.FLOAT32)
        self._model.operator(BuiltinOperator.DEQUANTIZE, [half], index)
        return index

    def slopes(self, label: str, slope: Array) -> int:
        """The slopes of a PRELU, one per channel."""
        slope = slope.reshape(1, 1, -1)
        if self._quantization is None:
            return self._model.constant(label, slope)
        reach = float(np.abs(slope).max()) or 1.0  # PRELU takes one scale for all of them
        scale = np.array([reach / LARGEST], np.float32)
        levels = np.rint(slope / scale).astype(np.int8)
        return self._model.constant(label, levels, Affine(scale, np.zeros(1, np.int64)))

    def number(self, label: str, value: float, name: str) -> int:
        """One number in the type and parameters of the tensor ``name``."""
        parameters = self.parameters(name)
        if parameters is None:
            return self._model.constant(label, np.array(value, np.float32))
        level = np.rint(value / parameters.scale) + parameters.signed_zero_point()
        dtype = np.iinfo(f"int{parameters.bits}")
        level = np.clip(level, dtype.min, dtype.max).astype(dtype.dtype)
        return self._model.constant(label, level, _affine(parameters))

    def integers(self, label: str, values: Sequence[int]) -> int:
        """A vector of integers: axes, or a size."""
        return self._model.constant(label, np.array(values, np.int32))

    def pads(self, pads: tuple[int, int, int, int]) -> int:
        """The widths of a border, from (top, left, bottom, right)."""
        top, left, bottom, right = pads
        widths = [[0, 0], [top, bottom], [left, right], [0, 0]]
        return self._model.constant("pads", np.array(widths, np.int32))


def _nhwc(shape: Shape) -> tuple[int, int, int, int]:
    channels, height, width = shape
    return 1, height, width, channels


def _affine(parameters: QParams, zero_point: int | None = None) -> Affine:
    """Of signed levels, unless their ``zero_point`` is given."""
    if zero_point is None:
        zero_point = parameters.signed_zero_point()
    return Affine(np.array([parameters.scale], np.float32), np.array([zero_point], np.int64))
