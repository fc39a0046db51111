"""Networks to train for a budget: of each family and width the deepest that fits, by PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ailsr.export.fit.architectures import ARCHITECTURES
from ailsr.export.fit.expected_psnr import DEEPEST, Expected, ExpectedPsnr
from ailsr.export.fit.probes import workload
from ailsr.runtime.errors import UsageError
from ailsr.runtime.fit.latency_model import LatencyModel, Prediction, Workload
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train.networks import FAMILIES, SCALES

WIDTHS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
DEPTHS = range(2, DEEPEST + 1)
"""A shallower network sees too little around a pixel to be worth its width; what a deeper one than
the zoo's gains is not known."""
_SIDE = 32  # of the images that workloads are counted on


@dataclass(frozen=True)
class Candidate:
    """A network of a family with its predicted latency and PSNR."""

    family: str
    depth: int
    width: int
    network: str
    """Its name for ``ailsr-train --network``."""
    workload: Workload
    prediction: Prediction
    psnr: Expected


def candidates(
    model: LatencyModel,
    budget_ms: float,
    scale: int,
    output_size: Size,
    families: Sequence[str] = (),
) -> list[Candidate]:
    """The deepest network of each family and width whose p90 is ``budget_ms`` at most, those of
    which the most PSNR can be expected at least first.

    Raises UsageError for a family or scale that does not exist.
    """
    if scale not in SCALES:
        raise UsageError(f"scale {scale} is not supported: choose 2, 3 or 4")
    for family in families:
        if family not in ARCHITECTURES:
            raise UsageError(f"--family {family}: choose one of {', '.join(ARCHITECTURES)}")
    size = (output_size[0] // scale, output_size[1] // scale)
    found, expected = [], ExpectedPsnr()
    for family in dict.fromkeys(families or ARCHITECTURES):
        for width in WIDTHS:
            fitting = None
            for depth in DEPTHS:
                psnr = expected(family, depth, width, scale)
                candidate = _candidate(model, psnr, family, depth, width, scale, size)
                if candidate.prediction.p90_ms > budget_ms:
                    break
                fitting = candidate
            if fitting is not None:
                found.append(fitting)
    return sorted(found, key=lambda c: -c.psnr.at_least)


def _candidate(
    model: LatencyModel,
    psnr: Expected,
    family: str,
    depth: int,
    width: int,
    scale: int,
    size: Size,
) -> Candidate:
    graph = ARCHITECTURES[family](depth, width, scale, (_SIDE, _SIDE))
    work = workload(graph, size)
    name = FAMILIES[family].name.format(depth=depth, width=width)
    return Candidate(family, depth, width, name, work, model.predict(work), psnr)
