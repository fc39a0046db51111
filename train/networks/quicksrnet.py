"""QuickSRNet: plain convolutions that start as the identity (arXiv 2303.04336)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ailsr.train.networks.network import Color, Network, init_identity, same_conv
from ailsr.train.networks.skip import NearestAnchor

INIT_NOISE = 0.1
"""Factor of torch's initial weights, which are added to the identity."""


class QuickSRNet(Network):
    """RGB; ``depth`` 3×3 convolutions of ``width`` channels between the first and the last.

    Instead of residual connections, the kernels start as the identity, so the untrained network is
    nearly nearest-neighbour upsampling. Activations are clamped to [0, 1].
    """

    color: Color = "rgb"

    def __init__(self, scale: int, width: int = 32, depth: int = 2, anchor: bool = False) -> None:
        super().__init__(scale)
        layers: list[nn.Module] = []
        for inputs in (3, *[width] * depth):
            layers += [
                init_identity(same_conv(inputs, width), INIT_NOISE),
                nn.Hardtanh(0.0, 1.0),
            ]
        self.body = nn.Sequential(*layers)
        self.last = same_conv(width, 3 * scale**2)
        self.anchor = NearestAnchor(3, scale) if anchor else None
        self.depth = depth
        if not anchor:
            init_identity(self.last, INIT_NOISE, copies=scale**2)  # the sub-pixels of a colour

    @property
    def radius(self) -> int:
        return self.depth + 2

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        with torch.autocast(x.device.type, enabled=False):  # grey levels need more than bfloat16
            upscaled: Tensor = self.last(features.float())
            if self.anchor is not None:
                upscaled = upscaled + self.anchor(x)
            return F.pixel_shuffle(upscaled, self.scale)
