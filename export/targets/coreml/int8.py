"""The nodes of a graph as MIL operators in QDQ form, with int8 tensors between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import UNBOUNDED, Clamped, Clip, Conv, Graph, Node
from ailsr.export.graph.quantization import PIXELS, Quantization, quantize_bias
from ailsr.export.targets.coreml.nodes import Number, Translator, Var


class QuantizedTranslator(Translator):
    """A translator with int8 tensors between the operators: each reads and writes real numbers.

    q/dq pairs around every operator are how Core ML recognises integer arithmetic (iOS 17).
    """

    def __init__(
        self,
        builder: Any,  # noqa: ANN401
        graph: Graph,
        number: Number,
        quantization: Quantization,
    ) -> None:
        super().__init__(builder, graph, number)
        self.quantization = quantization
        self.params = quantization.tensors
        self.levels: dict[str, Var] = {}
        self.real: dict[str, Var] = {}
        """What the nodes of a mixed precision compute in float."""

    def begin(self, image: Var) -> None:
        self.quantize(image, self.graph.input, 255)

    def end(self, name: str) -> Var:
        if self.params[self.graph.output] == PIXELS:
            return self.dequantize(self.graph.output, 255, name)
        return super().end(name)

    def load(self, tensor: str) -> Var:
        if tensor not in self.variables:
            self.variables[tensor] = self.dequantize(tensor, 1, self.names[tensor])
        return self.variables[tensor]

    def read(self, tensor: str, node: Node) -> Var:
        rounded = self.quantization.is_rounded(tensor, node)
        return self.load(tensor) if rounded or tensor not in self.real else self.real[tensor]

    def store(self, tensor: str, value: Var) -> None:
        if tensor in self.quantization.real:
            self.real[tensor] = value
            if not self.quantization.leaves(self.graph, tensor):
                return
        self.quantize(value, tensor, 1)

    def emit(self, node: Node, inputs: list[Var], name: str) -> Var:
        if node.output in self.quantization.real:
            return super().emit(node, inputs, f"{name}__raw")
        if isinstance(node, Clamped | Clip):
            clamp = UNBOUNDED if self.params[node.output].saturates_at(node.clamp) else node.clamp
            node = replace(node, clamp=clamp)
        return super().emit(node, inputs, f"{name}__raw")

    def quantize(self, value: Var, tensor: str, unit: float) -> None:
        """Store ``value``, given in units of 1 / ``unit``, as the int8 levels of ``tensor``."""
        self.levels[tensor] = self._levels(value, tensor, unit, self.names[tensor])

    def dequantize(self, tensor: str, unit: float, name: str) -> Var:
        """The numbers that the levels of ``tensor`` stand for, in units of 1 / ``unit``."""
        return self._numbers(self.levels[tensor], tensor, unit, name)

    def between(self, value: Var, node: Node) -> Var:
        if node.output in self.quantization.real:
            return value
        levels = self._levels(value, node.output, 1, value.name)
        return self._numbers(levels, node.output, 1, f"{value.name}__real")

    def _levels(self, value: Var, tensor: str, unit: float, name: str) -> Var:
        scale, zero_point = self._scale_and_zero_point(tensor, unit)
        return self.mb.quantize(
            input=value,
            scale=scale,
            zero_point=zero_point,
            output_dtype="int8",
            name=f"{name}__levels",
        )

    def _numbers(self, levels: Var, tensor: str, unit: float, name: str) -> Var:
        scale, zero_point = self._scale_and_zero_point(tensor, unit)
        return self.mb.dequantize(input=levels, scale=scale, zero_point=zero_point, name=name)

    def _scale_and_zero_point(self, tensor: str, unit: float) -> tuple[Any, np.int8]:
        params = self.params[tensor]
        return self.number(unit * params.scale), np.int8(params.zero_point - 128)

    def parameters(self, node: Conv) -> tuple[Var, NDArray[Any]]:
        """int8 weight and the bias on the grid that integer arithmetic would round it to."""
        if node.output in self.quantization.real:
            return super().parameters(node)
        levels, scale = self.quantization.weight(node)
        weight = self.mb.constexpr_affine_dequantize(
            quantized_data=levels,
            scale=scale.astype(self.number),
            zero_point=np.zeros(len(scale), np.int8),
            axis=np.int32(0),
            name=f"{self.names[node.output]}__weight",
        )
        step = self.params[node.input].scale
        bias = quantize_bias(node.bias, step, scale) * (step * scale.astype(np.float64))
        return weight, bias.astype(self.number)
