"""A luma network as an RGB network, for a few more weights.

With a global skip, YCbCr → RGB after the network reduces to

    RGB_out = up(RGB_in) + c · residual_Y        (c = 255/219, on each channel)

because the differences of chroma cancel. So RGB → Y folds into the first convolution, the residual
is repeated for R, G and B by the last one, and the skip upsamples RGB itself: no colour operator
remains.
"""

from __future__ import annotations

import torch
from torch import nn

from ailsr.train.networks.network import LUMA, LUMA_TO_RGB


def fold_rgb_input(conv: nn.Conv2d) -> nn.Conv2d:
    """``conv`` (one channel in) as a convolution of RGB: w_rgb = w · (k_R, k_G, k_B)."""
    folded = nn.Conv2d(3, conv.out_channels, _kernel(conv), padding=_padding(conv))
    weights = conv.weight.new_tensor(LUMA).view(1, 3, 1, 1)
    return _load(folded, conv.weight * weights, conv.bias)


def repeat_rgb_output(conv: nn.Conv2d) -> nn.Conv2d:
    """``conv`` with its output channels three times, for R, G and B, in RGB units.

    With r outputs per pixel (r = scale² before a pixel shuffle), channel ``c * r + k`` is k of
    colour c: the order that ``pixel_shuffle`` reads.
    """
    repeated = nn.Conv2d(
        conv.in_channels, 3 * conv.out_channels, _kernel(conv), padding=_padding(conv)
    )
    bias = None if conv.bias is None else conv.bias.repeat(3) * LUMA_TO_RGB
    return _load(repeated, conv.weight.repeat(3, 1, 1, 1) * LUMA_TO_RGB, bias)


def _load(conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    with torch.no_grad():
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(torch.zeros_like(conv.bias) if bias is None else bias)
    return conv


def _kernel(conv: nn.Conv2d) -> tuple[int, int]:
    return conv.kernel_size[0], conv.kernel_size[1]


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    return int(conv.padding[0]), int(conv.padding[1])
