"""The receptive field that a graph states is the one that its pixels show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ailsr.export.graph.graph import Add, Conv, DepthToSpace, Graph, Mean
from ailsr.export.graph.receptive_field import receptive_radius
from ailsr.export.reading.from_torch import graph_of

SIZE = (41, 37)


def seen(network: nn.Module) -> int:
    """The radius by experiment: how far from a pixel's own place its output has a gradient."""
    image = torch.rand(1, 3, *SIZE, requires_grad=True)
    output = network.double()(image.double())
    scale = output.shape[2] // SIZE[0]
    radius = 0
    for y, x in np.ndindex(scale, scale):
        row, column = SIZE[0] // 2, SIZE[1] // 2
        (gradient,) = torch.autograd.grad(
            output[..., row * scale + y, column * scale + x].sum(), image, retain_graph=True
        )
        rows, columns = np.nonzero(gradient[0].abs().sum(0).numpy())
        radius = max(radius, *np.abs(rows - row), *np.abs(columns - column))
    network.float()
    return int(radius)


@pytest.mark.parametrize(
    ("name", "scale"), [("sesr_m3", 2), ("abpn", 3), ("quicksrnet_small", 4), ("vdsr_f13", 2)]
)
def test_our_networks_state_it_truly(sane, name, scale):
    network = sane(name, scale)
    assert receptive_radius(graph_of(network.deploy(), SIZE)) == network.radius


class Uneven(nn.Module):
    """Dilation, lopsided padding, branches that see unlike far, layers at high resolution."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.dilated = nn.Conv2d(3, 8, 3, dilation=2)
        self.wide = nn.Conv2d(3, 8, (1, 5), padding=(0, 2))
        self.expand = nn.Conv2d(16, 3 * scale**2, 1)
        self.last = nn.Conv2d(3, 3, 5)
        self.scale = scale

    def forward(self, x):
        dilated = self.dilated(F.pad(x, (3, 1, 0, 4)))
        features = torch.cat([dilated, F.leaky_relu(self.wide(x)) + dilated], 1)
        shuffled = F.pixel_shuffle(self.expand(features), self.scale)
        return self.last(F.pad(shuffled, (2, 2, 2, 2), mode="reflect"))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_graph_states_the_least_that_is_true(scale):
    torch.manual_seed(0)
    network = Uneven(scale).eval()
    assert receptive_radius(graph_of(network, SIZE)) == seen(network)


class Attentive(nn.Module):
    """Products, functions, a pooling that keeps the size, a border of repeated pixels."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.expand = nn.ConvTranspose2d(4, 3, 3 * scale, scale, scale)
        self.scale = scale

    def forward(self, x):
        features = self.first(F.pad(x, (2, 0, 1, 1), mode="replicate"))
        gate, value = torch.chunk(F.max_pool2d(features, 3, 1), 2, 1)
        return self.expand(torch.tanh(gate) * F.gelu(value))


@pytest.mark.parametrize("scale", [2, 3])
def test_attention_pooling_and_transposed_convolutions_state_it_truly(scale):
    torch.manual_seed(0)
    network = Attentive(scale).eval()
    # One more than a random pooling shows: which pixel is the maximum is a matter of chance.
    assert receptive_radius(graph_of(network, SIZE)) in (seen(network), seen(network) + 1)


def test_what_sees_the_whole_picture_has_no_bound():
    mean = Mean("image", "mean")
    assert receptive_radius(Graph((mean, Add("image", "mean", "upscaled")), (3, 40, 36))) is None


def test_behind_a_stride_pixels_do_not_see_alike():
    weight, bias = np.ones((12, 3, 2, 2), np.float32), np.zeros(12, np.float32)
    up = DepthToSpace("half", "upscaled", 2)
    for stride, radius in ((2, None), (1, 1)):
        down = Conv("image", "half", weight, bias, (0, 0, 1, 1), (stride, stride))
        assert receptive_radius(Graph((down, up), (3, 40, 36))) == radius
