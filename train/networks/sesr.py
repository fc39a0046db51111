"""SESR: super-efficient super-resolution by collapsible linear blocks (arXiv 2103.09404).

M3, M5, M7 and M11 differ in the number of 3×3 blocks; XL is M11 twice as wide. Each block is
over-parameterised for Adam and collapsed into one convolution in every step, so the wide form
costs little; SOAP trains the convolutions themselves.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ailsr.train.networks.luma import fold_rgb_input, repeat_rgb_output
from ailsr.train.networks.network import Color, Network, same_conv
from ailsr.train.networks.skip import NearestAnchor


class LinearBlock(nn.Module):
    """k×k expansion to ``hidden`` channels, 1×1 projection, optional short residual.

    There is no non-linearity inside, so the block equals one k×k convolution (section 3.2).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, residual: bool = False, hidden: int = 256
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.expand = nn.Conv2d(inputs, hidden, kernel)
        self.project = nn.Conv2d(hidden, outputs, 1)
        identity = torch.zeros(outputs, inputs, kernel, kernel)
        if residual:
            identity[:, :, kernel // 2, kernel // 2] = torch.eye(outputs)
        self.register_buffer("identity", identity, persistent=False)

    identity: Tensor

    def collapse(self) -> tuple[Tensor, Tensor]:
        """(weight, bias) of the equal convolution: W = W₂W₁ + I, b = W₂b₁ + b₂."""
        with torch.autocast(self.identity.device.type, enabled=False):
            project = self.project.weight.flatten(1)  # (out, hidden)
            weight = (project @ self.expand.weight.flatten(1)).view_as(self.identity)
            assert self.expand.bias is not None and self.project.bias is not None
            return weight + self.identity, project @ self.expand.bias + self.project.bias

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.collapse()
        return F.conv2d(x, weight, bias, padding=self.kernel // 2)

    @torch.no_grad()
    def expand_from(self, conv: nn.Conv2d) -> None:
        """Set the weights to those of ``conv``: W₁ holds its filters, W₂ selects them."""
        outputs = conv.out_channels
        assert self.expand.bias is not None and self.project.bias is not None
        assert conv.bias is not None
        self.expand.weight[:outputs] = conv.weight - self.identity
        self.project.weight.zero_()
        self.project.weight[:, :outputs, 0, 0] = torch.eye(outputs)
        self.expand.bias.zero_()
        self.project.bias.copy_(conv.bias)

    def as_conv(self) -> nn.Conv2d:
        weight, bias = self.collapse()
        conv = same_conv(weight.shape[1], weight.shape[0], self.kernel)
        conv.load_state_dict({"weight": weight, "bias": bias})
        return conv


class Sesr(Network):
    """k×k in, ``blocks`` 3×3, long skip over them, k×k out, nearest anchor, pixel shuffle.

    ``ends`` is k: 5 in the paper. 3 is our own: for an int8 kernel the 5×5 at the ends cost as much
    as three or four of the blocks between them.

    It starts as its anchor: a random residual is as large as the image itself, and the large first
    steps leave most ReLUs dead.
    """

    color: Color = "y"
    linear_branches = True

    def __init__(self, scale: int, blocks: int = 5, width: int = 16, ends: int = 5) -> None:
        super().__init__(scale)
        self.ends = ends
        self.first: nn.Module = LinearBlock(1, width, ends)
        self.body = nn.ModuleList(
            LinearBlock(width, width, 3, residual=True) for _ in range(blocks)
        )
        self.last: nn.Module = LinearBlock(width, scale**2, ends)
        self.anchor = NearestAnchor(1, scale)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.last.project.weight)

    @property
    def radius(self) -> int:
        return self.ends // 2 + len(self.body) + self.ends // 2

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.first(x))
        features = first
        for block in self.body:
            features = F.relu(block(features))
        residual = self.last(features + first).float()
        with torch.autocast(x.device.type, enabled=False):
            return F.pixel_shuffle(residual + self.anchor(x), self.scale)

    def fuse(self) -> Sesr:
        fused = copy.deepcopy(self)
        if isinstance(self.first, LinearBlock) and isinstance(self.last, LinearBlock):
            fused.first, fused.last = self.first.as_conv(), self.last.as_conv()
            fused.body = nn.ModuleList(b.as_conv() for b in self.body)  # type: ignore[operator]
        return fused

    def unfuse(self, fused: Sesr) -> None:
        blocks = (self.first, *self.body, self.last)
        for block, conv in zip(blocks, (fused.first, *fused.body, fused.last), strict=True):
            block.expand_from(conv)

    def _as_rgb(self) -> nn.Module:
        rgb = copy.deepcopy(self)
        rgb.first = fold_rgb_input(self.first)  # type: ignore[arg-type]
        rgb.last = repeat_rgb_output(self.last)  # type: ignore[arg-type]
        rgb.anchor = NearestAnchor(3, self.scale)
        return rgb
