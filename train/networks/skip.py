"""Global skips: upsampling as a fixed convolution and a pixel shuffle, which every target runs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NearestAnchor(nn.Module):
    """Each channel scale² times: nearest-neighbour upsampling before a pixel shuffle.

    (N, C, h, w) → (N, C·scale², h, w). A 1×1 convolution, so it needs no padding (ABPN, arXiv
    2105.09750).
    """

    weight: Tensor

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        weight = torch.eye(channels).repeat_interleave(scale**2, dim=0)
        self.register_buffer("weight", weight.view(-1, channels, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight)


class BicubicUpsampler(nn.Module):
    """Bicubic enlargement by an integer factor, a = -0.5, as MATLAB's imresize.

    (N, C, h, w) → (N, C, scale·h, scale·w), h, w ≥ 3. Each of the scale² phases is a fixed 5×5
    kernel. The border is reflected (edge pixel not repeated), the one rule that ONNX, TFLite and
    Core ML share.
    """

    weight: Tensor
    radius = 2

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        phases = torch.stack([_phase(p, scale) for p in range(scale)])  # (scale, 5)
        kernel = torch.einsum("iu,jv->ijuv", phases, phases).reshape(scale**2, 5, 5)
        weight = torch.zeros(channels, scale**2, channels, 5, 5)
        for channel in range(channels):
            weight[channel, :, channel] = kernel
        self.register_buffer("weight", weight.flatten(0, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # 8 bits of mantissa lose grey levels
            padded = F.pad(x.float(), (2, 2, 2, 2), mode="reflect")
            return F.pixel_shuffle(F.conv2d(padded, self.weight), self.scale)


def _phase(phase: int, scale: int) -> Tensor:
    """The 5 taps of output pixel ``phase``, whose centre lies at (phase + 0.5) / scale - 0.5."""
    center = (phase + 0.5) / scale - 0.5
    distance = (torch.arange(-2, 3, dtype=torch.float64) - center).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    return (taps / taps.sum()).float()
