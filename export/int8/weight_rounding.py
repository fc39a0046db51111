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
from ailsr.export.graph.quantization import SILENT

POSITIONS = 20_000
"""Places of the inputs' pictures that the covariance is taken over."""
DAMPING = 0.01
"""Of the covariance, as a share of the mean variance: what was not seen costs something, too."""


def compensated(node: Conv, inputs: Sequence[Tensor]) -> Array:
    """The weight of ``node`` on the levels of ``quantize_weight``, for ``inputs`` (1, c, h, w).

    A grouped convolution's is returned as it is.
    """
    if node.groups != 1:
        return node.weight
    weight = torch.from_numpy(node.weight).double().flatten(1)  # (out, inputs of one output)
    covariance = _covariance(node, inputs)
    order = covariance.diag().argsort(descending=True)
    rounded = torch.empty_like(weight)
    rounded[:, order] = _rounded(weight[:, order], covariance[order][:, order])
    return rounded.reshape(node.weight.shape).numpy().astype(np.float32)


def _covariance(node: Conv, inputs: Sequence[Tensor]) -> Tensor:
    """Of what the weights of one output see."""
    top, left, bottom, right = node.pads
    sizes = [values.shape[2] * values.shape[3] for values in inputs]
    share = min(1, POSITIONS / sum(sizes))
    generator = torch.Generator().manual_seed(0)
    seen = []
    for values in inputs:
        padded = F.pad(values, (left, right, top, bottom))
        columns = F.unfold(padded, node.weight.shape[2:], node.dilation, 0, node.stride)[0]
        chosen = torch.rand(columns.shape[1], generator=generator) < share
        seen.append(columns[:, chosen].double())
    return torch.cat(seen, 1).cov(correction=0)


def _rounded(weight: Tensor, covariance: Tensor) -> Tensor:
    """``weight`` (out, in) on its levels; of each row the largest stays, and with it the step."""
    damping = DAMPING * covariance.diag().mean().clamp(min=1e-12)
    damped = covariance + damping * torch.eye(len(covariance), dtype=covariance.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor = torch.linalg.cholesky(inverse, upper=True)
    reach, largest = weight.abs().max(dim=1)
    step = torch.where(reach > SILENT, reach / 127, 1 / 127)
    ends = 127 * weight.gather(1, largest[:, None])[:, 0].sign()
    weight, result = weight.clone(), torch.empty_like(weight)
    for column in range(weight.shape[1]):
        levels = (weight[:, column] / step).round().clamp(-127, 127)
        result[:, column] = torch.where(largest == column, ends, levels) * step
        error = (weight[:, column] - result[:, column]) / factor[column, column]
        weight[:, column:] -= error[:, None] * factor[column, column:]
    return result
