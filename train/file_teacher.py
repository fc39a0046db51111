"""A teacher in a file of any make, run by ``ailsr.runtime``: ONNX, TFLite and its other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from ailsr.runtime import load
from ailsr.runtime.engines.registry import ENGINES
from ailsr.runtime.files import sha256
from ailsr.train.networks import Network


def is_file(teacher: str) -> bool:
    """Whether ``--teacher`` names a file that ``ailsr.runtime`` runs, and no checkpoint."""
    return Path(teacher).suffix.lower() in ENGINES


class FileTeacher(Network):
    """The network in the file at ``path``, RGB.

    Its output is that of whole images in 8 bits, as files give it: it has no weights and no
    gradient, and runs on the CPU.
    """

    color = "rgb"

    def __init__(self, path: Path, threads: int | None) -> None:
        """Raises ModelError or EngineError for a file that cannot be run."""
        self._upscaler = load(path, threads=threads)
        super().__init__(self._upscaler.scale)
        self.name, self.reference = path.stem, str(path)
        self.sha256 = sha256(path)
        """Of the file."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) in [0, 1], of whole levels of 255 -> (N, 3, s·h, s·w), as well."""
        levels = (images.float() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        upscaled = np.stack([self._upscaler.upscale(image) for image in levels])
        return torch.from_numpy(upscaled).permute(0, 3, 1, 2).to(images.device).float() / 255

    def fuse(self) -> Self:
        """Itself."""
        return self

    def deploy(self) -> nn.Module:
        """Itself."""
        return self
