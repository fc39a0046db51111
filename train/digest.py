"""Digests of images and of weights, the same wherever and however their files are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ailsr.runtime.errors import UsageError


class ImageDigest:
    """SHA-256 of the sizes and pixels of images in their order; ``str`` gives it in hexadecimal."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Append an image."""
        self._hash.update(repr(rgb.shape).encode())
        self._hash.update(np.ascontiguousarray(rgb).data)

    def __str__(self) -> str:
        return self._hash.hexdigest()


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of the weights of ``network`` with their names, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_same_images(
    found: Mapping[str, str | None], known: Mapping[str, str | None], run: Path
) -> None:
    """Raise UsageError when an option's images are not those that ``run`` began with.

    Runs of earlier versions have no digest; any images pass.
    """
    for option, digest in found.items():
        if known.get(option) not in (None, digest):
            raise UsageError(
                f"--{option}: these are not the images that {run} began with: name the folder "
                f"that holds them, or begin another run with --init {run / 'best.pt'}"
            )
