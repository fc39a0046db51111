"""Parts of images of one size, on which the methods look at a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ailsr.export.graph.graph import Clamp
from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.upscaling.tiles import Size

Place = Literal["first", "middle", "last"]
_SHARES: dict[Place, float] = {"first": 0, "middle": 0.5, "last": 1}


def crops(images: Iterable[Levels], size: Size, place: Place, ends: Clamp = (0.0, 1.0)) -> Tensor:
    """(images, C, height, width), the levels 0 and 255 being ``ends``: of each the upper left
    corner, the middle or the lower right corner, mirrored where it is smaller than ``size``,
    (height, width)."""
    low, high = ends
    parts = torch.cat([_crop(image, size, place) for image in images])
    return parts if ends == (0, 1) else low + parts * (high - low)


def _crop(image: Levels, size: Size, place: Place) -> Tensor:
    missing = [max(0, wanted - side) for wanted, side in zip(size, image.shape[:2], strict=True)]
    image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), "symmetric")
    share = _SHARES[place]
    top, left = (
        int(share * (side - wanted)) for side, wanted in zip(image.shape[:2], size, strict=True)
    )
    crop = image[top : top + size[0], left : left + size[1]].astype(np.float32) / np.float32(255)
    return torch.from_numpy(crop.transpose(2, 0, 1)[None].copy())
