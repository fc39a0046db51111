"""Each operator of networks of others: from PyTorch to every target, float and int8."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from every_target import assert_the_same_everywhere, picture
from graph_reference import run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from ailsr.export.reading.from_torch import from_onnx, graph_of, quiet

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


GAIN, BIAS = torch.linspace(0.5, 2, CHANNELS), torch.linspace(-0.3, 0.4, CHANNELS)
RANDOM = torch.Generator().manual_seed(2)
WIDE = torch.randn(2 * CHANNELS, CHANNELS, generator=RANDOM) / 4
NARROW = torch.randn(CHANNELS, 2 * CHANNELS, generator=RANDOM) / 4
HEADS = torch.tensor([0.5, -1.0])
FEW = torch.randn(2, 2, 3, 3, generator=RANDOM) / 4


def layer_norm_of_channels(x: Tensor) -> Tensor:
    """ConvNeXt, its form for channels first."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + 1e-6)
    return GAIN[:, None, None] * x + BIAS[:, None, None]


def layer_norm_by_variance(x: Tensor) -> Tensor:
    variance = x.var(1, keepdim=True, unbiased=False)
    return (x - x.mean(1, keepdim=True)) * torch.rsqrt(variance + 1e-5) * GAIN[:, None, None]


def permuted_mlp(x: Tensor) -> Tensor:
    """ConvNeXt, its form for channels last."""
    y = F.layer_norm(x.permute(0, 2, 3, 1), (CHANNELS,), GAIN, BIAS, 1e-6)
    y = F.linear(F.gelu(F.linear(y, WIDE, torch.ones(2 * CHANNELS) / 8)), NARROW)
    return x + y.permute(0, 3, 1, 2)


def tokens(x: Tensor) -> Tensor:
    """SwinIR: an image as a list of pixels, and back."""
    y = F.layer_norm(x.flatten(2).transpose(1, 2), (CHANNELS,), GAIN)
    y = y + F.linear(y, NARROW[:, :CHANNELS])
    return y.transpose(1, 2).view(1, CHANNELS, *SIZE)


def excitation(x: Tensor) -> Tensor:
    """Squeeze and excitation with linear layers."""
    y = F.relu(F.linear(x.mean((2, 3)), WIDE[:4], torch.ones(4)))
    return x * torch.sigmoid(F.linear(y, NARROW[:, :4]))[:, :, None, None]


def partial(x: Tensor) -> Tensor:
    """FasterNet: a convolution of the first channels, the others as they are."""
    y = x + 0.1
    y[:, :2] = F.conv2d(y[:, :2], FEW, padding=1)
    return y


def partial_of_parts(x: Tensor) -> Tensor:
    first, rest = torch.split(x + 0.1, (2, 6), 1)
    return torch.cat([F.conv2d(first, FEW, padding=1), rest], 1)


