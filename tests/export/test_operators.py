"""Each operator of networks of others: from PyTorch to every target, float and int8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from every_target import assert_the_same_everywhere, picture
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from ailsr.export.reading.from_torch import graph_of

SIZE = (12, 16)
CHANNELS = 8


class Around(nn.Module):
    """One operator between two convolutions of a network that enlarges."""

    def __init__(self, operator: Callable[[Tensor], Tensor], source: int = CHANNELS) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, source, 3, padding=1)
        self.operator = operator
        with torch.no_grad():
            channels, *size = operator(torch.rand(1, source, *SIZE))[0].shape
        self.scale = max(1, 2 * SIZE[0] // size[0])
        self.last = nn.Conv2d(channels, 3 * self.scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.last(self.operator(self.first(x))), self.scale)


def made_of(image: NDArray[np.float32], network: nn.Module) -> NDArray[np.float32]:
    """What ``network`` makes of ``image``, both (h, w, 3)."""
    with torch.inference_mode():
        upscaled = network(torch.from_numpy(image).permute(2, 0, 1)[None])
    result: NDArray[np.float32] = upscaled[0].permute(1, 2, 0).numpy()
    return result


def transposed(kernel: int, stride: int, padding: int, more: int, **how) -> nn.ConvTranspose2d:
    torch.manual_seed(1)
    return nn.ConvTranspose2d(CHANNELS, 6, kernel, stride, padding, more, **how)


def attention(x: Tensor, weights: Tensor) -> Tensor:
    return x * torch.sigmoid(weights)


def contrast(x: Tensor) -> Tensor:
    """IMDN: mean and standard deviation of each channel."""
    mean = x.sum(3, keepdim=True).sum(2, keepdim=True) / (x.size(2) * x.size(3))
    variance = (x - mean).pow(2).sum(3, keepdim=True).sum(2, keepdim=True)
    return x * torch.sigmoid((variance / (x.size(2) * x.size(3))).pow(0.5) + mean)


OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "product": lambda x: x * (x + 0.3),
    "product, clamped": lambda x: F.relu(x * (x + 0.3)),
    "square": lambda x: x.pow(2),
    "sigmoid": torch.sigmoid,
    "sigmoid - 0.5": lambda x: (x + 0.2) * (torch.sigmoid(x) - 0.5),
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "hard sigmoid": F.hardsigmoid,
    "hard swish": F.hardswish,
    "leaky relu": lambda x: F.leaky_relu(x, 0.05),
    "maximum": lambda x: torch.maximum(x, 0.1 - x),
    "minimum": lambda x: torch.minimum(x, 0.1 - x),
    "maximum with a constant": lambda x: torch.maximum(x, torch.tensor(0.05)),
    "channel attention": lambda x: attention(x, F.adaptive_avg_pool2d(x, 1)),
    "channel attention, expanded": lambda x: attention(x, x.mean((2, 3)).view(1, -1, 1, 1)),
    "contrast attention": contrast,
    "spatial attention": lambda x: attention(x, x.mean(1, keepdim=True)),
    "sum with a mean": lambda x: x - x.mean((2, 3), keepdim=True),
    "sum with one channel": lambda x: x + x[:, 2:3],
    "split": lambda x: torch.cat([x[:, :2], F.relu(x[:, 2:])], 1),
    "gate of halves": lambda x: torch.mul(*torch.chunk(x, 2, 1)),
    "slices of a sum": lambda x: torch.cat(torch.split(x + F.relu(x), [3, 5], 1)[::-1], 1),
    "flipped channels": lambda x: x.flip(1) + x,
    "channel shuffle": lambda x: x.view(1, 2, 4, *SIZE).transpose(1, 2).reshape(1, 8, *SIZE),
    "repeated": lambda x: x.repeat(1, 2, 1, 1),
    "repeat interleave": lambda x: torch.repeat_interleave(x, 4, 1),
    "stack": lambda x: torch.stack([x] * 4, 2).reshape(1, 32, *SIZE),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel shuffle by hand": lambda x: (
        x.view(1, 2, 2, 2, *SIZE).permute(0, 1, 4, 2, 5, 3).reshape(1, 2, 24, 32)
    ),
    "nearest by hand": lambda x: (
        x[:, :, :, None, :, None].expand(1, 8, 12, 2, 16, 2).reshape(1, 8, 24, 32)
    ),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear, few channels": lambda x: F.interpolate(x[:, :3], scale_factor=2, mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x[:, :3], scale_factor=2, mode="bicubic"),
    "replicate": lambda x: F.avg_pool2d(F.pad(x, (1, 3, 2, 0), mode="replicate"), (3, 5), 1),
    "maximum of windows": lambda x: F.interpolate(F.max_pool2d(x, 5, 3), SIZE, mode="bilinear"),
    "mean of windows": lambda x: F.avg_pool2d(x, 2),
    "transposed 9, 3": transposed(9, 3, 4, 2),
    "transposed 9, 2": transposed(9, 2, 4, 1),
    "transposed 4, 2": transposed(4, 2, 1, 0),
    "transposed 2, 2": transposed(2, 2, 0, 0, bias=False),
    "transposed 3, 1": transposed(3, 1, 1, 0),
    "transposed 6, 4, grouped": transposed(6, 4, 1, 0, groups=2),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_the_same_in_pytorch_and_on_every_target(name, tmp_path):
    network = Around(OPERATORS[name]).eval()
    image = picture(*SIZE)
    assert_the_same_everywhere(graph_of(network, SIZE), image, made_of(image, network), tmp_path)


class Chain(nn.Module):
    """Operators one after the other, ×2: each fitted to its input's shape, with a skip or not."""

    def __init__(self, names: list[str], skips: list[bool], seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.skips = skips
        self.fits = nn.ModuleList()
        for number, name in enumerate(names):
            setattr(self, f"operator{number}", OPERATORS[name])
            channels = OPERATORS[name](torch.rand(1, CHANNELS, *SIZE)).shape[1]
            self.fits.append(nn.Conv2d(channels, CHANNELS, 1))
        self.last = nn.Conv2d(CHANNELS, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip, x = x, self.first(x)
        for number, fit in enumerate(self.fits):
            y = getattr(self, f"operator{number}")(x)
            if y.shape[2] > SIZE[0]:
                y = F.avg_pool2d(y, y.shape[2] // SIZE[0])
            elif y.shape[2] < SIZE[0]:
                y = F.interpolate(y, SIZE)
            x = fit(y) + x if self.skips[number] else fit(y)
        return F.pixel_shuffle(self.last(x) + torch.repeat_interleave(skip, 4, 1), 2)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(
    names=st.lists(st.sampled_from(sorted(OPERATORS)), min_size=2, max_size=5),
    skips=st.lists(st.booleans(), min_size=5, max_size=5),
    seed=st.integers(0, 2**16),
)
def test_any_network_is_the_same_in_pytorch_and_on_every_target(
    names, skips, seed, tmp_path_factory
):
    network = Chain(names, skips, seed).eval()
    image, folder = picture(*SIZE, seed), tmp_path_factory.mktemp("chain")
    expected = made_of(image, network)
    graph = graph_of(network, SIZE)
    assert_the_same_everywhere(graph, image, expected, folder, 1e-4, levels=5.01, share=0.15)


def kinds(operator: Callable[[Tensor], Tensor]) -> list[str]:
    return [type(node).__name__ for node in graph_of(Around(operator).eval(), SIZE).nodes]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("split", ["Conv", "Conv", "Concat"]),  # the ReLU fused into one of the two
        ("gate of halves", ["Conv", "Conv", "Mul"]),
        ("transposed 9, 3", ["Conv", "Conv", "DepthToSpace"]),
        ("pixel shuffle by hand", ["Conv", "DepthToSpace"]),
        ("channel shuffle", ["Conv"]),
        ("contrast attention", ["Conv", *["Mean", "Conv", "Add", "Mul", "Mean"], "Pointwise",
                                *["Add", "Pointwise", "Mul"]]),  # the Conv a change of sign
    ],
)  # fmt: skip
def test_an_operator_becomes_the_fewest_nodes(name, expected):
    assert kinds(OPERATORS[name])[: len(expected)] == expected
