"""Training images in memory, and batches of patches gathered from them.

All images lie one after the other in flat uint8 tensors on the training device. Position, flips and
transposition of a patch are arithmetic on its indices, so a batch costs a few gathers and no worker
processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ailsr.runtime.errors import TrainingError
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.resize import crop_to_multiple, shrink
from ailsr.train.sampling import PatchSampler


@dataclass(frozen=True)
class Batch:
    """Patches in [0, 1], with the round's importance and teacher."""

    lr: Tensor
    """x (N, 3, p, p)."""
    hr: Tensor
    """y (N, 3, s·p, s·p)."""
    weight: Tensor | None = None
    """Importance w (N, C, s·p, s·p) of the residual; C are the student's channels."""
    taught: Tensor | None = None
    """The teacher's output T(x) (N, C, s·p, s·p)."""


class PatchSource:
    """Random patches of pairs of low- and high-resolution images.

    Images are sampled by their area, positions within one uniformly, unless ``set_sampling`` sets
    an importance.
    """

    def __init__(
        self,
        images: Sequence[Rgb],
        scale: int,
        patch: int,
        device: torch.device,
        lr: Sequence[Rgb | None] | None = None,
    ) -> None:
        """``images`` are high-resolution; ``patch`` is the low-resolution side of a patch. ``lr``
        are their low-resolution images; where there is none it is the bicubic reduction.

        Raises TrainingError when no image is at least as large as a patch.
        """
        self.scale, self.patch, self.device = scale, patch, device
        side = patch * scale
        given = [None] * len(images) if lr is None else lr
        pairs = [
            (crop_to_multiple(hr, scale), low)
            for hr, low in zip(images, given, strict=True)
            if min(hr.shape[:2]) >= side
        ]
        large = [hr for hr, _ in pairs]
        self.too_small = len(images) - len(large)
        """Number of images smaller than a patch; they are left out."""
        if not large:
            raise TrainingError(
                f"no training image is as large as a patch, {side}x{side}: use larger images, "
                "a smaller --patch or, where they were shrunk, a larger --max-megapixels"
            )
        small = [shrink(hr, scale) if low is None else low for hr, low in pairs]
        self.sizes = [i.shape[:2] for i in small]  # low-resolution (h, w) of each image
        areas = torch.tensor([h * w for h, w in self.sizes])
        self._offsets = areas.cumsum(0) - areas
        self._widths = torch.tensor([w for _, w in self.sizes])
        self._lr = _flat(small).to(device)
        hr = _flat(large)
        self._originals = hr.numpy()
        self._hr = hr.to(device)
        self._weights: Tensor | None = None
        self._taught: Tensor | None = None
        self.set_sampling(None)

    def __len__(self) -> int:
        return len(self.sizes)

    def set_weights(self, maps: Iterable[Tensor] | None) -> None:
        """Set ``weight`` of later batches: a map w (1, C, H, W) per image, or None."""
        self._weights = None  # its memory is needed
        self._weights = self._flat_maps(maps)

    def set_taught(self, outputs: Iterable[Tensor] | None) -> None:
        """Set ``taught`` of later batches: an output T(x) (1, C, H, W) per image, or None."""
        self._taught = None
        self._taught = self._flat_maps(outputs)

    def taught(self, index: int) -> Tensor:
        """T(x) (1, C, H, W) of image ``index``, from ``set_taught``."""
        assert self._taught is not None
        pixels = self._taught[self._pixels(index, self.scale)]
        height, width = (side * self.scale for side in self.sizes[index])
        return pixels.view(1, height, width, -1).permute(0, 3, 1, 2).float()

    def set_sampling(self, importance: Iterable[Tensor] | None) -> None:
        """Set the sampling weights of positions: a map (1, 1, H, W) ≥ 0 per image, or None.

        See ``PatchSampler``.
        """
        self._sampler = PatchSampler(self.sizes, self.patch, self.scale, importance)

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Image ``index`` whole, in [0, 1]: lr (1, 3, h, w) and hr (1, 3, s·h, s·w)."""
        (height, width), s = self.sizes[index], self.scale
        lr = self._lr[self._pixels(index, 1)].view(1, height, width, 3)
        hr = self._hr[self._pixels(index, s)].view(1, height * s, width * s, 3)
        return _unit(lr), _unit(hr)

    def original(self, index: int) -> Rgb:
        """The high-resolution image ``index`` (s·h, s·w, 3)."""
        height, width = (side * self.scale for side in self.sizes[index])
        original: Rgb = self._originals[self._pixels(index, self.scale)]
        return original.reshape(height, width, 3)

    def replace(self, index: int, lr: Rgb) -> None:
        """Take ``lr`` (h, w, 3) as the low-resolution image ``index`` from now on."""
        self._lr[self._pixels(index, 1)] = torch.from_numpy(lr.reshape(-1, 3)).to(self.device)

    def clean(self, index: int) -> Tensor:
        """The bicubic reduction (1, 3, h, w), in [0, 1], of image ``index``."""
        return _unit(torch.from_numpy(shrink(self.original(index), self.scale))[None]).to(
            self.device
        )

    def _flat_maps(self, maps: Iterable[Tensor] | None) -> Tensor | None:
        """``maps`` (1, C, H, W) as one flat tensor (pixels of all images, C) of float16."""
        flat, start = None, 0
        for pixels in (m[0].permute(1, 2, 0).flatten(0, 1) for m in maps or ()):
            if flat is None:
                shape = (len(self._hr), pixels.shape[1])
                flat = torch.empty(shape, dtype=torch.float16, device=self.device)
            flat[start : start + len(pixels)] = pixels
            start += len(pixels)
        return flat

    def _pixels(self, index: int, s: int) -> slice:
        """The rows of image ``index`` in a flat tensor of ``s`` times the low resolution."""
        (height, width), start = self.sizes[index], int(self._offsets[index])
        return slice(start * s**2, (start + height * width) * s**2)

    def batch(self, count: int, generator: torch.Generator, shard: slice = slice(None)) -> Batch:
        """``count`` random patches under random flips and transpositions, or a ``shard`` of them.

        ``generator`` is on the CPU, so that a seed gives the same patches on any device.
        """
        turns = torch.randint(0, 2, (3, count), generator=generator).bool()
        chosen, top, left = self._sampler.sample(count, generator)
        numbers = torch.stack([self._offsets[chosen], self._widths[chosen], top, left])
        # Not waited for: a step on a GPU is handed over while those before it are computed.
        offset, width, top, left = numbers[:, shard].to(self.device, non_blocking=True)
        turns = turns[:, shard, None].to(self.device, non_blocking=True)

        def gather(source: Tensor, s: int) -> Tensor:  # s: 1 for low resolution, scale for high
            side = self.patch * s
            ramp = torch.arange(side, device=self.device)
            rows = torch.where(turns[0], side - 1 - ramp, ramp) + (top * s)[:, None]  # (N, side)
            columns = torch.where(turns[1], side - 1 - ramp, ramp) + (left * s)[:, None]
            # The index of a pixel is a part for its row plus a part for its column: transposing
            # exchanges the two.
            rows = rows * (width * s)[:, None] + (offset * s**2)[:, None]
            down = torch.where(turns[2], columns, rows)
            right = torch.where(turns[2], rows, columns)
            index = down[:, :, None] + right[:, None, :]
            # index_select: three times as fast as source[index] on a CPU
            return source.index_select(0, index.flatten()).view(*index.shape, -1)

        def cut(maps: Tensor | None) -> Tensor | None:
            if maps is None:
                return None
            return gather(maps, self.scale).permute(0, 3, 1, 2).float()

        lr, hr = _unit(gather(self._lr, 1)), _unit(gather(self._hr, self.scale))
        return Batch(lr, hr, weight=cut(self._weights), taught=cut(self._taught))


def _flat(images: Sequence[Rgb]) -> Tensor:
    return torch.from_numpy(np.concatenate([i.reshape(-1, 3) for i in images]))


def _unit(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) as float32 (N, 3, H, W) in [0, 1], channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)
