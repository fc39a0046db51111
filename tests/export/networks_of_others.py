"""Small forms of the networks that others publish, as their authors write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


class FSRCNN(nn.Module):
    """Dong et al., arXiv 1608.00367: it enlarges by a transposed convolution."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.first = nn.Sequential(conv(3, 16, 5), nn.PReLU(16), conv(16, 6, 1), nn.PReLU(6))
        self.middle = nn.Sequential(conv(6, 6), nn.PReLU(6), conv(6, 16, 1), nn.PReLU(16))
        self.last = nn.ConvTranspose2d(16, 3, 9, scale, 4, scale - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self.first(x)))


class ECBSR(nn.Module):
    """Zhang et al., ACM MM 2021, the form for RGB: PReLU and a skip of repeated channels."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.backbone = nn.Sequential(
            conv(3, 8), nn.PReLU(8), conv(8, 8), nn.PReLU(8), conv(8, 3 * scale**2)
        )
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = torch.repeat_interleave(x, self.scale**2, dim=1)
        return self.upsampler(self.backbone(x) + shortcut)


class ContrastAttention(nn.Module):
    """Contrast-aware channel attention of IMDN: standard deviation plus mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.weights = nn.Sequential(
            conv(channels, 4, 1), nn.ReLU(inplace=True), conv(4, channels, 1), nn.Sigmoid()
        )

    @staticmethod
    def mean(x: Tensor) -> Tensor:
        return x.sum(3, keepdim=True).sum(2, keepdim=True) / (x.size(2) * x.size(3))

    def forward(self, x: Tensor) -> Tensor:
        deviation = self.mean((x - self.mean(x)).pow(2)).pow(0.5)
        return x * self.weights(deviation + self.average(x))


class IMDN(nn.Module):
    """Hui et al., arXiv 1909.11856: split, distil, attend."""

    def __init__(self, scale: int, channels: int = 16, kept: int = 4) -> None:
        super().__init__()
        self.scale, self.parts = scale, (kept, channels - kept)
        self.first = conv(3, channels)
        self.steps = nn.ModuleList([conv(channels, channels), conv(channels - kept, channels)])
        self.end = conv(channels - kept, kept)
        self.act = nn.LeakyReLU(0.05, inplace=True)
        self.attention = ContrastAttention(3 * kept)
        self.fuse = conv(3 * kept, channels, 1)
        self.last = nn.Sequential(conv(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        features = rest = self.first(x)
        distilled = []
        for step in self.steps:
            part, rest = torch.split(self.act(step(rest)), self.parts, dim=1)
            distilled.append(part)
        distilled.append(self.end(rest))
        fused = self.fuse(self.attention(torch.cat(distilled, dim=1)))
        return self.last(fused + features)


class ESA(nn.Module):
    """Enhanced spatial attention of RFDN: stride, pooling, bilinear resize to the image."""

    def __init__(self, channels: int, inner: int = 4) -> None:
        super().__init__()
        self.conv1 = conv(channels, inner, 1)
        self.conv_f = conv(inner, inner, 1)
        self.conv_max = conv(inner, inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, 2)
        self.conv3 = conv(inner, inner)
        self.conv4 = conv(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        c1_ = self.conv1(x)
        v_max = F.max_pool2d(self.conv2(c1_), kernel_size=7, stride=3)
        c3 = self.conv3(F.relu(self.conv_max(v_max)))
        size = (x.size(2), x.size(3))
        c3 = F.interpolate(c3, size, mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.conv4(c3 + self.conv_f(c1_)))


class RFDN(nn.Module):
    """Liu et al., arXiv 2009.11551: one block of residual feature distillation with ESA."""

    def __init__(self, scale: int, channels: int = 12) -> None:
        super().__init__()
        self.first = conv(3, channels)
        self.distil = nn.ModuleList([conv(channels, channels // 2, 1) for _ in range(2)])
        self.refine = nn.ModuleList([conv(channels, channels) for _ in range(2)])
        self.end = conv(channels, channels // 2)
        self.fuse = conv(channels // 2 * 3, channels, 1)
        self.esa = ESA(channels)
        self.last = nn.Sequential(conv(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        features = rest = self.first(x)
        parts = []
        for distil, refine in zip(self.distil, self.refine, strict=True):
            parts.append(F.leaky_relu(distil(rest), 0.05))
            rest = F.leaky_relu(refine(rest) + rest, 0.05)
        parts.append(F.leaky_relu(self.end(rest), 0.05))
        return self.last(self.esa(self.fuse(torch.cat(parts, dim=1))) + features)


class SPAN(nn.Module):
    """Wan et al., arXiv 2311.12770: attention without parameters, sigmoid - 0.5."""

    def __init__(self, scale: int, channels: int = 12) -> None:
        super().__init__()
        self.first = conv(3, channels)
        self.block = nn.ModuleList([conv(channels, channels) for _ in range(3)])
        self.join = conv(2 * channels, channels, 1)
        self.act = nn.SiLU(inplace=True)
        self.last = nn.Sequential(conv(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        first = self.block[0](features)
        second = self.block[1](self.act(first.clone()))
        third = self.block[2](self.act(second))
        attended = (third + features) * (torch.sigmoid(third) - 0.5)
        return self.last(self.join(torch.cat([features, attended], 1)))


NETWORKS = {
    **{f"FSRCNN x{scale}": (FSRCNN, scale) for scale in (2, 3, 4)},
    "ECBSR x2": (ECBSR, 2),
    "IMDN x4": (IMDN, 4),
    "RFDN x3": (RFDN, 3),
    "SPAN x2": (SPAN, 2),
}
