"""Ranges of activations chosen by what the network's output loses.

The furthest reach of a tensor may be a few samples, or lie where a sigmoid no longer changes: to
cut it off costs less than the coarse levels that hold it. Each tensor is rounded alone, over
narrower and narrower ranges, and has the widest of those by which the output errs least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import (
    FIXED,
    QParams,
    Quantization,
    Range,
    groups_of,
    pixels_of,
)
from ailsr.export.int8.responses import Responses

FRACTIONS = (0.8, 0.64, 0.5, 0.4, 0.3, 0.22, 0.16, 0.11, 0.08, 0.055, 0.037)
"""Of the furthest reach; those after two that do not help are left out."""
GAIN = 0.05
"""Share of the error that a narrower range must save."""
NOTABLE = 0.01
"""Share of the errors of all tensors from which one is worth the search."""
FEW = 4
"""Of so many images one is looked at before all are: what does not help there is left out."""


def searched(graph: Graph, quantization: Quantization, image: Tensor) -> Quantization:
    """``quantization`` of ``graph`` with narrower ranges where they cost less on ``image``,
    (n, 3, h, w). What its rules pin, pixels and FIXED functions, stays."""
    responses, group = Responses(graph, image), groups_of(graph)
    few = responses.of_first(-(-len(image) // FEW))
    members: dict[str, list[str]] = {}
    for tensor in graph.shapes:
        members.setdefault(group[tensor], []).append(tensor)
    pinned = (pixels_of(graph), *FIXED.values())
    searchable = [m for m in members.values() if quantization.tensors[m[0]] not in pinned]
    errors = [few.error(quantization, tensors) for tensors in searchable]
    for tensors, error in zip(searchable, errors, strict=True):
        if error >= NOTABLE * sum(errors):
            best = _narrowed((few, responses), quantization, tensors)
            params = quantization.tensors | dict.fromkeys(tensors, best)
            quantization = replace(quantization, tensors=params)
    return quantization


def _narrowed(
    seen: Sequence[Responses], quantization: Quantization, tensors: Sequence[str]
) -> QParams:
    """The parameters of ``tensors``, both ends moved alike, then each alone, by what all of
    ``seen`` say, which are asked in turn."""
    best = quantization.tensors[tensors[0]]
    least = [responses.error(quantization, tensors) for responses in seen]
    for ends in ((True, True), (True, False), (False, True)):
        low, high = best.ends
        if min(-low, high) < best.scale and ends != (True, True):
            continue  # one end is zero
        failed = 0
        for fraction in FRACTIONS:
            tried = QParams.of_range(*_scaled((low, high), ends, fraction))
            params = quantization.tensors | dict.fromkeys(tensors, tried)
            moved, found = replace(quantization, tensors=params), list[float]()
            for responses, error in zip(seen, least, strict=True):
                found.append(responses.error(moved, tensors))
                if found[-1] >= (1 - GAIN) * error:
                    failed += 1
                    break
            else:
                best, least, failed = tried, found, 0
            if failed == 2:
                break
    return best


def _scaled(range: Range, ends: tuple[bool, bool], fraction: float) -> Range:
    low, high = (end * (fraction if moves else 1) for end, moves in zip(range, ends, strict=True))
    return low, high
