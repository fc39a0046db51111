"""The quality of a network by the evaluation protocol."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailsr.runtime.protocol import Pair, Scores, evaluate
from ailsr.train.networks import Network


@torch.no_grad()
def score(network: Network, validation: list[Pair]) -> Scores:
    """Mean PSNR and SSIM of ``network``'s deploy form over whole pictures, in float32."""
    device = next(network.parameters()).device
    deployed = network.deploy().to(device)

    def upscale(lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x = torch.from_numpy(lr.copy()).to(device).permute(2, 0, 1)[None].float() / 255
        y: Tensor = (deployed(x)[0] * 255).round().clamp(0, 255)
        rgb: NDArray[np.uint8] = y.permute(1, 2, 0).byte().cpu().numpy()
        return rgb

    return evaluate(upscale, validation)
