"""A graph in int8 as integer kernels compute it, whatever the CPU: the right answer of a file.

A convolution sums products of levels in whole numbers and multiplies the sum by one float32
factor, ``input scale * weight scale / output scale``, before it is rounded, ties to even. All else
is computed in float32 from the numbers that the levels stand for, and so are the nodes that a
mixed precision leaves in float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.quantization import QParams, Quantization, pixels_of, quantize_bias
from ailsr.export.int8.simulation import clamped, compute, convolve
from ailsr.runtime.engines.layouts import Levels

NEARLY_A_TIE = 2**-4
"""Levels by which a value may be off before it is rounded, as float16 is for levels up to 255."""
FLOAT32_INTEGERS = 2**24
"""Whole numbers below it, and their sums, are exact in float32."""


@torch.inference_mode()
def integer_output(
    graph: Graph, quantization: Quantization, image: Levels, random: torch.Generator | None = None
) -> Levels:
    """The result [scale * h, scale * w, C] of ``graph`` for ``image`` [h, w, C]. The size is free
    but for graphs that resize to a size.

    ``random`` moves each value by up to NEARLY_A_TIE before it is rounded.
    """
    params = quantization.tensors
    start = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
    start = start.contiguous(memory_format=torch.channels_last)
    if quantization.bits == 16:
        start = (start - pixels_of(graph).zero_point) * 2**7  # every pixel is a level
        start += params[graph.input].zero_point
    levels, real = {graph.input: start}, dict[str, Tensor]()
    for number, node in enumerate(graph.nodes):
        output = params[node.output]
        if node.output in quantization.real:
            inputs = [
                real[name] if name in real else _numbers(levels[name], params[name])
                for name in node.inputs
            ]
            values = real[node.output] = clamped(compute(node, inputs), node)
            if quantization.leaves(graph, node.output):
                levels[node.output] = _levels(values / output.scale, output, random)
            continue
        if isinstance(node, Conv):
            values = _convolved(node, levels[node.input], quantization)
        else:
            inputs = [_numbers(levels[name], params[name]) for name in node.inputs]
            values = compute(node, inputs) / output.scale
        bounds = clamped(torch.tensor([-torch.inf, torch.inf]), node) / output.scale
        levels[node.output] = _levels(values.clamp(*bounds.tolist()), output, random)
        read_later = {name for later in graph.nodes[number + 1 :] for name in later.inputs}
        for name in set(node.inputs) - read_later:
            del levels[name]
            real.pop(name, None)
    end = _numbers(levels[graph.output], params[graph.output])[0].permute(1, 2, 0)
    low, high = graph.ends
    return ((end - low) / (high - low) * 255).round().clamp(0, 255).numpy().astype(np.uint8)


def _convolved(node: Conv, levels: Tensor, quantization: Quantization) -> Tensor:
    """In units of the scale of the result, not rounded."""
    source, result = (quantization.tensors[name] for name in (node.input, node.output))
    weight, scale = quantization.weight(node)
    bias = quantize_bias(node.bias, source.scale, scale)
    reach = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * (2**source.bits - 1)
    exact = torch.float32 if (reach + np.abs(bias)).max() < FLOAT32_INTEGERS else torch.float64
    constants = torch.from_numpy(weight).to(exact), torch.from_numpy(bias).to(exact)
    sums = convolve(node, levels.to(exact) - source.zero_point, *constants)
    factor = np.float32(source.scale) * scale / np.float32(result.scale)
    return sums.float() * torch.from_numpy(factor).reshape(-1, 1, 1)


def _levels(values: Tensor, params: QParams, random: torch.Generator | None) -> Tensor:
    """Of ``values`` in units of the scale."""
    if random is not None:
        values = values + (2 * torch.rand(values.shape, generator=random) - 1) * NEARLY_A_TIE
    return (values.round() + params.zero_point).clamp(0, 2**params.bits - 1)


def _numbers(levels: Tensor, params: QParams) -> Tensor:
    return (levels - params.zero_point) * params.scale
