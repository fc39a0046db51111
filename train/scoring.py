"""The quality of a network by the evaluation protocol."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ailsr.runtime.imaging import metrics
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import MetricName
from ailsr.runtime.imaging.protocol import PROTOCOL, Pair, Quality, evaluate
from ailsr.runtime.upscaling.tiles import Tile, plan
from ailsr.train.networks import Network

WINDOW = 512
"""Side of a tile in low-resolution pixels; bounds the memory of an image of any size."""


@torch.no_grad()
def score(
    network: Network,
    validation: Sequence[Pair],
    window: int = WINDOW,
    names: Sequence[MetricName] = metrics.ALWAYS,
) -> Quality:
    """The metrics ``names`` of ``network``'s deploy form on ``validation``, in float32.

    Images larger than ``window`` are computed in tiles; the result is that of the whole image.
    """
    device = next(network.parameters()).device
    deployed = network.deploy().to(device)
    scale, radius = network.scale, network.radius
    window = max(window, 4 * radius)  # at most half of a tile is overlap

    def upscale(lr: Rgb) -> Rgb:
        x = torch.from_numpy(lr.copy()).permute(2, 0, 1)[None].to(device)
        y = upscale_tiles(deployed, x, plan(lr.shape[:2], (window, window), radius, scale), scale)
        rgb: Rgb = y[0].permute(1, 2, 0).cpu().numpy()
        return rgb

    return evaluate(upscale, validation, PROTOCOL, names)


def upscale_tiles(deployed: nn.Module, rgb: Tensor, tiles: Sequence[Tile], scale: int) -> Tensor:
    """``rgb`` (1, 3, h, w) upscaled tile by tile by ``deployed``: (1, 3, s·h, s·w), both uint8."""
    height, width = rgb.shape[2] * scale, rgb.shape[3] * scale
    result = torch.empty((1, 3, height, width), dtype=torch.uint8, device=rgb.device)
    for tile in tiles:
        levels = deployed(rgb[..., *tile.source].float() / 255)[..., *tile.kept] * 255
        result[..., *tile.target] = levels.round().clamp(0, 255).byte()
    return result
