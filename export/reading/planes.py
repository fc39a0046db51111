"""A network of luma as one of planes, for files of the layouts ``y`` and ``y-full``."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ailsr.export.reading.from_torch import graph_of
from ailsr.export.reading.source import Source, module_run
from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import CHANNELS, STUDIO_BLACK
from ailsr.runtime.errors import UsageError
from ailsr.train.networks.network import LUMA_TO_RGB

ENDS: dict[Layout, tuple[float, float]] = {
    "y": (-STUDIO_BLACK / 255, (255 - STUDIO_BLACK) / 255),
    "y-full": (0.0, 1 / LUMA_TO_RGB),
}
"""The numbers that networks of luma take for the levels 0 and 255 of a plane."""


def in_layout(source: Source, layout: Layout) -> Source:
    """``source``, where ``layout`` is one of luma as a network of planes: ``run`` takes and returns
    [h, w, 1], level 255 being 1. Raises UsageError for a network that has no such form."""
    if CHANNELS[layout] != 1:
        return source
    if source.luma is None:
        why = "computes RGB" if source.color == "rgb" else "was not trained with ailsr"
        raise UsageError(
            f"--layout {layout}: {source.name} {why}; networks of luma that have the layout are "
            "such as sesr_m5 and vdsr_f13: choose --layout rgb or rgba for it"
        )
    module, (low, high) = source.luma, ENDS[layout]

    def levels(x: Tensor) -> Tensor:
        upscaled: Tensor = module(low + x * (high - low))
        return (upscaled - low) / (high - low)

    return replace(
        source,
        run=module_run(levels),
        graph=lambda size: replace(graph_of(module, size, 1), ends=(low, high)),
    )
