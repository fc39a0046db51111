"""Quantisation-aware fine-tuning: weights and biases trained in the arithmetic that runs.

The graph that is written is what learns, with the scales and zero points that are written; its
teacher is the float network, whose output it is to give back (L1). Rounding passes gradients
straight through (``simulation.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.graph.sizes import fixed_size
from ailsr.export.int8.simulation import output_of
from ailsr.runtime.errors import UnsupportedOperatorError
from ailsr.runtime.imaging.protocol import Pair
from ailsr.train.patches import PatchSource

BATCH, PATCH = 8, 32
"""Patches in a step, and their low-resolution side."""
LEARNING_RATE = 1e-5
"""Of Adam, falling to zero along a cosine."""
BORDER = 8
"""High-resolution pixels at a patch's border that do not count: there is no image beyond."""


def fine_tuned(
    graph: Graph,
    quantization: Quantization,
    network: Graph,
    images: Sequence[Pair],
    steps: int,
    tick: Callable[[], None] = lambda: None,
) -> Graph:
    """``graph`` after ``steps`` of training in int8 towards the output of ``network`` in float.

    Equal arguments give equal results. Raises TrainingError when
    no image is as large as a patch, UnsupportedOperatorError for a graph that resizes to a size.
    """
    if fixed_size(graph):
        raise UnsupportedOperatorError(
            "the network takes images of one size (a Resize, or windows of a size): int8 cannot be "
            "simulated on parts of them; leave --qat out"
        )
    high, low = [pair.hr for pair in images], [pair.lr for pair in images]
    source = PatchSource(high, images[0].scale, PATCH, torch.device("cpu"), low)
    generator = torch.Generator().manual_seed(0)
    constants = {
        node.output: (_parameter(node.weight), _parameter(node.bias))
        for node in graph.nodes
        if isinstance(node, Conv)
    }
    optimizer = torch.optim.Adam([p for pair in constants.values() for p in pair], LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        image = source.batch(BATCH, generator).lr
        with torch.no_grad():
            taught = output_of(network, image).clamp(0, 1)
        upscaled = output_of(graph, image, quantization, constants)
        inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
        loss = F.l1_loss(upscaled[inside], taught[inside])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        tick()
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Conv):
            weight, bias = (p.detach().numpy().copy() for p in constants[node.output])
            node = replace(node, weight=weight, bias=bias)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _parameter(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.copy()).requires_grad_()
