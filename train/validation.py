"""Validation images of a run, checked before its first step."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.degradation import BICUBIC, Degradation
from ailsr.runtime.imaging.protocol import Pair, check_size, pairs
from ailsr.train.digest import ImageDigest


class Validation(NamedTuple):
    """Usable pairs of a folder, and the images left out."""

    pairs: list[Pair]
    left_out: dict[str, str]
    """By name: the reason."""
    digest: str
    """Of the high-resolution images, in their order."""


def load_validation(folder: Path, scale: int, degradation: Degradation = BICUBIC) -> Validation:
    """The pairs in ``folder`` that the protocol accepts. Raises ImageError when there are none."""
    found = pairs(folder, scale, degradation)
    usable: list[Pair] = []
    left_out: dict[str, str] = {}
    digest = ImageDigest()
    for index, name in enumerate(found.names):
        try:
            pair = found[index]
            check_size(pair)
        except ImageError as error:
            left_out[name] = str(error)
        else:
            usable.append(pair)
            digest.add(pair.hr)
    if not usable:
        reason = next(iter(left_out.values()))
        raise ImageError(f"none of the images in {folder} can be used; the first: {reason}")
    return Validation(usable, left_out, str(digest))