def padded_to_a_multiple(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    y = F.pad(x, (0, -width % 5, 0, -height % 5), "reflect")
    return F.interpolate(F.avg_pool2d(y, 5), scale_factor=5)[:, :, :height, :width]


def pyramid(x: Tensor) -> Tensor:
    """SAFMN: the image reduced by a maximum and enlarged again."""
    height, width = x.shape[2:]
    y = F.adaptive_max_pool2d(x, (height // 4, width // 4))
    return x * F.interpolate(F.gelu(y), size=(height, width), mode="nearest")


def attention_of_channels(x: Tensor) -> Tensor:
    """Restormer: heads, unit length over all pixels, a temperature for each head."""
    query, key, value = (
        F.conv2d(x, weight[:, :, None, None]).view(1, 2, 4, -1)
        for weight in (WIDE[:8], WIDE[8:], NARROW[:, :8])
    )
    weights = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
    weights = weights * torch.tensor([2.0, 3.0])[:, None, None]
    return (weights.softmax(-1) @ value).view(x.shape)


def sparse_attention_of_channels(x: Tensor) -> Tensor:
    """HannahSR: one head, ReLU in place of softmax, in a window that is the whole image."""
    query, value = F.conv2d(x, WIDE[:, :, None, None]).view(1, 1, 16, -1).chunk(2, 2)
    weights = F.relu(F.normalize(query, dim=-1) @ F.normalize(value, dim=-1).transpose(-2, -1))
    whole = torch.zeros_like(x)
    whole[0, :, 0 : SIZE[0], 0 : SIZE[1]] += (weights @ value).view(x.shape)[0]
    return whole / torch.ones(1, 1, *SIZE)


def attention_of_listed_channels(x: Tensor) -> Tensor:
    """The same with pixels before channels, and no length taken."""
    listed = x.flatten(2).transpose(1, 2)
    weights = (listed.transpose(1, 2) @ listed / listed.shape[1]).softmax(1)
    return (listed @ weights).transpose(1, 2).view(x.shape)


def variance_of_windows(x: Tensor) -> Tensor:
    """HannahSR: the contrast of windows that lie three pixels apart."""
    windows = F.pad(x, (1, 1, 1, 1), "reflect").unfold(2, 5, 3).unfold(3, 5, 3)
    return F.interpolate(windows.var((-1, -2)), SIZE, mode="bilinear")


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
    "exp": lambda x: torch.exp(-x * x),
    "softplus": F.softplus,
    "mish": F.mish,
    "erf": lambda x: torch.erf(3 * x),
    "elu": F.elu,
    "absolute": torch.abs,
    "inverse": lambda x: 1 / (x * x + 0.5),
    "quotient": lambda x: x / (x.abs().mean((2, 3), keepdim=True) + 0.1),
    "inverse of a root": lambda x: x * torch.rsqrt(x * x + 0.1),
    "third power": lambda x: x.pow(3),
    "norm": lambda x: x * x.norm(dim=1, keepdim=True),
    "softmax of channels": lambda x: x * F.softmax(40 * x, dim=1),
    "softmax of tokens": lambda x: (
        F.softmax(x.flatten(2).transpose(1, 2), 2).transpose(1, 2).view(x.shape)
    ),
    "softmax of a part": lambda x: F.softmax(x[:, 2:7], dim=1),
    "layer norm of channels": layer_norm_of_channels,
    "layer norm by variance": layer_norm_by_variance,
    "layer norm of a list": lambda x: (
        (x.flatten(2) - x.flatten(2).mean(1, keepdim=True))
        / torch.sqrt(x.flatten(2).var(1, keepdim=True, unbiased=False) + 1e-5)
    ).view(x.shape),
    "instance norm": lambda x: F.instance_norm(x, weight=GAIN, bias=BIAS),
    "L2 normalisation": lambda x: F.normalize(x, dim=1),
    "root mean square": lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6) * 2,
    "permuted mlp": permuted_mlp,
    "tokens": tokens,
    "excitation": excitation,
    "partial convolution": partial,
    "partial convolution of parts": partial_of_parts,
    "padded to a multiple": padded_to_a_multiple,
    "pyramid": pyramid,
    "group norm": lambda x: F.group_norm(x, 2, GAIN, BIAS),
    "mean of padded windows": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "attention of channels": attention_of_channels,
    "sparse attention of channels": sparse_attention_of_channels,
    "attention of listed channels": attention_of_listed_channels,
    "variance of windows": variance_of_windows,
    "mean of listed pixels": lambda x: x + x.flatten(2).mean(2)[:, :, None, None],
    "norm of listed pixels": lambda x: x / x.view(1, 2, 4, -1).norm(dim=3).view(1, 8, 1, 1),
    "maximum of heads": lambda x: x.view(1, 2, 4, *SIZE).amax(1),
    "sum over heads": lambda x: (x.view(1, 2, 4, *SIZE) * HEADS[:, None, None, None]).sum(1),
    "matrix in each head": lambda x: (
        (x.view(1, 2, 4, -1).transpose(2, 3) @ WIDE[:4, :4]).transpose(2, 3).reshape(x.shape)
    ),
    "a constant image": lambda x: torch.sigmoid(x) - GAIN[:, None, None].expand_as(x),
    "maximum of channels": lambda x: x * torch.sigmoid(x[:, :7].amax(1, keepdim=True)),
    "aligned corners": lambda x: F.interpolate(
        x, scale_factor=2, mode="bilinear", align_corners=True
    ),
    "every second pixel": lambda x: F.interpolate(x[:, :, 1::2, ::2], SIZE),
    "reduced to the nearest": lambda x: F.interpolate(F.interpolate(x, scale_factor=0.5), SIZE),
    "padded with a constant": lambda x: F.avg_pool2d(F.pad(x, (1, 1, 1, 1), value=0.3), 3, 1),
    "border cut off": lambda x: F.pad(x, (1, 2, 0, 3), "reflect")[:, 1:7, :-3, 1:-2],
    "maximum of padded windows": lambda x: F.max_pool2d(x, 3, 1, 1),
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


OLD_EXPORTER = (
    *("gelu", "gelu by tanh", "layer norm of channels", "layer norm by variance", "permuted mlp"),
    *("tokens", "L2 normalisation", "root mean square", "instance norm", "excitation"),
    *("partial convolution", "partial convolution of parts", "padded to a multiple", "softplus"),
    *("mish", "inverse of a root", "quotient", "norm", "contrast attention"),
    *("softmax of channels", "softmax of tokens", "softmax of a part"),
    *("attention of channels", "sparse attention of channels", "attention of listed channels"),
)


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("name", OLD_EXPORTER)
def test_an_operator_is_the_same_from_the_older_exporter(name, opset):
    network, file = Around(OPERATORS[name]).eval(), io.BytesIO()
    image = picture(*SIZE)
    with quiet(), redirect_stdout(io.StringIO()):
        torch.onnx.export(
            network,
            (torch.rand(1, 3, *SIZE),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            dynamic_axes={"x": {2: "h", 3: "w"}},
        )
    graph = from_onnx(onnx.load_from_string(file.getvalue()), SIZE)
    difference = run(graph, image)[graph.output] - made_of(image, network)
    assert np.abs(difference).max() < 1e-5
    recognised = [type(node).__name__ for node in graph.nodes].count("Normalize")
    assert recognised == kinds(OPERATORS[name]).count("Normalize")


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
        ("gelu", ["Conv", "Pointwise", "Conv"]),
        ("layer norm of channels", ["Conv", "Normalize", "Conv", "Conv"]),
        ("layer norm by variance", ["Conv", "Normalize", "Conv", "DepthToSpace"]),
        ("root mean square", ["Conv", "Normalize", "Conv", "DepthToSpace"]),
        ("tokens", ["Conv", "Normalize", "Conv", "Conv", "Add"]),
        ("maximum of padded windows", ["Conv", "Pad", "MaxPool"]),
        ("contrast attention", ["Conv", *["Mean", "Conv", "Add", "Mul", "Mean"], "Pointwise",
                                *["Add", "Pointwise", "Mul"]]),  # the Conv a change of sign
    ],
)  # fmt: skip
def test_an_operator_becomes_the_fewest_nodes(name, expected):
    assert kinds(OPERATORS[name])[: len(expected)] == expected
