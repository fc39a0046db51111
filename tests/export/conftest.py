"""Networks as training leaves them, without the training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ailsr.train.networks import Network, create

RESIDUAL = 0.03
"""Standard deviation of the residual, white being 1: that of a trained network is of this size."""


@pytest.fixture(scope="session")
def sane():
    """``sane(name, scale)``: a network with random weights that upscales sensibly.

    Its output is that of its skip and a small residual; without a skip it is as initialised, near
    the identity.
    """

    def make(name: str, scale: int = 2) -> Network:
        torch.manual_seed(0)
        network = create(name, scale).eval()
        if name.startswith("quicksrnet"):
            return network
        convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        if not name.startswith("vdsr"):  # no residual, no biases
            for conv in convs:
                conv.reset_parameters()
        last = convs[-1]
        picture = torch.rand(1, network.channels, 24, 24)
        with torch.no_grad():
            whole, weight = network(picture), last.weight.clone()
            last.bias.zero_()
            last.weight.zero_()
            last.weight.copy_(weight * RESIDUAL / (whole - network(picture)).std())
        return network

    return make
