"""Weights and biases chosen for int8, layer after layer, each seeing what those before it give.

A convolution's weights are rounded so that their errors cancel (``weight_rounding.py``). What is
left of a channel's mean error goes into its bias: rounding and saturation shift a channel by much
the same everywhere in an image, a step of tone, which counts far more in PSNR than noise of the
same size (Nagel et al., arXiv 1906.04721, appendix D).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ailsr.export.graph.graph import Array, Clamp, Conv, Graph, Node
from ailsr.export.graph.quantization import Quantization
from ailsr.export.graph.sizes import fixed_size
from ailsr.export.graph.weights import quantize_weight
from ailsr.export.int8.crops import crops
from ailsr.export.int8.simulation import as_read, clamped, compute, rounded
from ailsr.export.int8.weight_rounding import compensated
from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.upscaling.tiles import Size

CROP = 64
"""Side of the middle of an image that is looked at, in low-resolution pixels."""

Tensors = dict[str, list[Tensor]]
"""By name: one for each image."""


@torch.no_grad()
def corrected(
    graph: Graph, quantization: Quantization, images: Sequence[Levels]
) -> tuple[Graph, Quantization]:
    """``graph`` whose convolutions, rounded to int8, come closest to what they compute in float,
    and ``quantization`` with the scales of their weights.

    Judged on the middles of low-resolution ``images``.
    """
    size = graph.input_shape[1:] if fixed_size(graph) else None
    middles = [_middle(image, size, graph.ends) for image in images]
    exact: Tensors = {graph.input: middles}
    int8: Tensors = {graph.input: middles}
    nodes: list[Node] = []
    scales: dict[str, Array] = {}
    for number, node in enumerate(graph.nodes):
        real = node.output in quantization.real
        expected = [compute(node, inputs) for inputs in _inputs(node, exact)]
        read = [as_read(inputs, node, quantization) for inputs in _inputs(node, int8)]
        if isinstance(node, Conv) and not real:
            weight, scales[node.output] = compensated(node, [inputs[0] for inputs in read])
            levels, scale = quantize_weight(weight, node.groups, scales[node.output])
            node = replace(node, weight=levels * scale.reshape(-1, 1, 1, 1))
        results = [compute(node, inputs) for inputs in read]
        if isinstance(node, Conv):
            error = _mean(expected) - _mean(results)
            node = replace(node, bias=node.bias + error.numpy())
            results = [values + error.reshape(-1, 1, 1) for values in results]
        nodes.append(node)
        params = quantization.tensors[node.output]
        exact[node.output] = [clamped(values, node) for values in expected]
        results = [clamped(values, node) for values in results]
        int8[node.output] = results if real else [rounded(values, params) for values in results]
        later = {tensor for reader in graph.nodes[number + 1 :] for tensor in reader.inputs}
        for tensor in set(node.inputs) - later:
            del exact[tensor], int8[tensor]
    return replace(graph, nodes=tuple(nodes)), replace(quantization, weight_scales=scales)


def _inputs(node: Node, tensors: Tensors) -> list[tuple[Tensor, ...]]:
    """Of ``node``, for each image."""
    return list(zip(*(tensors[name] for name in node.inputs), strict=True))


def _mean(images: Sequence[Tensor]) -> Tensor:
    """Of each channel over all pixels, (channels,)."""
    return torch.cat([values.flatten(2) for values in images], dim=2).mean(dim=(0, 2))


def _middle(image: Levels, size: Size | None, ends: Clamp) -> Tensor:
    """(1, C, h, w) between ``ends``; of ``size``, else of CROP or all of what is smaller."""
    height, width = image.shape[:2]
    return crops([image], size or (min(CROP, height), min(CROP, width)), "middle", ends)
