"""Weights rounded to int8 so that their errors cancel in what the convolution computes.

Neighbouring pixels and channels are alike. Where one weight is rounded up, another that sees nearly
the same may be rounded down: GPTQ (Frantar et al., arXiv 2210.17323) rounds one input after the
other and lets the remaining weights take over the error as the covariance of the inputs tells.
For networks whose kernels are near the identity, where 1.0 sets the step and all that is learnt is
a few steps in size, it is the difference between 1.5 and 0.05 dB (QuickSRNet-small ×2 on Set5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ailsr.export.graph.graph import Array, Conv
from ailsr.export.graph.weights import LARGEST, PAIR_REACH, pairs, weight_scale

POSITIONS = 20_000
"""Pixels that the covariance is taken over."""
PRODUCTS = 4 * 10**9
"""Of a covariance: wide convolutions take fewer pixels."""
DAMPING = 0.01
"""Of the covariance, as a share of the mean variance: what was not seen costs something, too."""
SCALES = (0.8, 0.85, 0.9, 0.95, 1, 1.02, 1.04, 1.07, 1.1)
"""Of the least scale that holds the weights of a channel: a smaller one cuts off the largest for
finer steps, a larger one leaves room in the pairs."""
BLOCK = 32
"""Weights after which the errors of all are handed on to the rest: one product of matrices."""


def compensated(node: Conv, inputs: Sequence[Tensor]) -> tuple[Array, Array]:
    """(weight, scale per output channel) of ``node`` on int8 levels, for ``inputs`` (1, c, h, w).

    Of SCALES each channel has that by which it errs least. The weight of a grouped convolution is
    returned as it is.
    """
    least = weight_scale(node.weight, node.groups)
    if node.groups != 1:
        return node.weight, least
    weight = torch.from_numpy(node.weight).double().flatten(1)  # (out, inputs of one output)
    covariance = _covariance(node, inputs)
    damping = DAMPING * covariance.diag().mean().clamp(min=1e-12)
    covariance += damping * torch.eye(len(covariance), dtype=covariance.dtype)
    partners = torch.full((weight.shape[1],), -1)
    first, second = map(torch.from_numpy, pairs(node.weight.shape))
    partners[first], partners[second] = second, first
    scales = np.outer(SCALES, least).astype(np.float32)  # (candidates, out)
    steps = torch.from_numpy(scales).double().flatten()
    candidates = weight.repeat(len(SCALES), 1)
    rounded = _levels(candidates, steps, covariance, partners) * steps[:, None]
    errors = candidates - rounded
    costs = ((errors @ covariance) * errors).sum(dim=1).reshape(len(SCALES), -1)
    best = costs.argmin(dim=0)
    channels = torch.arange(len(weight))
    result = rounded.reshape(len(SCALES), *weight.shape)[best, channels]
    return (
        result.reshape(node.weight.shape).numpy().astype(np.float32),
        scales[best.numpy(), channels.numpy()],
    )


def _covariance(node: Conv, inputs: Sequence[Tensor]) -> Tensor:
    """Of what the weights of one output see."""
    samples = _samples(node, inputs).double()
    samples -= samples.mean(1, keepdim=True)
    return samples @ samples.T / samples.shape[1]


def _samples(node: Conv, inputs: Sequence[Tensor]) -> Tensor:
    """(weights of one output, POSITIONS or fewer) of what they see."""
    top, left, bottom, right = node.pads
    sizes = [values.shape[2] * values.shape[3] for values in inputs]
    positions = min(POSITIONS, PRODUCTS // node.weight[0].size ** 2)
    share = min(1, positions / sum(sizes))
    generator = torch.Generator().manual_seed(0)
    seen = []
    for values in inputs:
        padded = F.pad(values, (left, right, top, bottom))[0]
        places = torch.arange(padded[0].numel()).reshape(padded.shape[1:])
        for axis, (side, step, apart) in enumerate(
            zip(node.weight.shape[2:], node.stride, node.dilation, strict=True)
        ):
            places = places.unfold(axis, apart * (side - 1) + 1, step)[..., ::apart]
        places = places.flatten(2).flatten(0, 1)  # (positions, places in the kernel)
        chosen = torch.rand(len(places), generator=generator) < share
        columns = padded.flatten(1).index_select(1, places[chosen].T.flatten())
        seen.append(columns.reshape(-1, int(chosen.sum())))
    return torch.cat(seen, 1)


def _levels(weight: Tensor, steps: Tensor, covariance: Tensor, partners: Tensor) -> Tensor:
    """The int8 levels of ``weight`` (rows, in), whose rows have the ``steps`` (rows,).

    ``partners`` (in,) is the place of the other weight of a pair, or -1. A pair is rounded in one
    go, so that what it cannot hold is taken over by those after it. Those within BLOCK take over
    errors one by one, those behind it the errors of a whole block at once.
    """
    order = _order(covariance.diag(), partners)
    places = order.argsort()
    partners = torch.where(partners[order] >= 0, places[partners[order]], -1)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance[order][:, order]))
    factor = torch.linalg.cholesky(inverse, upper=True)
    factor = factor / factor.diag()[:, None]
    columns = weight.T[order].contiguous()  # (in, rows)
    levels, errors = torch.zeros_like(columns), torch.zeros_like(columns)
    for place, partner in enumerate(partners.tolist()):
        level = (columns[place] / steps).round().clamp(-LARGEST, LARGEST)
        if partner >= 0:
            other = levels[partner]  # 0 until it is known
            level = level.clamp(-PAIR_REACH - other.clamp(max=0), PAIR_REACH - other.clamp(min=0))
        levels[place] = level
        errors[place] = columns[place] - level * steps
        start = place // BLOCK * BLOCK
        end = start + BLOCK
        columns[place + 1 : end].addr_(factor[place, place + 1 : end], errors[place], alpha=-1)
        if place + 1 == end:
            columns[end:].addmm_(factor[start:end, end:].T, errors[start:end], alpha=-1)
    return levels[places].T


def _order(variance: Tensor, partners: Tensor) -> Tensor:
    """Places of the weights, those that see the most first, the two of a pair together."""
    paired, own = partners >= 0, torch.arange(len(partners))
    pair = torch.where(paired, torch.minimum(partners, own), own)
    most = torch.where(paired, torch.maximum(variance, variance[partners]), variance)
    return torch.from_numpy(np.lexsort((-variance, pair, -most)))
