"""VDSR: a deep plain network on the bicubic-enlarged luma (Kim et al., arXiv 1511.04587).

With 13 channels it is the student of the AIL paper (arXiv 1806.01576), ``vdsr_f13``; with 64 its
teacher. It works at high resolution, too slow for a phone: here as the reference of the method.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from ailsr.train.networks.luma import fold_rgb_input, repeat_rgb_output
from ailsr.train.networks.network import Color, Network, init_identity, same_conv
from ailsr.train.networks.skip import BicubicUpsampler

INIT_NOISE = 0.2
"""Factor of He's initial weights, which are added to the identity in the inner layers.

Without the identity, twenty thin layers pass little of the image on: ``vdsr_f13`` ×2 was 0.2 dB
behind after 2000 steps.
"""


class Vdsr(Network):
    """``depth`` 3×3 convolutions of ``width`` channels predict the residual to bicubic."""

    color: Color = "y"

    def __init__(self, scale: int, width: int = 64, depth: int = 20) -> None:
        super().__init__(scale)
        self.depth = depth
        self.upsample = BicubicUpsampler(1, scale)
        layers: list[nn.Module] = [same_conv(1, width), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [same_conv(width, width), nn.ReLU()]
        self.body = nn.Sequential(*layers, same_conv(width, 1))
        convs = [layer for layer in self.body if isinstance(layer, nn.Conv2d)]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        for conv in convs[1:-1]:
            init_identity(conv, INIT_NOISE)
        nn.init.normal_(convs[-1].weight, std=1e-3)

    @property
    def radius(self) -> int:
        return (self.depth + self.scale - 1) // self.scale + BicubicUpsampler.radius

    def forward(self, x: Tensor) -> Tensor:
        enlarged: Tensor = self.upsample(x)
        residual: Tensor = self.body(enlarged)
        return enlarged + residual.float()

    def _as_rgb(self) -> nn.Module:
        rgb = copy.deepcopy(self)
        rgb.upsample = BicubicUpsampler(3, self.scale)
        rgb.body[0] = fold_rgb_input(self.body[0])  # type: ignore[arg-type]
        rgb.body[-1] = repeat_rgb_output(self.body[-1])  # type: ignore[arg-type]
        return rgb
