"""Weights and biases chosen for int8, layer after layer, each seeing what those before it give.

A convolution's weights are rounded so that their errors cancel (``weight_rounding.py``). What is
left of a channel's mean error goes into its bias: rounding and saturation shift a channel by much
the same everywhere in a picture, a step of tone, which counts far more in PSNR than noise of the
same size (Nagel et al., arXiv 1906.04721, appendix D).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ailsr.export.graph.graph import Conv, Graph, Node
from ailsr.export.graph.quantization import Quantization
from ailsr.export.int8.simulation import clamped, compute, rounded, rounded_weight
from ailsr.export.int8.weight_rounding import compensated
from ailsr.runtime.imaging.image import Rgb

CROP = 64
"""Side of the middle of a picture that is looked at, in low-resolution pixels."""

Tensors = dict[str, list[Tensor]]
"""By name: one for each picture."""


@torch.no_grad()
def corrected(graph: Graph, quantization: Quantization, pictures: Sequence[Rgb]) -> Graph:
    """``graph`` whose convolutions, rounded to int8, come closest to what they compute in float.

    Judged on the middles of low-resolution ``pictures``. Raises UnsupportedOperatorError for a
    node that cannot be simulated.
    """
    images = [_middle(picture) for picture in pictures]
    exact: Tensors = {graph.input: images}
    int8: Tensors = {graph.input: images}
    nodes: list[Node] = []
    for number, node in enumerate(graph.nodes):
        expected = _computed(node, exact)
        if isinstance(node, Conv):
            node = replace(node, weight=compensated(node, int8[node.input]))
        results = _computed(node, int8, rounded_weights=True)
        if isinstance(node, Conv):
            error = _mean(expected) - _mean(results)
            node = replace(node, bias=node.bias + error.numpy())
            results = [values + error.reshape(-1, 1, 1) for values in results]
        nodes.append(node)
        params = quantization.tensors[node.output]
        exact[node.output] = [clamped(values, node) for values in expected]
        int8[node.output] = [rounded(clamped(values, node), params) for values in results]
        later = {tensor for reader in graph.nodes[number + 1 :] for tensor in reader.inputs}
        for tensor in set(node.inputs) - later:
            del exact[tensor], int8[tensor]
    return replace(graph, nodes=tuple(nodes))


def _computed(node: Node, tensors: Tensors, rounded_weights: bool = False) -> list[Tensor]:
    constants = None
    if isinstance(node, Conv) and rounded_weights:
        constants = rounded_weight(torch.from_numpy(node.weight)), torch.from_numpy(node.bias)
    inputs = zip(*(tensors[name] for name in node.inputs), strict=True)
    return [compute(node, values, constants) for values in inputs]


def _mean(pictures: Sequence[Tensor]) -> Tensor:
    """Of each channel over all pixels, (channels,)."""
    return torch.cat([values.flatten(2) for values in pictures], dim=2).mean(dim=(0, 2))


def _middle(picture: Rgb) -> Tensor:
    """(1, 3, h, w) in [0, 1]."""
    top, left = (max(0, side - CROP) // 2 for side in picture.shape[:2])
    crop = picture[top : top + CROP, left : left + CROP].astype(np.float32) / np.float32(255)
    return torch.from_numpy(crop.transpose(2, 0, 1)[None].copy())
