"""ABPN: the anchor-based plain network for int8 on phones (Du et al., arXiv 2105.09750)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ailsr.train.networks.network import Color, Network, init_identity, same_conv
from ailsr.train.networks.skip import NearestAnchor

INIT_NOISE = 0.2
"""Factor of torch's initial weights, which are added to the identity in the inner layers."""


class Abpn(Network):
    """RGB; 3×3 convolutions of ``width`` channels, nearest anchor, pixel shuffle ("base7")."""

    color: Color = "rgb"

    def __init__(self, scale: int, width: int = 28, depth: int = 4) -> None:
        super().__init__(scale)
        outputs = 3 * scale**2
        layers: list[nn.Module] = [same_conv(3, width), nn.ReLU()]
        for inner in (*[width] * depth, outputs):
            layers += [init_identity(same_conv(width, inner), INIT_NOISE), nn.ReLU()]
        layers.append(same_conv(outputs, outputs))
        self.body = nn.Sequential(*layers)
        self.anchor = NearestAnchor(3, scale)
        self.depth = depth
        for parameter in self.body[-1].parameters():
            nn.init.zeros_(parameter)  # so that it starts as its anchor; see Sesr

    @property
    def radius(self) -> int:
        return self.depth + 3

    def forward(self, x: Tensor) -> Tensor:
        residual = self.body(x).float()
        with torch.autocast(x.device.type, enabled=False):
            return F.pixel_shuffle(residual + self.anchor(x), self.scale)
