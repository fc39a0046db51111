"""The contract of a network with training and export."""

from __future__ import annotations

import copy
from typing import Literal, Self

import torch
from torch import Tensor, nn

Color = Literal["rgb", "y"]

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Weights of R, G, B in the luma of BT.601 studio range, without its offset of 16/255.

Without the offset, luma is linear in RGB, zero padding included, so the conversion folds into a
convolution exactly. Differences of lumas are those of the protocol.
"""
LUMA_TO_RGB = 255 / 219
"""Change of R, G and B each per unit of luma."""


class Network(nn.Module):
    """A super-resolution network; a subclass is constructed from ``scale`` alone.

    ``forward`` maps low-resolution images (N, C, h, w) to (N, C, scale*h, scale*w), unclamped.
    C is 3 for ``color == "rgb"``, pixels in [0, 1]; C is 1 for ``color == "y"``, luma without
    offset, in [0, 219/255]. Works at any h, w ≥ 1 unless the class says otherwise.
    """

    name: str
    """Name in messages and file names: in the registry, for example ``sesr_m5``, or that of a
    user's class in lower case."""
    reference: str
    """Argument of ``create``: the name in the registry, or ``package.module:Class``."""
    color: Color
    linear_branches = False
    """True if ``fuse`` only collapses linear branches. They help Adam alone: SOAP trains the fused
    form, for which ``fuse`` has to return an equal copy."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    @property
    def radius(self) -> int:
        """Radius of the receptive field in low-resolution pixels."""
        raise NotImplementedError

    @property
    def channels(self) -> int:
        """Channels of input and output: 3 or 1."""
        return 3 if self.color == "rgb" else 1

    def fuse(self) -> Self:
        """A copy in which re-parameterised branches are collapsed; equal within 1e-5."""
        return copy.deepcopy(self)

    def unfuse(self, fused: Self) -> None:
        """Set the weights so that ``self`` computes ``fused``, a result of ``fuse``."""
        self.load_state_dict(fused.state_dict())

    def _as_rgb(self) -> nn.Module:
        """A luma network's RGB form, called on a fused copy (see ``luma.py``)."""
        raise NotImplementedError

    def deploy(self) -> nn.Module:
        """The form that is exported: fused, RGB (N, 3, h, w) in [0, 1] to RGB, unclamped."""
        fused = self.fuse()
        module = fused if self.color == "rgb" else fused._as_rgb()
        return module.eval().requires_grad_(False)


def rgb_to_luma(rgb: Tensor) -> Tensor:
    """Luma without offset (N, 1, h, w) of ``rgb`` (N, 3, h, w) in [0, 1]."""
    weights = torch.tensor(LUMA, dtype=rgb.dtype).to(rgb.device, non_blocking=True)
    return (rgb * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def same_conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A zero-padded convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


@torch.no_grad()
def init_identity(conv: nn.Conv2d, noise: float, copies: int = 1) -> nn.Conv2d:
    """``conv`` itself, set to the identity plus ``noise`` times its initial weights.

    Each input goes to ``copies`` outputs in a row; after the last input, the first follows.
    """
    middle = conv.kernel_size[0] // 2
    conv.weight *= noise
    for output in range(conv.out_channels):
        conv.weight[output, output // copies % conv.in_channels, middle, middle] += 1
    return conv
