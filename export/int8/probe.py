"""The fidelity probe of an int8 file, with a tolerance of the network's own.

Engines round the same sum of two tensors, or a product, to one level or to the next. Deep networks
multiply that: their right answers lie further apart than those of shallow ones. How far is seen
when every value is moved a little before it is rounded, by no more than float16 would.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.int8.arithmetic import integer_output
from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import Levels, probe_answer
from ailsr.runtime.errors import ParityError
from ailsr.runtime.probe import MOST_LEVELS, MOST_MEAN, WITHIN_LEVELS, WITHIN_MEAN, Probe

DRAWS = 2
"""Answers that are compared with the right one."""
MARGIN = 2
"""By which a mean may differ more than in those. A sample gets none: among the few hundred of a
probe there is hardly one as far off as the furthest of the image."""


class UnstableError(ParityError):
    """An int8 network whose answer depends so much on rounding that no engine can be judged."""


def int8_probe(
    graph: Graph, quantization: Quantization, image: Levels, layout: Layout = "rgb"
) -> Probe:
    """The probe of the int8 files of ``graph``, ``image`` being the probe image in ``layout``.

    Raises UnstableError.
    """
    right = probe_answer(integer_output(graph, quantization, image), layout)
    probe, levels, mean = Probe.of(right), WITHIN_LEVELS, WITHIN_MEAN
    for seed in range(DRAWS):
        random = torch.Generator().manual_seed(seed)
        moved = integer_output(graph, quantization, image, random)
        answer = probe_answer(moved, layout)
        levels = max(levels, int(np.abs(answer.astype(np.int16) - right).max()))
        mean = max(mean, round(MARGIN * probe.mean_difference(answer), 2))
    if levels > MOST_LEVELS or mean > MOST_MEAN:
        raise UnstableError(
            f"the int8 network depends on how sums are rounded: its answers lie {levels} levels "
            f"apart, in the mean of a part of the image {mean:g}, and allowed are {MOST_LEVELS} "
            f"and {MOST_MEAN:g}: no file was written; use --precision float16"
        )
    return replace(probe, within_levels=levels, within_mean=mean)
