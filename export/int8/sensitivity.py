"""What int8 costs each layer of a network: the PSNR that it loses when one alone is rounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.passes import macs
from ailsr.export.graph.quantization import SAME_SCALE, Quantization
from ailsr.export.int8.responses import Responses


@dataclass(frozen=True)
class LayerLoss:
    """One layer in int8, all others in float."""

    layer: str
    """The tensor that it writes"""
    operator: str
    activations_db: float
    """PSNR in dB lost by its result on levels"""
    weights_db: float
    """PSNR in dB lost by its weights on levels"""
    macs_share: float
    """Of the products of the network"""

    @property
    def psnr_drop(self) -> float:
        """dB, of both."""
        return self.activations_db + self.weights_db


def sensitivity(
    graph: Graph, quantization: Quantization, responses: Responses, own_error: float
) -> list[LayerLoss]:
    """The layers of ``graph``, those first that lose the most.

    ``own_error`` is the mean square error of the float network against the truth on the image of
    ``responses``. Layers that only move samples lose nothing and are left out.
    """
    return sorted(
        _losses(graph, quantization, responses, own_error), key=lambda loss: -loss.psnr_drop
    )


def _losses(
    graph: Graph, quantization: Quantization, responses: Responses, own_error: float
) -> Iterator[LayerLoss]:
    products = macs(graph)
    for node in graph.nodes:
        if isinstance(node, SAME_SCALE):
            continue
        errors = [
            responses.error(quantization, [node.output]),
            responses.error(quantization, (), [node.output]) if isinstance(node, Conv) else 0.0,
        ]
        activations, weights = (10 * math.log10(1 + error / own_error) for error in errors)
        share = products.get(node.output, 0) / max(1, sum(products.values()))
        yield LayerLoss(node.output, type(node).__name__, activations, weights, share)
