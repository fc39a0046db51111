"""Ranges of channels that err least in themselves, for channels that have levels of their own.

A few samples reach far beyond the others: 256 levels that hold them are coarse for all. Cut off at
the range that minimises the mean square error of a channel, rounding and cut taken together, its
levels are two or three times as fine (Banner et al., arXiv 1810.05723). Other than a search by the
network's output it needs no inference, and takes thousands of samples of each channel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ailsr.export.graph.graph import Array
from ailsr.export.int8.calibration import ChannelRanges
from ailsr.export.int8.responses import Responses

FRACTIONS = (0.85, 0.72, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.2, 0.16, 0.13, 0.1)
"""Of the furthest reach."""
GAIN = 0.02
"""Share of the error that a narrower range must save."""
SAMPLES = 20_000
"""Of each channel that are looked at."""


@torch.no_grad()
def fitted(channels: ChannelRanges, responses: Responses) -> ChannelRanges:
    """``channels``, the ranges of tensors of ``responses``, narrowed where that errs less."""
    return {name: _fitted(*ends, responses.tensor(name)) for name, ends in channels.items()}


def _fitted(low: Array, high: Array, values: Tensor) -> tuple[Array, Array]:
    """(lowest, highest) of each channel of ``values`` (n, c, h, w)."""
    samples = values.transpose(0, 1).flatten(1)
    samples = samples[:, :: -(-samples.shape[1] // SAMPLES)]
    least_end, most = torch.from_numpy(low).clamp(max=0), torch.from_numpy(high).clamp(min=0)
    reach = torch.maximum(-least_end, most).clamp(min=1e-12)
    width = reach * ((most / reach).max() - (least_end / reach).min())  # of levels that all share
    best, least = torch.ones_like(reach), _errors(samples, least_end, most, width)
    for fraction in FRACTIONS:
        errors = _errors(samples, *(fraction * end for end in (least_end, most, width)))
        better = errors < (1 - GAIN) * least
        if not better.any():
            break
        best, least = torch.where(better, fraction, best), torch.where(better, errors, least)
    return low * best.numpy(), high * best.numpy()


def _errors(samples: Tensor, low: Tensor, high: Tensor, width: Tensor) -> Tensor:
    """Mean square error of each channel on 256 levels, over ``width``, from ``low`` to ``high``."""
    beyond = (samples - samples.clamp(low[:, None], high[:, None])).square().mean(1)
    return (width / 255).square() / 12 + beyond
