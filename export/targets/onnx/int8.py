"""An int8 ONNX model in QDQ form: uint8 activations, int8 weights per channel, int32 biases.

In int8x16 the activations are uint16, which onnxruntime's CPU kernels compute in float between the
roundings, and NPU back ends (QNN) in integers.

Every tensor passes QuantizeLinear and DequantizeLinear; onnxruntime fuses each operator between
them into its integer kernel (QLinearConv, QLinearAdd), and NPU back ends read the same form. A
clamp is left to the saturation of QuantizeLinear wherever that does it. Nodes that a mixed
precision leaves in float32 have no such pairs between them; their tensors are called "..._float".

onnxruntime's direct convolution wants input channels by fours and 16 or more output channels by
fours, and is twice as fast as its general one. So convolutions get channels of zero weight up to
that; the tensors that carry such channels are called "..._wide".
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from ailsr.export.graph.graph import UNBOUNDED, Clamped, Conv, Graph, Node
from ailsr.export.graph.quantization import (
    QParams,
    Quantization,
    pixels_of,
    quantize_bias,
)
from ailsr.export.targets.onnx.model import OnnxModel
from ailsr.runtime.card import PixelType

PIXEL_TYPES: dict[PixelType, int] = {
    "float32": TensorProto.FLOAT,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
}


def int8_model(
    graph: Graph,
    quantization: Quantization,
    pixels: PixelType,
    open_size: bool = False,
    channels_last: bool = False,
) -> onnx.ModelProto:
    """``graph`` in int8 with input and output of type ``pixels``."""
    model = _Int8Model(graph, quantization, pixels)
    model.begin()
    for node in graph.nodes:
        model.compute_quantized(node)
    model.end()
    return model.proto(PIXEL_TYPES[pixels], open_size, channels_last)


class _Int8Model(OnnxModel):
    """Tensors are uint8 or uint16 under the graph's names, float under "..._real"."""

    def __init__(self, graph: Graph, quantization: Quantization, pixels: PixelType) -> None:
        super().__init__(graph, 21 if quantization.bits == 16 else 11)
        self.quantization = quantization
        self.params = quantization.tensors
        self.pixels = pixels
        self.bits = quantization.bits
        ends = () if pixels == "uint8" and self.bits == 8 else (graph.input, graph.output)
        self.levels = {t: f"{t}_uint{self.bits}" if t in ends else t for t in graph.shapes}
        """The integer form of each tensor."""
        self.wide: dict[str, int] = {}
        """Channels of "..._wide", for the tensors that have such a form."""
        self.real: set[str] = set()
        """The integer tensors that have a float form."""

    def begin(self) -> None:
        """From the file's input to the integer tensor that the first node reads."""
        image, params = self.graph.input, self.params[self.graph.input]
        if self.levels[image] == image:
            return
        real = image
        if self.pixels != "float32":
            real = self._dequantize(image, self._outside(params), f"{image}_real", self.pixels)
        self._quantize(real, params, self.levels[image])

    def end(self) -> None:
        """From the integer tensor that the last node wrote to the file's output."""
        output, params = self.graph.output, self.params[self.graph.output]
        if self.levels[output] == output:
            return
        if self.pixels == "float32":
            self._dequantize(self.levels[output], params, output)
        else:
            real = self._real(self.levels[output], params)
            self._quantize(real, self._outside(params), output, self.pixels)

    def _outside(self, params: QParams) -> QParams:
        """Parameters of the file's input or output, whose tensor inside has ``params``."""
        return params if params.bits == 8 else pixels_of(self.graph)

    def compute_quantized(self, node: Node) -> None:
        """Append ``node`` between the float form of its inputs and the integer form of its
        output."""
        if node.output in self.quantization.real:
            self._compute_real(node)
        elif isinstance(node, Conv):
            self._convolve_quantized(node)
        else:
            inputs = [self._real(self.levels[t], self.params[t]) for t in node.inputs]
            result = self.compute(node, inputs, f"{node.output}_result", np.float32)
            self._finish(node, result, self.levels[node.output])

    def _compute_real(self, node: Node) -> None:
        """Append ``node`` in float32, and the integer form of its result where that is read."""
        inputs = [
            f"{t}_float"
            if t in self.quantization.real
            else self._real(self.levels[t], self.params[t])
            for t in node.inputs
        ]
        clamp, output = (
            node.clamp if isinstance(node, Clamped) else UNBOUNDED,
            f"{node.output}_float",
        )
        if clamp == UNBOUNDED:
            self.compute(node, inputs, output, np.float32)
        else:
            unbounded = self.compute(node, inputs, f"{output}_unbounded", np.float32)
            self.clip(clamp, unbounded, output, np.float32)
        if self.quantization.leaves(self.graph, node.output):
            self._quantize(output, self.params[node.output], self.levels[node.output])

    def between(self, tensor: str, node: Node) -> str:
        """``tensor`` on the levels of the result, as back ends want it between two operators."""
        if node.output in self.quantization.real:
            return tensor
        params = self.params[node.output]
        return self._real(self._quantize(tensor, params, f"{tensor}_levels"), params)

    def _convolve_quantized(self, node: Conv) -> None:
        outputs, inputs, image, output = len(node.weight), node.weight.shape[1], "", node.output
        levels = self.levels[output]
        if node.groups == 1 and self.bits == 8:
            image = self._widened(node.input)
            inputs = self.wide.get(node.input, inputs)
            outputs = max(16, _by_fours(outputs))
        if outputs > len(node.weight):
            self.wide[output] = outputs
            levels = f"{output}_wide"
        weight, bias = self._weights(node, outputs, inputs)
        real = self._real(image or self.levels[node.input], self.params[node.input])
        self._finish(node, self.convolve(node, [real, weight, bias], f"{output}_result"), levels)
        readers = self.graph.consumers(output)
        if output in self.wide and not (readers and all(map(self._reads_wide, readers))):
            self._narrow(output, len(node.weight))

    def _finish(self, node: Node, result: str, levels: str) -> None:
        """From the float ``result`` to the tensor ``levels``, within the node's clamp."""
        params = self.params[node.output]
        clamp = node.clamp if isinstance(node, Clamped) else UNBOUNDED
        if not params.saturates_at(clamp):
            self._quantize(result, params, f"{levels}_unbounded")
            real = self._real(f"{levels}_unbounded", params)
            result = self.clip(clamp, real, f"{levels}_bounded", np.float32)
        self._quantize(result, params, levels)

    def _widened(self, tensor: str) -> str:
        """The uint8 form of ``tensor`` with channels by fours; further channels mean nothing."""
        channels = self.graph.shapes[tensor][0]
        if tensor not in self.wide and _by_fours(channels) == channels:
            return self.levels[tensor]
        if tensor not in self.wide:
            self.wide[tensor] = _by_fours(channels)
            pads = np.array([0, 0, 0, 0, 0, _by_fours(channels) - channels, 0, 0], np.int64)
            name = self.constant(f"{tensor}_wide_pads", pads)
            self.add("Pad", [self.levels[tensor], name], f"{tensor}_wide", mode="constant")
        return f"{tensor}_wide"

    def _reads_wide(self, node: Node) -> bool:
        real = node.output in self.quantization.real
        return isinstance(node, Conv) and node.groups == 1 and not real

    def _narrow(self, tensor: str, channels: int) -> None:
        """Append the uint8 form of ``tensor`` with the channels that mean something."""
        bounds = [
            self.constant(f"{tensor}_{name}", np.array([value], np.int64))
            for name, value in (("first", 0), ("end", channels), ("axis", 1))
        ]
        self.add("Slice", [f"{tensor}_wide", *bounds], self.levels[tensor])

    def _weights(self, node: Conv, outputs: int, inputs: int) -> list[str]:
        """Weight and bias of ``node``, with channels of zero weight up to these."""
        levels, scale = self.quantization.weight(node)
        input_scale = self.params[node.input].scale
        bias = quantize_bias(node.bias, input_scale, scale)
        more = outputs - len(levels)
        levels = np.pad(levels, ((0, more), (0, inputs - levels.shape[1]), (0, 0), (0, 0)))
        scale = np.pad(scale, (0, more), constant_values=1)
        bias_scale = (np.float64(input_scale) * scale).astype(np.float32)
        return [
            self._constant_real(f"{node.output}_weight", levels, scale),
            self._constant_real(f"{node.output}_bias", np.pad(bias, (0, more)), bias_scale),
        ]

    def _constant_real(
        self, name: str, levels: NDArray[np.integer], scale: NDArray[np.float32]
    ) -> str:
        inputs = [
            self.constant(f"{name}_{levels.dtype}", levels),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero_point", np.zeros(len(scale), levels.dtype)),
        ]
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def _real(self, levels: str, params: QParams) -> str:
        """The float form of the integer tensor ``levels``, which is made once."""
        if levels not in self.real:
            self.real.add(levels)
            self._dequantize(levels, params, f"{levels}_real")
        return f"{levels}_real"

    def _quantize(
        self, real: str, params: QParams, output: str, dtype: PixelType | None = None
    ) -> str:
        return self.add("QuantizeLinear", [real, *self._params(params, output, dtype)], output)

    def _dequantize(
        self, levels: str, params: QParams, output: str, dtype: PixelType | None = None
    ) -> str:
        return self.add("DequantizeLinear", [levels, *self._params(params, output, dtype)], output)

    def _params(self, params: QParams, name: str, dtype: PixelType | None) -> list[str]:
        """Scale and zero point for levels of ``dtype``, None: unsigned ones of the tensor's
        bits."""
        zero_point = params.signed_zero_point() if dtype == "int8" else params.zero_point
        return [
            self.constant(f"{name}_scale", np.array(params.scale, np.float32)),
            self.constant(
                f"{name}_zero_point", np.array(zero_point, dtype or f"uint{params.bits}")
            ),
        ]


def _by_fours(channels: int) -> int:
    return -(-channels // 4) * 4
