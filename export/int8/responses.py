"""A float network on images, and what its output errs by when a part of it is rounded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy

import torch
from torch import Tensor

from ailsr.export.graph.graph import Array, Conv, Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.int8.simulation import (
    Constants,
    clamped,
    compute,
    constants_of,
    rounded,
    rounded_weight,
)


class Responses:
    """Every tensor of a float network for ``image``, (n, 3, h, w)."""

    @torch.no_grad()
    def __init__(self, graph: Graph, image: Tensor) -> None:
        self.graph, self.image = graph, image
        self._exact = {graph.input: image}
        for node in graph.nodes:
            inputs = [self._exact[name] for name in node.inputs]
            self._exact[node.output] = clamped(compute(node, inputs), node)

    def of_first(self, count: int) -> Responses:
        """The same for the first ``count`` images alone."""
        first = copy(self)
        first.image = self.image[:count]
        first._exact = {name: values[:count] for name, values in self._exact.items()}
        return first

    def tensor(self, name: str) -> Tensor:
        """(images, c, h, w), of this name."""
        return self._exact[name]

    @property
    def output(self) -> Tensor:
        """In [0, 1]."""
        return self._exact[self.graph.output].clamp(0, 1)

    @torch.no_grad()
    def error(
        self,
        quantization: Quantization,
        tensors: Collection[str],
        convs: Collection[str] = (),
        factors: Mapping[str, Array] | None = None,
        corrected: Mapping[str, Constants] | None = None,
    ) -> float:
        """Mean square error of the output in [0, 1] when only ``tensors`` are rounded, and the
        weights of the convolutions that write ``convs``.

        ``factors`` (channels,), by tensor, are what channels are multiplied by while rounded;
        ``corrected``, by output, stand for the rounded weights.
        """
        exact, changed = self._exact, dict[str, Tensor]()
        for node in self.graph.nodes:
            if node.output in convs or not changed.keys().isdisjoint(node.inputs):
                inputs = [changed.get(name, exact[name]) for name in node.inputs]
                constants = None
                if corrected and node.output in convs:
                    constants = corrected[node.output]
                elif isinstance(node, Conv) and node.output in convs:
                    weight, bias = constants_of(node)
                    constants = rounded_weight(weight, node, quantization), bias
                values = clamped(compute(node, inputs, constants), node)
            elif node.output in tensors:
                values = exact[node.output]
            else:
                continue
            if node.output in tensors:
                params = quantization.tensors[node.output]
                if factors is None:
                    values = rounded(values, params)
                else:
                    factor = torch.from_numpy(factors[node.output]).reshape(-1, 1, 1)
                    values = rounded(values * factor, params) / factor
            changed[node.output] = values
        output = changed.get(self.graph.output)
        return 0.0 if output is None else square_error(output, self.output)


def square_error(output: Tensor, wanted: Tensor) -> float:
    """Mean square error of ``output``, in [0, 1]."""
    return float((output.clamp(0, 1) - wanted).square().mean())
