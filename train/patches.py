"""Training pictures in memory, and whole batches of patches cut from them by indexing.

All pictures lie one after the other in flat uint8 tensors on the training device. A batch is a few
index tensors: position, flips and transposition are arithmetic on them, so a batch costs a few
gathers and no worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ailsr.runtime.errors import ImageError, TrainingError
from ailsr.runtime.imaging.image import list_images, read
from ailsr.runtime.imaging.resize import crop_to_multiple, resize, shrink
from ailsr.train.digest import PictureDigest
from ailsr.train.places import Places

Picture = NDArray[np.uint8]  # (H, W, 3)


@dataclass(frozen=True)
class Batch:
    """Patches in [0, 1]: lr (N, 3, p, p), hr (N, 3, s·p, s·p), map (N, C, s·p, s·p)."""

    lr: Tensor
    hr: Tensor
    map: Tensor | None
    """What the source's maps say of these pixels."""


class PatchSource:
    """Pairs of low- and high-resolution pictures from which random patches are drawn.

    A picture's share of the patches is its share of the area, until ``draw_by`` says otherwise.
    """

    def __init__(
        self, pictures: Sequence[Picture], scale: int, patch: int, device: torch.device
    ) -> None:
        """``pictures`` are high-resolution; ``patch`` is the low-resolution side of a patch.

        Raises TrainingError when no picture is at least as large as a patch.
        """
        self.scale, self.patch, self.device = scale, patch, device
        side = patch * scale
        large = [crop_to_multiple(p, scale) for p in pictures if min(p.shape[:2]) >= side]
        self.too_small = len(pictures) - len(large)
        """Pictures smaller than a patch, which are left out."""
        if not large:
            raise TrainingError(
                f"no training picture is as large as a patch, {side}x{side}: use larger pictures "
                "or a smaller --patch"
            )
        reduced = [shrink(p, scale) for p in large]
        self.sizes = [p.shape[:2] for p in reduced]  # low-resolution (h, w) of each picture
        areas = torch.tensor([h * w for h, w in self.sizes])
        self._offsets = areas.cumsum(0) - areas
        self._widths = torch.tensor([w for _, w in self.sizes])
        self._lr = _flat(reduced, device)
        self._hr = _flat(large, device)
        self._maps: Tensor | None = None
        self.draw_by(None)

    def __len__(self) -> int:
        return len(self.sizes)

    def set_maps(self, maps: Iterable[Tensor] | None) -> None:
        """Cut patches from one map (1, C, H, W) per picture, too, from now on; kept as float16."""
        self._maps, start = None, 0
        for pixels in (m[0].permute(1, 2, 0).flatten(0, 1) for m in maps or ()):
            if self._maps is None:
                shape = (len(self._hr), pixels.shape[1])
                self._maps = torch.empty(shape, dtype=torch.float16, device=self.device)
            self._maps[start : start + len(pixels)] = pixels
            start += len(pixels)

    def map(self, index: int) -> Tensor:
        """The map (1, C, H, W) that was set for picture ``index``."""
        assert self._maps is not None
        pixels = self._maps[self._pixels(index, self.scale)]
        height, width = (side * self.scale for side in self.sizes[index])
        return pixels.view(1, height, width, -1).permute(0, 3, 1, 2).float()

    def draw_by(self, importance: Iterable[Tensor] | None) -> None:
        """Draw patches by importance from now on, one map (1, 1, H, W) ≥ 0 per picture; None: not.

        See ``Places``.
        """
        self._places = Places(self.sizes, self.patch, self.scale, importance)

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Picture ``index`` whole, in [0, 1]: lr (1, 3, h, w) and hr (1, 3, s·h, s·w)."""
        (height, width), s = self.sizes[index], self.scale
        lr = self._lr[self._pixels(index, 1)].view(1, height, width, 3)
        hr = self._hr[self._pixels(index, s)].view(1, height * s, width * s, 3)
        return _unit(lr), _unit(hr)

    def _pixels(self, index: int, s: int) -> slice:
        """Where the pixels of picture ``index`` lie, ``s`` times enlarged."""
        (height, width), start = self.sizes[index], int(self._offsets[index])
        return slice(start * s**2, (start + height * width) * s**2)

    def batch(self, count: int, generator: torch.Generator, share: slice = slice(None)) -> Batch:
        """``count`` random patches under random flips and transpositions, or a ``share`` of them.

        ``generator`` lives on the CPU, so that the same seed draws the same patches on any device.
        """
        turns = torch.randint(0, 2, (3, count), generator=generator).bool()
        chosen, top, left = self._places.draw(count, generator)
        numbers = torch.stack([self._offsets[chosen], self._widths[chosen], top, left])
        # Not waited for: a step on a GPU is handed over while those before it are computed.
        offset, width, top, left = numbers[:, share].to(self.device, non_blocking=True)
        turns = turns[:, share, None].to(self.device, non_blocking=True)

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

        cut = None
        if self._maps is not None:
            cut = gather(self._maps, self.scale).permute(0, 3, 1, 2).float()
        return Batch(_unit(gather(self._lr, 1)), _unit(gather(self._hr, self.scale)), cut)


class Loaded(NamedTuple):
    """What ``load_pictures`` read."""

    pictures: list[Picture]
    unreadable: dict[Path, str]
    """By file: the reason."""
    shrunk: int
    """How many pictures were larger than the limit."""
    digest: str
    """That of the pictures as their files hold them, in their order."""


def load_pictures(
    folders: Sequence[Path], max_megapixels: float, tick: Callable[[int, int], None]
) -> Loaded:
    """All pictures of ``folders``; larger ones than the limit are shrunk by an integer factor.

    A photograph straight from a camera is blurred and noisy at its full size; shrunk, it is sharp
    enough to learn from. ``tick(done, total)`` is called per file. Raises TrainingError when
    nothing can be read.
    """
    files = [f for folder in folders for f in list_images(folder)]
    pictures: list[Picture] = []
    unreadable: dict[Path, str] = {}
    shrunk, digest = 0, PictureDigest()
    for number, file in enumerate(files, start=1):
        try:
            rgb = read(file)
            digest.add(rgb)
            factor = int(np.ceil(np.sqrt(rgb.shape[0] * rgb.shape[1] / (max_megapixels * 1e6))))
            if factor > 1:
                height, width = (max(1, side // factor) for side in rgb.shape[:2])
                rgb = resize(rgb, (height, width))
                shrunk += 1
            pictures.append(rgb)
        except ImageError as error:
            unreadable[file] = str(error)
        tick(number, len(files))
    if not pictures:
        named, reason = ", ".join(str(f) for f in folders), next(iter(unreadable.values()))
        raise TrainingError(
            f"none of the {len(files)} pictures in {named} can be read; the first: {reason}"
        )
    return Loaded(pictures, unreadable, shrunk, str(digest))


def _flat(pictures: Sequence[Picture], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate([p.reshape(-1, 3) for p in pictures])).to(device)


def _unit(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) as float32 (N, 3, H, W) in [0, 1], channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)
